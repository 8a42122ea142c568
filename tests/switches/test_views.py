"""The pages, as browsers without script use them."""

from collections.abc import Callable

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Role
from controlplane.db import now
from controlplane.fleet.models import Process
from controlplane.switches.models import SwitchDocument
from controlplane.switches.services import thrown_in
from tests.page import Page, PageClient

ClientAs = Callable[[Role | str], PageClient]

SWITCHES = "/production/switches"
ONE = f"{SWITCHES}/COACHING_RESPONSE"
EVERYTHING = f"{SWITCHES}/everything"
REASON = "It answers nonsense since ten o'clock."


@pytest.fixture
def on_call(client_as: ClientAs) -> PageClient:
    return client_as(Role.ON_CALL)


def turn(client: PageClient, address: str, **changes: str) -> Page:
    return client.submit(client.get(address), address, {"reason": REASON, **changes})


def names(session: Session) -> list[str]:
    return [each.target for each in thrown_in(session, "production")]


def banner(page: Page) -> str:
    return " ".join(page.texts("section", class_="switch-banner"))


def test_a_switch_is_thrown_and_lifted_and_every_page_says_so(
    on_call: PageClient, first_data: Session
) -> None:
    page = on_call.get(SWITCHES)
    assert page.texts("td", data_label="Now") == ["Not thrown"] * len(page.all("tr")[1:])
    assert banner(page) == ""
    page = on_call.follow(turn(on_call, f"{ONE}/throw"))
    assert "Thrown: its calls take the built-in path" in page.body
    assert f"On-call One, just now: “{REASON}”" in page.body
    assert page.texts("td", data_label="Now").count("Thrown") == 1
    assert names(first_data) == ["COACHING_RESPONSE"]
    for address in ("/production/", "/interactions/COACHING_RESPONSE?in=production", SWITCHES):
        assert "1 kill switch is thrown in Production: COACHING_RESPONSE" in banner(on_call.get(address))
    assert banner(on_call.get("/staging/")) == ""
    page = on_call.follow(turn(on_call, f"{ONE}/lift"))
    assert "Lifted: its calls use what is live again" in page.body
    assert banner(page) == ""
    assert names(first_data) == []


def test_everything_is_switched_off_only_by_who_types_where(on_call: PageClient, first_data: Session) -> None:
    for typed in ("", "staging", "Production"):
        page = turn(on_call, f"{EVERYTHING}/throw", confirm=typed)
        assert page.status == 422
        assert page.error_of("confirm") == "Type production to switch everything off there."
        assert page.form()["reason"].strip() == REASON
    assert names(first_data) == []
    page = on_call.follow(turn(on_call, f"{EVERYTHING}/throw", confirm=" production "))
    assert "Everything is switched off in Production: all calls take the built-in path." in banner(page)
    assert set(page.texts("td", data_label="Now")) == {"Off with everything"}
    page = on_call.follow(turn(on_call, f"{EVERYTHING}/lift"))
    assert "all calls use what is live again" in page.body
    assert names(first_data) == []


def test_the_dialog_of_the_page_asks_the_same(on_call: PageClient, first_data: Session) -> None:
    page = on_call.get(SWITCHES)
    answer = on_call.submit(page, f"{EVERYTHING}/throw", {"reason": REASON, "confirm": "production"})
    assert answer.status == 303
    page = on_call.get(SWITCHES)
    assert on_call.submit(page, f"{EVERYTHING}/lift", {"reason": REASON}).status == 303
    assert names(first_data) == []


@pytest.mark.parametrize("verb", ["throw", "lift"])
def test_a_turn_without_a_reason_comes_back_with_words_beside_it(on_call: PageClient, verb: str) -> None:
    if verb == "lift":
        turn(on_call, f"{ONE}/throw")
    page = turn(on_call, f"{ONE}/{verb}", reason="too short")
    assert page.status == 422
    assert "10 to 500 characters" in str(page.error_of("reason"))
    assert page.form()["reason"].strip() == "too short"
    page = turn(on_call, f"{ONE}/{verb}", reason="Leaked AKIAIOSFODNN7EXAMPLE to users")
    assert (page.status, "AWS access key" in str(page.error_of("reason"))) == (422, True)


def test_who_comes_second_reads_who_came_first_and_keeps_their_words(
    on_call: PageClient, client_as: ClientAs, first_data: Session
) -> None:
    publisher = client_as(Role.PUBLISHER)
    asked = publisher.get(f"{ONE}/throw")
    turn(on_call, f"{ONE}/throw")
    page = publisher.submit(asked, f"{ONE}/throw", {"reason": "So many complaints."})
    assert page.status == 409
    assert f"On-call One has thrown it already: “{REASON}”" in page.body
    assert "So many complaints." in page.body
    asked = publisher.get(f"{ONE}/lift")
    turn(on_call, f"{ONE}/lift")
    page = publisher.submit(asked, f"{ONE}/lift", {"reason": "So many complaints."})
    assert page.status == 409
    assert "On-call One has lifted it already" in page.body


