"""The page of a release from the moment its pointer moved: who confirms it, who does not, and how long it took."""

import datetime as dt
from collections.abc import Callable

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Role
from controlplane.db import now
from controlplane.proposals.models import Proposal, ProposalParticipant
from controlplane.releases import services
from controlplane.releases.authority import EMERGENCY, Authority
from controlplane.releases.history import get_release
from tests.fleet.told import Told
from tests.page import Page, PageClient, words
from tests.releases.changing import PUBLISHER, REASON, publish_saved, save_configuration
from tests.releases.exporting import exported

ClientAs = Callable[[Role | str], PageClient]
JUST_NOW = dt.timedelta()
RELEASE = "/production/releases/2"


@pytest.fixture
def viewer(client_as: ClientAs) -> PageClient:
    return client_as("viewer")


@pytest.fixture
def told(first_data: Session) -> Told:
    """Release 1 is in the store, and release 2 is published."""
    found = Told(first_data)
    found.point_to(1)
    exported(first_data, 1)
    save_configuration(first_data, model="CLAUDE_3_HAIKU")
    publish_saved(first_data, "production")
    return found


def arrive(told: Told, *, ago: dt.timedelta = JUST_NOW) -> None:
    """Release 2 is in the store now."""
    exported(told.session, 2, ago=ago)
    told.point_to(2)


def arrival(page: Page) -> str:
    return words(page.by_id("arrival"))


def listens(page: Page) -> bool:
    return any(each.get("data-stream") for each in page.all("div"))


def refreshes(page: Page) -> bool:
    return 'http-equiv="refresh"' in page.text


def test_before_the_stores_have_it_nobody_is_counted(viewer: PageClient, told: Told) -> None:
    page = viewer.get(RELEASE)
    assert 'id="arrival"' not in page.text
    assert listens(page)


def test_a_page_waits_for_those_that_are_missing_and_names_them(viewer: PageClient, told: Told) -> None:
    arrive(told)
    told.tell("api-1:10:a", 2)
    told.tell("api-2:10:a", 2)
    told.tell("api-3:10:a", 1, serving_since=(now() - dt.timedelta(hours=3)).isoformat())
    told.tell("api-4:10:a", 1, quarantined=told.sha256(2), last_error="its bytes are <wrong>")
    told.tell("api-5:10:a", 2, held_back={"prompt/x": "because"})
    told.tell("api-6:10:a", None)
    told.tell("api-7:10:a", 2)
    told.look()
    told.tell("api-7:10:a", 2, seconds=0)
    page = viewer.get(RELEASE)

    assert "3 of 7 processes confirmed" in arrival(page)
    stragglers = [words(each) for each in page.by_id("arrival").iter("li")]
    assert [each.split()[0] for each in stragglers] == [
        "api-3:10:a",
        "api-4:10:a",
        "api-6:10:a",
        "api-5:10:a",
    ]
    assert "serves release 1, begun 3 h ago; heard just now" in stragglers[0]
    assert "refused it and serves release 1" in stragglers[1]
    assert "its bytes are <wrong>" in stragglers[1]
    assert "has nothing to serve yet" in stragglers[2]
    assert "confirmed but for 1 entry" in stragglers[3]
    assert listens(page)
    assert refreshes(page)


def test_once_all_confirm_the_page_rests(viewer: PageClient, told: Told) -> None:
    arrive(told)
    for number in range(4):
        told.tell(f"api-{number}:10:a", 2)
    told.tell("young:10:a", 2, started=str(now()))
    told.look()

    page = viewer.get(RELEASE)

    assert "5 of 5 processes confirmed" in arrival(page)
    assert "until 4 processes served it" in arrival(page)
    assert "Certain by" not in arrival(page)
    assert not listens(page)
    assert not refreshes(page)


def test_how_long_it_took_is_told_in_percentiles(viewer: PageClient, told: Told) -> None:
    made_at = get_release(told.session, "production", 2).created_at
    for number in range(20):
        told.tell(
            f"api-{number}:10:a", 2, serving_since=str(made_at + dt.timedelta(seconds=(number + 1) / 2))
        )
    arrive(told)
    told.look(ahead=60)

    page = viewer.get(RELEASE)

    assert "p50 5.0 s · p95 9.5 s · p99 10.0 s, from its making until 20 processes served it" in arrival(page)


def test_after_a_while_the_page_says_who_is_missing_and_rests(viewer: PageClient, told: Told) -> None:
    arrive(told, ago=dt.timedelta(minutes=3))
    told.tell("api-1:10:a", 2)
    told.tell("api-2:10:a", 1)
    told.look()

    page = viewer.get(RELEASE)

    assert "1 of 2 processes confirmed" in arrival(page)
    assert "1 process is missing." in arrival(page)
    assert "api-2:10:a" in arrival(page)
    assert not listens(page)
    assert not refreshes(page)


@pytest.mark.parametrize(("ago", "waits"), [(JUST_NOW, True), (dt.timedelta(seconds=8), False)])
def test_where_nobody_tells_it_is_certain_by_a_time(
    viewer: PageClient, told: Told, ago: dt.timedelta, *, waits: bool
) -> None:
    arrive(told, ago=ago)
    told.look()

    page = viewer.get(RELEASE)

    assert "No process tells of itself." in arrival(page)
    assert "Certain by" in arrival(page)
    assert listens(page) is waits


def test_a_slow_poll_makes_it_certain_later(viewer: PageClient, told: Told) -> None:
    arrive(told)
    told.tell("slow:10:a", 1, poll_seconds=600)
    told.look()

    moments = [each.get("datetime", "") for each in viewer.get(RELEASE).by_id("arrival").iter("time")]

    assert dt.datetime.fromisoformat(moments[0]) > now() + dt.timedelta(seconds=500)


