"""The pages, as browsers without script use them."""

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Role
from controlplane.releases import services as releases
from controlplane.rollouts import gates
from controlplane.rollouts.standing import live_entry
from tests.page import Page, PageClient
from tests.rollouts.walk import REASON, Walk

ClientAs = Callable[[Role | str], PageClient]

CONFIGURATION = "/production/configurations/COACHING_RESPONSE/premium"
GATE = "/production/gates/COACHING_RESPONSE"
BAD_SHARES = ["", "abc", "100.0001", "101", "-1", "1e3", "NaN", "٥", "12,5", "<b>5</b>"]


@pytest.fixture
def publisher(walk: Walk, client_as: ClientAs) -> PageClient:
    """A publisher's browser on the walk's data."""
    walk.session.commit()
    return client_as(Role.PUBLISHER)


def begun(walk: Walk, share: int = 10_000) -> str:
    """The address of a rollout that runs."""
    rollout = walk.start(share)
    walk.session.commit()
    return f"/production/rollouts/{rollout.number}"


def started(publisher: PageClient, **changes: str) -> Page:
    page = publisher.get("/production/rollouts/new?configuration=COACHING_RESPONSE/premium")
    return publisher.submit(page, "/production/rollouts", {"share": "10", "reason": REASON, **changes})


def test_a_rollout_is_started_raised_aborted_and_started_again(publisher: PageClient, walk: Walk) -> None:
    answer = started(publisher)
    assert answer.status == 303
    page = publisher.follow(answer)
    assert "Version 2 for 10 % of users, version 1 for the rest." in page.body
    ten = walk.owned()
    address = answer.location or ""
    answer = publisher.submit(page, address, {"share": "50", "reason": REASON})
    page = publisher.follow(answer)
    assert "Rolling out 50 %" in page.body
    assert "raised version 2 of COACHING_RESPONSE · premium from 10 % to 50 % of users" in page.body
    assert ten[1] < walk.owned()[1]
    page = publisher.get(f"{address}/abort")
    page = publisher.follow(publisher.submit(page, f"{address}/abort", {"reason": REASON}))
    assert "Aborted at 50 %" in page.body
    again = publisher.follow(started(publisher))
    assert "Rolling out 10 %" in again.body
    assert walk.owned() == ten


def test_a_rollout_is_finished(publisher: PageClient, walk: Walk) -> None:
    address = begun(walk)
    page = publisher.get(f"{address}/finish")
    page = publisher.follow(publisher.submit(page, f"{address}/finish", {"reason": REASON}))
    assert "Finished: version 2 took over for everyone." in page.body
    assert [len(each) for each in walk.owned()] == [100_000]


@pytest.mark.parametrize("typed", BAD_SHARES)
def test_a_share_that_cannot_be_comes_back_as_typed_with_words_beside_it(
    publisher: PageClient, walk: Walk, typed: str
) -> None:
    address = begun(walk)
    page = publisher.submit(publisher.get(address), address, {"share": typed, "reason": "so that it is kept"})
    assert page.status == 422
    assert page.error_of("share")
    sent = page.form(address)
    assert (sent["share"], sent["reason"].strip()) == (typed, "so that it is kept")
    assert len(walk.owned()[1]) == 10_000


@pytest.mark.parametrize("typed", ["", "100.0001", "٥"])
def test_starting_and_gates_refuse_the_same_shares(publisher: PageClient, typed: str) -> None:
    page = started(publisher, share=typed)
    assert (page.status, page.form("/production/rollouts")["share"]) == (422, typed)
    page = publisher.submit(publisher.get(GATE), GATE, {"share": typed, "reason": REASON})
    assert (page.status, page.form(GATE)["share"]) == (422, typed)
    assert page.error_of("share")


def test_a_missing_reason_is_said_beside_it(publisher: PageClient, walk: Walk) -> None:
    address = begun(walk)
    for form in (address, f"{address}/abort", f"{address}/finish"):
        page = publisher.submit(
            publisher.get(form), form, {"reason": "short"} | ({"share": "20"} if form == address else {})
        )
        assert page.status == 422
        assert "10 to 500 characters" in (page.error_of("reason") or "")
    assert len(walk.owned()[1]) == 10_000


def test_the_next_step_is_one_button(publisher: PageClient, walk: Walk) -> None:
    address = begun(walk)
    page = publisher.get(address)
    assert "Raise to 50 %" in page.texts("button")
    publisher.submit(page, address, {"share": "10", "preset": "50 %", "reason": REASON})
    assert len(walk.owned()[1]) == 50_000


def test_of_two_who_look_at_one_page_the_second_is_told_and_loses_nothing(
    publisher: PageClient, walk: Walk
) -> None:
    address = begun(walk)
    page = publisher.get(address)
    assert publisher.submit(page, address, {"share": "50", "reason": REASON}).status == 303
    late = publisher.submit(page, address, {"share": "20", "reason": "my own good reason"})
    assert late.status == 409
    assert "it is at 50 % since release 3, by Publisher One" in late.body
    assert "You had asked for 20 %, because “my own good reason”." in late.body
    assert late.form(address)["share"] == "20"
    assert len(walk.owned()[1]) == 50_000
    meant = publisher.submit(late, address)
    assert meant.status == 303
    assert len(walk.owned()[1]) == 20_000


