from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Role
from controlplane.guards.acts import OnBreach
from controlplane.guards.chosen import settings_of
from controlplane.guards.measures import Measure
from controlplane.health.reading import Counts
from tests.guards.guarded import BAD, GOOD, Guarded
from tests.page import PageClient, words

ClientAs = Callable[[Role | str], PageClient]


@pytest.fixture
def address(guarded: Guarded) -> str:
    return f"/production/rollouts/{guarded.rollout.number}"


def health_of(client: PageClient, address: str) -> str:
    return words(client.get(address).by_id("health"))


def test_before_any_call_it_says_what_will_be_shown(address: str, client_as: ClientAs) -> None:
    found = health_of(client_as("viewer"), address)
    assert "No calls yet" in found
    assert "On a breach: hold it where it is." in found
    assert "Change guards" not in found


def test_with_a_few_calls_it_says_no_more_than_it_knows(
    guarded: Guarded, address: str, client_as: ClientAs
) -> None:
    guarded.minutes(1, Counts(answered=3), Counts(answered=2, failed=1)).look()
    found = health_of(client_as("viewer"), address)
    assert "33.3 % on version 2, 0.0 % on version 1" in found
    assert "Judged when a minute is over" in found
    guarded.minutes(4, Counts(answered=3), Counts(answered=2)).look()
    assert "Too few calls to say" in health_of(client_as("viewer"), address)


def test_with_many_calls_each_measure_has_its_values_and_a_chart(
    guarded: Guarded, address: str, client_as: ClientAs
) -> None:
    guarded.minutes(12, GOOD, BAD).look()
    shown = client_as("publisher").get(address)
    found = words(shown.by_id("health"))
    assert "Paused by Guard" in shown.body
    assert "Worse: errors" in found
    assert "40.0 % on version 2, 1.0 % on version 1" in found
    charts = [each.get("aria-label") for each in shown.all("svg", class_="spark")]
    assert "Errors of version 2 (40.0 %) against version 1 (1.0 %)" in charts
    assert len(charts) == len(Measure)
    assert "not known" in found


def test_the_part_that_the_page_asks_for_is_a_part_of_it_and_nobody_stays_signed_in_by_it(
    guarded: Guarded, address: str, client_as: ClientAs
) -> None:
    guarded.minutes(3, GOOD, GOOD).look()
    client = client_as("viewer")
    asked = client.get(address).by_id("health").get("hx-get")
    assert asked == f"/_{address}/health"
    part = client.get(asked)
    assert part.is_fragment
    assert "No sign of harm" in words(part.by_id("health"))


def test_when_it_is_over_it_shows_how_it_went_and_asks_for_nothing_more(
    guarded: Guarded, address: str, client_as: ClientAs
) -> None:
    guarded.choose(OnBreach.ABORT)
    guarded.minutes(6, GOOD, BAD).look()
    shown = client_as("viewer").get(address)
    assert "Aborted by guard" in words(shown.by_id("health"))
    assert shown.by_id("health").get("hx-get") is None
    assert client_as("publisher").get(f"{address}/guards").location == address


def test_guards_are_chosen_on_a_page_of_their_own(
    first_data: Session, guarded: Guarded, address: str, client_as: ClientAs
) -> None:
    client = client_as("publisher")
    form = client.get(f"{address}/guards")
    answer = client.submit(form, f"{address}/guards", {"on_breach": "abort", "length": "40", "slow": ""})
    assert (answer.status, answer.location) == (303, f"{address}#health")
    chosen = settings_of(first_data, guarded.rollout.number)
    assert chosen.on_breach is OnBreach.ABORT
    assert chosen.settings.tolerances == {
        Measure.ERRORS: 1.0,
        Measure.FALLBACKS: 2.0,
        Measure.UNUSABLE: 2.0,
        Measure.LENGTH: 40.0,
    }
    late = client.post(f"{address}/guards", {**form.form(f"{address}/guards"), "errors": "3"})
    assert late.status == 409
    assert "Somebody else chose meanwhile" in late.body
    assert late.form(f"{address}/guards")["errors"] == "3"


@pytest.mark.parametrize(
    ("typed", "field", "message"),
    [
        ({"errors": "a lot"}, "errors", "Enter a number."),
        ({"errors": "0"}, "errors", "Enter 0.1 or more."),
        ({"cost": "5000"}, "cost", "Enter 1000 or less."),
        ({"least_calls": "5"}, "least_calls", "Enter 10 or more."),
        ({"least_calls": "some"}, "least_calls", "Enter a whole number."),
        ({"on_breach": "panic"}, "on_breach", "Choose one of"),
    ],
)
def test_what_cannot_be_is_said_at_its_field_and_nothing_typed_is_lost(
    address: str, client_as: ClientAs, typed: dict[str, str], field: str, message: str
) -> None:
    client = client_as("publisher")
    form = client.get(f"{address}/guards").form(f"{address}/guards")
    answer = client.post(f"{address}/guards", {**form, "fallbacks": "7", **typed})
    assert answer.status == 422
    assert (answer.error_of(field) or "").startswith(message)
    assert answer.form(f"{address}/guards")["fallbacks"] == "7"


def test_nothing_to_change_is_said(address: str, client_as: ClientAs) -> None:
    client = client_as("publisher")
    answer = client.submit(client.get(f"{address}/guards"), f"{address}/guards")
    assert answer.status == 422
    assert "That is what it does already." in answer.body


def test_what_a_guard_did_waits_on_the_overview_until_somebody_goes_on(
    guarded: Guarded, address: str, client_as: ClientAs
) -> None:
    guarded.minutes(5, GOOD, BAD).look()
    on_call = client_as("on-call")
    needed = words(on_call.get("/production/").by_id("needs-you"))
    assert "Held by guard COACHING_RESPONSE · premiumErrors: 40.0 % on version 2" in needed
    assert "Held by guard" not in client_as("viewer").get("/production/").body
    guarded.walk.resume(guarded.rollout)
    guarded.session.commit()
    assert "Held by guard" not in on_call.get("/production/").body
