from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Role
from controlplane.registry import services as registry
from controlplane.registry.models import Interaction
from controlplane.releases import history, services
from tests.page import Page, PageClient, words
from tests.releases.changing import (
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