def test_abort_counts_at_whatever_share_it_is_by_now(publisher: PageClient, walk: Walk) -> None:
    address = begun(walk)
    page = publisher.get(address)
    publisher.submit(page, address, {"share": "50", "reason": REASON})
    assert publisher.submit(page, f"{address}/abort", {"reason": REASON}).status == 303
    late = publisher.submit(page, f"{address}/finish", {"reason": REASON})
    assert late.status == 409
    assert "This rollout is over since release 4" in late.body
    assert REASON in late.body


def test_two_who_start_at_once_on_the_site(publisher: PageClient, walk: Walk) -> None:
    page = publisher.get("/production/rollouts/new?configuration=COACHING_RESPONSE/premium")
    address = begun(walk)
    late = publisher.submit(page, "/production/rollouts", {"share": "30", "reason": REASON})
    assert late.status == 409
    assert "runs already" in late.body
    assert late.link("Rollout " + address.rpartition("/")[2]) == address


def test_a_rollback_shows_as_the_end(publisher: PageClient, walk: Walk) -> None:
    address = begun(walk)
    releases.roll_back(walk.session, "production", to=1, reason=REASON, actor=walk.actor)
    walk.session.commit()
    page = publisher.get(address)
    assert "Aborted at 10 %" in page.body
    assert "rolled production back to release 1" in page.body
    assert "No rollout is running" in publisher.get("/production/rollouts").body
    assert publisher.get(f"{address}/abort").location == address


def test_the_list_shows_running_ones_first_then_past_ones(publisher: PageClient, walk: Walk) -> None:
    walk.abort(walk.start(20_000))
    address = begun(walk)
    page = publisher.get("/production/rollouts")
    running, past = page.all("table")
    assert page.link("COACHING_RESPONSE · premium") == address
    shown = ["".join(table.itertext()) for table in (running, past)]
    assert "10 %" in shown[0]
    assert "Aborted" in shown[1]
    assert "20 %" in shown[1]
    older = publisher.get("/production/rollouts?before=1")
    assert older.status == 200
    assert publisher.get("/production/rollouts?before=99999999999999").status == 200
    assert "No rollout is running" in publisher.get("/staging/rollouts").body


def test_the_effect_says_who_would_move(publisher: PageClient, walk: Walk) -> None:
    address = begun(walk)

    def effect(share: str) -> str:
        page = publisher.get(f"/_{address}/effect", query_string={"share": share})
        assert page.headers["Cache-Control"] == "no-store"
        return page.texts("p", id="rollout-effect")[0]

    assert effect("50") == (
        "Raising from 10 % to 50 %: 40,000 of 100,000 buckets move from version 1 to version 2. "
        "Everyone on version 2 stays on it. How many users: not known (no counts of the last day)."
    )
    assert effect("9.999").startswith(
        "Lowering from 10 % to 9.999 %: 1 of 100,000 buckets moves from version 2 back to version 1, "
        "those that came last."
    )
    assert effect("10") == "Version 2 stays at 10 %: nobody moves."
    assert "until the rollout is finished" in effect("100")
    assert effect("NaN") == "Enter a share from 0 to 100 in plain digits, such as 12.5."
    begin = "/_/production/rollouts/effect?configuration=COACHING_RESPONSE/default&to_version=9&share=5"
    assert "5,000 of 100,000 buckets move from version 1 to version 9" in publisher.get(begin).text


def test_without_script_a_button_shows_what_a_share_would_do(publisher: PageClient, walk: Walk) -> None:
    address = begun(walk)
    asked = {"share": "50", "step": "check"}
    for path, action, words in (
        (address, address, "Raising from 10 % to 50 %: 40,000 of 100,000 buckets move"),
        (GATE, GATE, "Lowering from 100 % to 50 %: 50,000 of 100,000 buckets move"),
    ):
        page = publisher.submit(publisher.get(path), action, asked)
        assert page.status == 200
        assert words in page.body
        assert page.form(action)["share"] == "50"
        assert page.error_of("share") is None
    assert "Version 2 stays at 10 %: nobody moves." in publisher.get(address).body
    assert len(walk.owned()[1]) == 10_000


def test_a_gate_is_moved(publisher: PageClient, walk: Walk) -> None:
    page = publisher.get(GATE)
    assert "Every call goes through configuration lookup." in page.body
    page = publisher.follow(publisher.submit(page, GATE, {"share": "12.345", "reason": REASON}))
    assert "12.345 % of users go through configuration lookup, the rest take the legacy path." in page.body
    assert "lowered the gate of COACHING_RESPONSE from 100 % to 12.345 % of users in production" in page.body
    document = live_entry(walk.session, "production", "gate/COACHING_RESPONSE").document
    assert document is not None
    assert document["ranges"] == [[0, 12_345]]
    listed = publisher.get("/production/gates")
    assert listed.link("COACHING_RESPONSE") == GATE
    assert "12.345 %" in listed.body
    fragment = publisher.get(f"/_{GATE}/effect?share=50")
    assert "37,655 of 100,000 buckets move from the legacy path to configuration lookup" in fragment.text


