from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Role
from controlplane.releases import services
from controlplane.releases.saved import live_entry
from controlplane.releases.steps import State, Step
from tests.page import Page, PageClient, words
from tests.releases.changing import (
    DEFAULT,
    PREMIUM,
    PUBLISHER,
    REASON,
    publish_saved,
    save_configuration,
    save_prompt,
)
from tests.releases.exporting import exported, tell

ClientAs = Callable[[Role | str], PageClient]


@pytest.fixture
def publisher(client_as: ClientAs) -> PageClient:
    return client_as("publisher")


@pytest.fixture
def viewer(client_as: ClientAs) -> PageClient:
    return client_as("viewer")


def chosen(page: Page) -> list[str]:
    return [
        each.get("value", "") for each in page.all("input", name="entries") if each.get("checked") is not None
    ]


def test_the_list_says_of_each_release_how_it_stands(viewer: PageClient, first_data: Session) -> None:
    exported(first_data, 1)
    save_configuration(first_data, model="CLAUDE_3_HAIKU")
    publish_saved(first_data, "production")
    save_prompt(first_data)
    publish_saved(first_data, "production")
    exported(first_data, 3)
    services.roll_back(first_data, "production", to=1, reason=REASON, actor=PUBLISHER)
    first_data.commit()

    page = viewer.get("/production/releases")

    rows = [words(row) for row in page.all("tr")[1:]]
    assert [row.split()[0] for row in rows] == ["4", "3", "2", "1"]
    assert "Waiting" in rows[0]
    assert "back to release 1" in rows[0]
    assert "Live" in rows[1]
    assert "Passed over" in rows[2]
    assert "Was live" in rows[3]