@pytest.mark.parametrize("role", [Role.VIEWER, Role.EDITOR])
def test_others_see_everything_and_whom_to_ask(client_as: ClientAs, on_call: PageClient, role: Role) -> None:
    turn(on_call, f"{ONE}/throw")
    client = client_as(role)
    page = client.get(SWITCHES)
    assert f"“{REASON}”" in page.body
    assert "Needs On-call. Ask: On-call One" in page.body
    assert [form for form in page.all("form", method="post") if "switches" in form.get("action", "")] == []
    assert client.get(f"{ONE}/lift").status == 403
    assert client.post(f"{ONE}/lift", {"reason": REASON}).status == 403


def test_asking_to_turn_what_is_turned_already_leads_to_how_it_stands(on_call: PageClient) -> None:
    assert on_call.get(f"{ONE}/lift").location == SWITCHES
    turn(on_call, f"{ONE}/throw")
    assert on_call.get(f"{ONE}/throw").location == SWITCHES
    assert on_call.get(f"{ONE}/lift").status == 200


@pytest.mark.parametrize("target", ["NO_SUCH", "coaching_response", "%00", "Everything", "..."])
def test_there_is_no_switch_of_what_is_not_there(on_call: PageClient, target: str) -> None:
    assert on_call.get(f"{SWITCHES}/{target}/throw").status == 404
    assert on_call.post(f"{SWITCHES}/{target}/throw", {"reason": REASON}).status == 404


def test_the_navigation_counts_what_is_thrown_and_the_record_leads_there(on_call: PageClient) -> None:
    turn(on_call, f"{ONE}/throw")
    page = on_call.get(SWITCHES)
    link = next(each for each in page.all("a", href=SWITCHES) if each.get("aria-current") == "page")
    assert "".join(link.itertext()) == "Kill switches1"
    sentence = "threw the kill switch of COACHING_RESPONSE in production: its calls take the built-in path"
    event = on_call.get(page.link(sentence))
    assert SWITCHES in {each.get("href") for each in event.all("a")}


def test_the_interaction_says_where_it_is_switched_off(on_call: PageClient) -> None:
    turn(on_call, f"{ONE}/throw")
    page = on_call.get("/interactions/COACHING_RESPONSE")
    [card] = [text for text in page.texts("section", class_="card") if text.startswith("Kill switch")]
    assert [f"On-call One: “{REASON}”" in card, card.count("Not thrown")] == [True, 1]


def process(name: str, *thrown: str, **others: object) -> Process:
    moment = now()
    fields: dict[str, object] = {
        "environment": "production", "process": name, "host": "host", "started_at": moment,
        "first_seen_at": moment, "heard_at": moment, "beat": "x", "interval_seconds": 10.0, "held_back": 0,
        "versions": {}, "thrown": list(thrown), "calls": 0, "errors": 0,
    }  # fmt: skip
    return Process(**{**fields, **others})


def test_how_far_it_has_come_is_said_and_asked_again_until_it_arrived(
    on_call: PageClient, first_data: Session
) -> None:
    assert "No switch was ever thrown here." in on_call.get(SWITCHES).body
    page = on_call.follow(turn(on_call, f"{ONE}/throw"))
    assert "On its way to the store" in page.body
    assert page.by_id("switch-reach").get("hx-get") == SWITCHES
    document = update(SwitchDocument)
    first_data.execute(document.values(exported_version=SwitchDocument.version, exported_at=now()))
    first_data.add(process("slow"))
    first_data.add(process("quick", "COACHING_RESPONSE"))
    first_data.add(process("gone", gone_at=now()))
    first_data.commit()
    page = on_call.get(SWITCHES)
    assert "In the store since just now" in page.body
    assert "1 of 2 running processes say that they do what is shown here." in page.body
    assert page.by_id("switch-reach").get("hx-get") == SWITCHES
    first_data.get_one(Process, ("production", "slow")).thrown = ["COACHING_RESPONSE"]
    first_data.commit()
    page = on_call.get(SWITCHES)
    assert "2 of 2 running processes" in page.body
    assert page.by_id("switch-reach").get("hx-get") is None


def test_a_store_that_does_not_take_it_is_told_of(on_call: PageClient, first_data: Session) -> None:
    turn(on_call, f"{ONE}/throw")
    first_data.execute(update(SwitchDocument).values(problem="cannot reach the store: it did not answer"))
    first_data.commit()
    page = on_call.get(SWITCHES)
    assert page.texts("p", class_="notice-title") == ["The store does not take it"]
    assert "cannot reach the store: it did not answer." in page.body


def test_switches_that_a_process_has_thrown_for_itself_are_named(
    on_call: PageClient, first_data: Session
) -> None:
    first_data.add(process("stubborn", "KPI_ANALYSIS"))
    first_data.commit()
    page = on_call.get(SWITCHES)
    assert "Switches that a process has thrown for itself: stubborn: KPI_ANALYSIS" in page.body
    assert "0 of 1 running processes" in page.body


def test_a_process_that_has_not_told_since_a_lift_is_late_and_not_stubborn(
    on_call: PageClient, first_data: Session
) -> None:
    turn(on_call, f"{ONE}/throw")
    turn(on_call, f"{ONE}/lift")
    first_data.execute(
        update(SwitchDocument).values(exported_version=SwitchDocument.version, exported_at=now())
    )
    first_data.add(process("late", "COACHING_RESPONSE"))
    first_data.commit()
    page = on_call.get(SWITCHES)
    assert "0 of 1 running processes" in page.body
    assert "thrown for itself" not in page.body
