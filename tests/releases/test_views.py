from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Role
from controlplane.db import now
from controlplane.registry import services as registry
from controlplane.registry.models import Interaction
from controlplane.releases import history, services
from controlplane.releases.models import ExportStep
from controlplane.releases.saved import live_entry
from controlplane.releases.steps import State, Step
from tests.page import Page, PageClient, words
from tests.releases.changing import (
    DEFAULT,
    PREMIUM,
    PROMPT,
    PUBLISHER,
    REASON,
    move,
    publish_saved,
    save_configuration,
    save_prompt,
    two_variants,
)

ClientAs = Callable[[Role | str], PageClient]
UNPUBLISHED = "/production/unpublished"


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


def exported(session: Session, number: int) -> None:
    """Tell of a release as a worker does that has brought it to the services."""
    for step in Step:
        tell(session, number, step, State.DONE, f"words of {step}")


def tell(session: Session, number: int, step: Step, state: State, words: str, *, attempts: int = 1) -> None:
    session.add(
        ExportStep(
            environment="production",
            number=number,
            step=step,
            state=state,
            started_at=now(),
            finished_at=now(),
            attempts=attempts,
            detail={"words": words},
        )
    )
    session.commit()


def test_nothing_to_publish_says_what_would_show_up(viewer: PageClient) -> None:
    page = viewer.get(UNPUBLISHED)

    assert "Everything saved is live" in page.body


def test_what_differs_is_shown_field_by_field_and_line_by_line(
    publisher: PageClient, first_data: Session
) -> None:
    save_configuration(first_data, model="CLAUDE_3_HAIKU", temperature=0.2)
    save_prompt(first_data, suffix="Never use <b>bold</b>.")

    page = publisher.get(UNPUBLISHED)

    assert chosen(page) == [PREMIUM, PROMPT]
    assert "Model CLAUDE_3_5_SONNET → CLAUDE_3_HAIKU, temperature 0.7 → 0.2" in page.body
    rows = [words(row) for row in page.all("tr")]
    assert "Model −removed: CLAUDE_3_5_SONNET +added: CLAUDE_3_HAIKU" in rows
    assert any("Never use <b>bold</b>." in row for row in rows)
    assert "1 line added" in page.body
    assert not any("Salt" in row or "Sha256" in row for row in rows)


def test_publishing_leads_to_the_releases_page(publisher: PageClient, first_data: Session) -> None:
    save_configuration(first_data, model="CLAUDE_3_HAIKU")
    page = publisher.get(UNPUBLISHED)

    answer = publisher.submit(page, UNPUBLISHED, {"reason": REASON})

    assert (answer.status, answer.location) == (303, "/production/releases/2")
    release = publisher.follow(answer)
    assert release.heading == "Release 2"
    assert "Published release 2." in release.text
    assert "CLAUDE_3_5_SONNET → CLAUDE_3_HAIKU" in release.body
    assert REASON in release.body
    assert "Waiting" in release.body
    assert "Everything saved is live" in publisher.get(UNPUBLISHED).body


def test_only_what_is_ticked_goes_live(publisher: PageClient, first_data: Session) -> None:
    save_configuration(first_data, model="CLAUDE_3_HAIKU")
    save_prompt(first_data)
    page = publisher.get(UNPUBLISHED)

    publisher.submit(page, UNPUBLISHED, {"entries": PROMPT, "reason": REASON})

    assert chosen(publisher.get(UNPUBLISHED)) == [PREMIUM]


def test_a_link_may_tick_a_single_entry(publisher: PageClient, first_data: Session) -> None:
    save_configuration(first_data, model="CLAUDE_3_HAIKU")
    save_prompt(first_data)

    assert chosen(publisher.get(f"{UNPUBLISHED}?entry={PREMIUM}")) == [PREMIUM]


@pytest.mark.parametrize(
    ("changes", "field"), [({"reason": "short"}, "reason"), ({"entries": []}, "entries")]
)
def test_a_refused_form_comes_back_as_typed(
    publisher: PageClient, first_data: Session, changes: dict[str, str], field: str
) -> None:
    save_configuration(first_data, model="CLAUDE_3_HAIKU")
    save_prompt(first_data)
    page = publisher.get(UNPUBLISHED)

    answer = publisher.submit(
        page, UNPUBLISHED, {"entries": PROMPT, "reason": "a reason that is long enough", **changes}
    )

    assert answer.status == 422
    assert answer.text.count("<title>Error: ") == 1
    assert answer.error_of(field)
    form = answer.form(UNPUBLISHED)
    assert form["reason"] == changes.get("reason", "a reason that is long enough")
    assert chosen(answer) == ([] if "entries" in changes else [PROMPT])
    latest = history.latest_release(first_data, "production")
    assert latest is not None
    assert latest.number == 1