def test_without_a_worker_nothing_is_claimed(viewer: PageClient, told: Told) -> None:
    arrive(told)

    page = viewer.get(RELEASE)

    assert "Nobody has looked at the processes yet" in arrival(page)
    assert "confirmed" not in arrival(page)


def test_the_stream_tells_of_each_that_arrives_and_ends_with_the_last(
    viewer: PageClient, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controlplane.releases.views.STREAM_PAUSE", 0.0)
    arrive(told)
    for process in ("a:1:a", "b:1:a"):
        told.tell(process, 1)
    told.look()
    answer = viewer.flask.get(f"{RELEASE}/events", headers={"Sec-Fetch-Site": "same-origin"})
    stream = iter(answer.iter_encoded())
    seen = [next(stream).decode()]
    for process in ("a:1:a", "b:1:a"):
        told.tell(process, 2)
        told.look()
        seen.append(next(each.decode() for each in stream if b"still here" not in each))
    last = next(stream).decode()
    answer.close()

    assert ["0 of 2" in seen[0], "1 of 2" in seen[1], "2 of 2" in seen[2]] == [True] * 3
    assert last == "event: done\ndata: done\n\n"


def test_of_a_release_that_was_live_it_is_told_how_long_it_took(viewer: PageClient, told: Told) -> None:
    told.tell("api-1:10:a", 1)
    told.look()
    arrive(told)

    page = viewer.get("/production/releases/1")

    assert "Had arrived" in arrival(page)
    assert "until 1 process served it" in arrival(page)
    assert not listens(page)


def test_the_bar_and_the_list_say_how_many_confirm(viewer: PageClient, told: Told) -> None:
    arrive(told)
    told.tell("a:1:a", 2)
    told.tell("b:1:a", 1)
    told.look()

    page = viewer.get("/production/releases")

    assert "1 of 2 confirmed" in words(page.all("tr")[1])
    assert not any("confirmed" in words(row) for row in page.all("tr")[2:])
    bar = words(page.one("header", class_="environment-bar"))
    assert "Confirmed by 1/2 processes" in bar


def test_an_emergency_is_marked(viewer: PageClient, told: Told) -> None:
    services.roll_back(told.session, "production", to=1, reason=REASON, actor=PUBLISHER, authority=EMERGENCY)
    told.session.commit()

    assert "An emergency" in viewer.get("/production/releases/3").body
    assert "Emergency" in words(viewer.get("/production/releases").all("tr")[1])
    assert "An emergency" not in viewer.get(RELEASE).body


def test_who_agreed_is_named_with_a_link_to_the_proposal(viewer: PageClient, told: Told) -> None:
    propose(told.session)
    page = viewer.get("/production/releases/3")

    assert page.link("Proposal 7") == "/production/proposals/7"
    assert "Grace, just now" in page.body
    assert "Linus" not in page.body


def propose(session: Session) -> None:
    """A proposal that became release 3: Grace agreed to what it was in the end, Linus to what it was before."""
    proposal = Proposal(
        environment="production",
        number=7,
        summary="one entry",
        reason="because",
        source="saved",
        state="approved",
        base=1,
        content_sha256="a" * 64,
        author_id="x",
        author_name="Ada",
        created_at=now(),
        updated_at=now(),
    )
    session.add(proposal)
    session.flush()
    for name, sha256 in (("Grace", "a" * 64), ("Linus", "b" * 64)):
        who = {"person_id": name, "name": name, "approved_sha256": sha256, "approved_at": now()}
        session.add(ProposalParticipant(environment="production", number=7, **who))
    services.roll_back(
        session, "production", to=1, reason=REASON, actor=PUBLISHER, authority=Authority.approved(7)
    )
    proposal.state, proposal.release = "published", 3
    session.commit()


def test_it_is_compared_with_any_other(viewer: PageClient, told: Told) -> None:
    save_configuration(told.session, model="CLAUDE_3_5_SONNET", temperature=0.3)
    publish_saved(told.session, "production")

    page = viewer.get("/production/releases/3?against=1")

    assert "Against release 1: 1 entry." in page.body
    assert "temperature 0.7 → 0.3" in page.body
    assert "CLAUDE_3_HAIKU" not in words(page.by_id("changes")).split("Against release 1:")[1]
    assert "CLAUDE_3_HAIKU → CLAUDE_3_5_SONNET" in viewer.get("/production/releases/3").body
    assert viewer.get("/production/releases/3?against=99").status == 404
    assert viewer.get("/production/releases/3?against=x").status == 200


def test_restore_and_revert_lead_on_for_those_who_may(client_as: ClientAs, told: Told) -> None:
    page = client_as("publisher").get(RELEASE)
    assert page.link("Roll back to release 1") == "/production/releases/1/roll-back"
    assert page.link("Revert this") == "/production/proposals/new?source=release:2:revert"
    earlier = client_as("on-call").get("/production/releases/1")
    assert earlier.link("Restore release 1") == "/production/releases/1/roll-back"
    assert "Needs On-call" in client_as("viewer").get(RELEASE).body


def test_neighbours_are_those_there_are(viewer: PageClient, told: Told) -> None:
    """Numbers only rise, but a restored database may leave some out."""
    told.session.execute(text("UPDATE environments SET next_release = 9 WHERE code = 'production'"))
    told.session.commit()
    save_configuration(told.session, temperature=0.3)
    assert publish_saved(told.session, "production").number == 9

    assert viewer.get("/production/releases/9").link("Release 2") == RELEASE
    assert viewer.get(RELEASE).link("Release 9") == "/production/releases/9"