def test_long_lists_go_on(viewer: PageClient, first_data: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controlplane.releases.views.PAGE_LENGTH", 2)
    for share in (1, 2, 3, 4):
        save_configuration(first_data, temperature=share / 10)
        publish_saved(first_data, "production")

    first = viewer.get("/production/releases")
    second = viewer.get(first.link("Older"))
    third = viewer.get(second.link("Older"))

    numbers = [[words(row).split()[0] for row in page.all("tr")[1:]] for page in (first, second, third)]
    assert numbers == [["5", "4"], ["3", "2"], ["1"]]
    assert viewer.get("/production/releases?before=1").status == 200


def test_a_page_in_progress_listens_and_works_without_script(viewer: PageClient, first_data: Session) -> None:
    page = viewer.get("/production/releases/1")

    streams = [each.get("data-stream") for each in page.all("div") if each.get("data-stream")]
    assert streams == ["/production/releases/1/events"]
    assert '<noscript><meta http-equiv="refresh" content="2"></noscript>' in page.text


def test_a_release_of_everything_shows_the_fields_of_the_entry_asked_for(viewer: PageClient) -> None:
    page = viewer.get("/production/releases/1")
    assert len(page.all("article")) == 74
    assert page.all("details", class_="more") == []

    shown = viewer.get(
        next(each.get("href", "") for each in page.all("a") if "coaching_response#" in each.get("href", ""))
    )

    assert "Text of Template coaching_response" in shown.text
    assert len(shown.all("details", class_="more")) == 1


def test_a_page_that_is_done_neither_listens_nor_refreshes(viewer: PageClient, first_data: Session) -> None:
    exported(first_data, 1)

    page = viewer.get("/production/releases/1")

    assert "every service takes it up" in page.body
    assert "hx-sse" not in page.text
    assert "data-stream" not in page.text
    assert "http-equiv" not in page.text


def test_events_send_the_fragment_of_the_page_and_end_when_it_is_done(
    viewer: PageClient, first_data: Session
) -> None:
    exported(first_data, 1)

    answer = viewer.get("/production/releases/1/events")

    assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.text.endswith("event: done\ndata: done\n\n")
    fragment = "\n".join(line.removeprefix("data: ") for line in answer.text.split("\n\n")[0].splitlines())
    assert 'id="export"' in fragment
    assert "words of pointer" in fragment


def test_events_of_what_is_not_done_end_by_themselves(
    viewer: PageClient, first_data: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controlplane.releases.views.STREAM_LOOKS", 3)
    monkeypatch.setattr("controlplane.releases.views.STREAM_PAUSE", 0.0)

    answer = viewer.get("/production/releases/1/events")

    assert answer.text.count('id="export"') == 1
    assert answer.text.count(": still here") == 2
    assert "event: done" not in answer.text


def test_a_failed_export_shows_what_went_wrong(viewer: PageClient, first_data: Session) -> None:
    tell(first_data, 1, Step.OBJECTS, State.FAILED, "cannot write <x>: AccessDenied", attempts=4)

    page = viewer.get("/production/releases/1")

    assert "Not exported" in page.body
    assert "cannot write <x>: AccessDenied" in page.body
    assert "attempt 4" in page.body


def test_rolling_back_shows_what_would_change_and_does_it(publisher: PageClient, first_data: Session) -> None:
    save_configuration(first_data, model="CLAUDE_3_HAIKU")
    save_configuration(first_data, tier=None, temperature=0.1)
    publish_saved(first_data, "production")
    latest = publisher.get("/production/releases/2")
    page = publisher.get(latest.link("Roll back to release 1"))
    assert chosen(page) == [DEFAULT, PREMIUM]
    assert "model CLAUDE_3_HAIKU → CLAUDE_3_5_SONNET" in page.body.replace("Model", "model")

    answer = publisher.submit(
        page, "/production/releases/1/roll-back", {"entries": PREMIUM, "reason": REASON}
    )

    assert answer.location == "/production/releases/3"
    assert "Rolled back to release 1, as release 3." in publisher.follow(answer).text
    assert live_entry(first_data, "production", PREMIUM) == live_entry(
        first_data, "production", PREMIUM, at=1
    )
    assert live_entry(first_data, "production", DEFAULT) == live_entry(
        first_data, "production", DEFAULT, at=2
    )


def test_a_refused_rollback_comes_back_as_typed(publisher: PageClient, first_data: Session) -> None:
    save_configuration(first_data, model="CLAUDE_3_HAIKU")
    publish_saved(first_data, "production")
    page = publisher.get("/production/releases/1/roll-back")

    answer = publisher.submit(page, "/production/releases/1/roll-back", {"reason": "short"})

    assert answer.status == 422
    assert answer.error_of("reason")
    assert chosen(answer) == [PREMIUM]


def test_a_rollback_from_a_stale_page_is_a_conflict(publisher: PageClient, first_data: Session) -> None:
    save_configuration(first_data, model="CLAUDE_3_HAIKU")
    publish_saved(first_data, "production")
    page = publisher.get("/production/releases/1/roll-back")
    save_configuration(first_data, temperature=0.1)
    publish_saved(first_data, "production")

    answer = publisher.submit(page, "/production/releases/1/roll-back", {"reason": REASON})

    assert answer.status == 409
    assert "(release 3)" in answer.body


def test_rolling_back_to_what_is_live_has_nothing_to_do(publisher: PageClient) -> None:
    assert "Nothing to roll back" in publisher.get("/production/releases/1/roll-back").body


def test_any_two_releases_are_compared(viewer: PageClient, first_data: Session) -> None:
    save_configuration(first_data, model="CLAUDE_3_HAIKU")
    publish_saved(first_data, "production")
    save_prompt(first_data)
    publish_saved(first_data, "production")

    both = viewer.get("/production/releases/compare?from=1&to=3")
    last = viewer.get("/production/releases/compare")
    back = viewer.get("/production/releases/compare?from=3&to=1")

    assert "From release 1 to release 3: 2 entries" in both.body
    assert "From release 2 to release 3: 1 entry" in last.body
    assert "CLAUDE_3_HAIKU → CLAUDE_3_5_SONNET" in back.body
    assert "No difference" in viewer.get("/production/releases/compare?from=2&to=2").body


@pytest.mark.parametrize(
    "path",
    [
        "/production/releases/99",
        "/production/releases/99/events",
        "/production/releases/0",
        "/production/releases/compare?from=1&to=99",
        "/nowhere/releases",
        "/nowhere/unpublished",
        "/production/releases/99999999999999999999",
    ],
)
def test_what_is_not_there_is_not_found(viewer: PageClient, path: str) -> None:
    assert viewer.get(path).status == 404