def test_what_services_would_refuse_is_listed_in_words(publisher: PageClient, first_data: Session) -> None:
    """Half of a change is ticked: the configuration, without the template whose parameter it needs."""
    row = registry.get(first_data, Interaction, "COACHING_RESPONSE")
    row.parameters = [each for each in row.parameters if each["name"] != "user_message"]
    first_data.commit()
    page = publisher.get(UNPUBLISHED)

    answer = publisher.submit(page, UNPUBLISHED, {"reason": REASON})

    assert answer.status == 422
    assert "Services would refuse this release" in answer.body
    assert "Template coaching_response: its text uses user_message" in answer.body


def test_a_version_saved_since_the_page_was_opened_is_not_published_unseen(
    publisher: PageClient, first_data: Session
) -> None:
    save_configuration(first_data, model="CLAUDE_3_HAIKU")
    page = publisher.get(UNPUBLISHED)
    save_configuration(first_data, temperature=0.9)

    answer = publisher.submit(page, UNPUBLISHED, {"reason": REASON})

    assert answer.status == 409
    assert "Saved again since you opened this page: COACHING_RESPONSE · premium" in answer.body
    assert answer.form(UNPUBLISHED)["reason"] == REASON
    again = publisher.submit(answer, UNPUBLISHED)
    assert again.status == 303


def test_somebody_elses_release_meanwhile_is_a_conflict_with_nothing_lost(
    publisher: PageClient, first_data: Session
) -> None:
    save_configuration(first_data, model="CLAUDE_3_HAIKU")
    save_prompt(first_data)
    page = publisher.get(UNPUBLISHED)
    publish_saved(first_data, "production", PREMIUM)

    answer = publisher.submit(page, UNPUBLISHED, {"reason": REASON})

    assert answer.status == 409
    assert "COACHING_RESPONSE · premium (release 2)" in answer.body
    assert chosen(answer) == [PROMPT]
    assert publisher.submit(answer, UNPUBLISHED).location == "/production/releases/3"


def test_what_was_taken_back_is_not_ticked_and_says_why(publisher: PageClient, first_data: Session) -> None:
    save_configuration(first_data, model="CLAUDE_3_HAIKU")
    publish_saved(first_data, "production")
    services.roll_back(first_data, "production", to=1, reason=REASON, actor=PUBLISHER)
    first_data.commit()
    save_prompt(first_data)

    page = publisher.get(UNPUBLISHED)

    assert chosen(page) == [PROMPT]
    assert "Was live before; release 3 took it back." in page.body


def test_what_waits_for_a_rollout_is_told(viewer: PageClient, first_data: Session) -> None:
    save_configuration(first_data, model="CLAUDE_3_HAIKU")
    move(first_data, "production", {PREMIUM: two_variants(first_data, "production")})
    save_configuration(first_data, temperature=0.1)

    assert "version 3 waits: versions 1 and 2 are being rolled out" in viewer.get(UNPUBLISHED).body


def test_viewers_read_but_have_no_form(viewer: PageClient, first_data: Session) -> None:
    save_configuration(first_data, model="CLAUDE_3_HAIKU")

    page = viewer.get(UNPUBLISHED)

    assert "CLAUDE_3_HAIKU" in page.body
    assert page.all("input", name="entries") == []
    assert "Needs Publisher" in page.body
    assert viewer.post(UNPUBLISHED, {"entries": PREMIUM, "base": "1", "reason": REASON}).status == 403
    assert viewer.get("/production/releases/1/roll-back").status == 403
    assert viewer.post("/production/releases/1/roll-back", {"entries": PREMIUM, "base": "1"}).status == 403


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


@pytest.mark.parametrize("value", ["", "x", "-1", "99999999999999999999", "1e3"])
def test_a_tampered_base_is_refused_not_an_error(
    publisher: PageClient, first_data: Session, value: str
) -> None:
    save_configuration(first_data, model="CLAUDE_3_HAIKU")
    page = publisher.get(UNPUBLISHED)

    assert publisher.submit(page, UNPUBLISHED, {"base": value, "reason": REASON}).status == 422


@pytest.mark.parametrize("key", ["tier/nope", "a\x00b", "<script>", "configuration/x", ""])
def test_a_tampered_entry_is_refused_not_an_error(
    publisher: PageClient, first_data: Session, key: str
) -> None:
    save_configuration(first_data, model="CLAUDE_3_HAIKU")
    page = publisher.get(UNPUBLISHED)

    answer = publisher.submit(page, UNPUBLISHED, {"entries": key, "reason": REASON, "seen": f"{key} none"})

    assert answer.status in {409, 422}
    assert "<script>" not in answer.text