def test_a_gate_moved_meanwhile_is_a_conflict(publisher: PageClient, walk: Walk) -> None:
    page = publisher.get(GATE)
    gates.set_gate(walk.session, "production", "COACHING_RESPONSE", share=1, reason=REASON, actor=walk.actor)
    walk.session.commit()
    late = publisher.submit(page, GATE, {"share": "30", "reason": REASON})
    assert late.status == 409
    assert "You had asked for 30 %" in late.body
    assert publisher.submit(late, GATE).status == 303


@pytest.mark.parametrize("role", [Role.VIEWER, Role.EDITOR])
def test_others_see_the_values_and_whom_to_ask(walk: Walk, client_as: ClientAs, role: Role) -> None:
    address = begun(walk)
    client = client_as(role)
    for path in (address, GATE, CONFIGURATION):
        page = client.get(path)
        assert page.status == 200
        assert "Needs Publisher" in page.body
    assert "10 %" in client.get(address).body
    assert client.get("/production/rollouts").status == 200
    for path in (address, f"{address}/abort", f"{address}/finish", "/production/rollouts", GATE):
        assert client.post(path, {"share": "50", "reason": REASON}).status == 403
    assert len(walk.owned()[1]) == 10_000


def test_the_panel_on_the_configuration_s_page_aborts(publisher: PageClient, walk: Walk) -> None:
    address = begun(walk)
    page = publisher.get(CONFIGURATION)
    panel = page.by_id("rollout")
    assert "Version 2 for 10 % of users" in " ".join("".join(panel.itertext()).split())
    assert publisher.submit(page, f"{address}/abort", {"reason": REASON}).status == 303
    page = publisher.get(CONFIGURATION)
    assert publisher.submit(page, "/production/rollouts", {"share": "1", "reason": REASON}).status == 303


def test_the_panel_raises_from_the_configuration_s_page(publisher: PageClient, walk: Walk) -> None:
    address = begun(walk)
    page = publisher.get(CONFIGURATION)
    publisher.submit(page, address, {"share": "50", "reason": REASON})
    assert len(walk.owned()[1]) == 50_000


def test_a_configuration_with_one_version_says_what_to_do(publisher: PageClient) -> None:
    page = publisher.get("/production/configurations/COACHING_RESPONSE/default")
    assert "Save another version to roll it out step by step." in page.body


def test_the_interaction_s_page_shows_its_gate_in_every_environment(publisher: PageClient) -> None:
    page = publisher.get("/interactions/COACHING_RESPONSE")
    assert page.link("production") == GATE
    assert page.link("staging") == "/staging/gates/COACHING_RESPONSE"


@pytest.mark.parametrize(
    "path",
    [
        "/production/rollouts/999",
        "/production/rollouts/99999999999999999999",
        "/nowhere/rollouts",
        "/production/gates/NOWHERE",
        "/production/rollouts/new?configuration=nonsense",
        "/production/rollouts/new?configuration=COACHING_RESPONSE/nowhere",
        "/production/rollouts/new",
        "/production/rollouts/999/abort",
        "/_/production/rollouts/999/effect?share=1",
    ],
)
def test_what_does_not_exist_is_a_404_page(publisher: PageClient, path: str) -> None:
    assert publisher.get(path).status == 404


def test_a_code_that_no_column_can_hold_is_a_404_too(publisher: PageClient) -> None:
    # The frame writes the address into its forms as it came; that is not what is looked at here.
    assert publisher.get("/production/gates/%00", unchecked={"html"}).status == 404


def test_reasons_are_shown_as_text(publisher: PageClient, walk: Walk) -> None:
    address = begun(walk)
    page = publisher.submit(
        publisher.get(address), address, {"share": "50", "reason": "<script>alert(1)</script>"}
    )
    page = publisher.follow(page)
    assert "<script>alert(1)</script>" in page.body
    assert "<script>alert(1)" not in page.text


def test_every_move_on_the_site_is_one_event(publisher: PageClient, walk: Walk, first_data: Session) -> None:
    before = len(walk.events(prefix=""))
    address = started(publisher).location or ""
    publisher.submit(publisher.get(address), address, {"share": "50", "reason": REASON})
    publisher.submit(publisher.get(address), f"{address}/abort", {"reason": REASON})
    publisher.submit(publisher.get(GATE), GATE, {"share": "50", "reason": REASON})
    events = walk.events(prefix="")[before:]
    assert [event.action for event in events] == [
        "rollout.started",
        "rollout.raised",
        "rollout.aborted",
        "gate.lowered",
    ]
    assert {event.via for event in events} == {"browser"}
    assert all(event.request_id for event in events)
