"""Taking a change back through the browser: proposed like anything else, or at once, as an emergency."""

from collections.abc import Callable

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Role
from controlplane.audit.models import AuditEvent
from controlplane.prompts import services as prompts
from controlplane.prompts.services import latest_version
from controlplane.registry.models import Environment
from controlplane.releases.history import get_release
from controlplane.releases.saved import live_entry
from controlplane.reviews.models import EventReview
from tests.page import PageClient
from tests.proposals.choosing import action_of, at, offered, proposal, proposed, send
from tests.releases.changing import (
    EDITOR,
    PREMIUM,
    PROMPT,
    REASON,
    move,
    publish_saved,
    save_configuration,
    save_prompt,
    two_variants,
)

ClientAs = Callable[[Role | str], PageClient]
REVERT = at("release:2:revert")


@pytest.fixture
def changed(first_data: Session) -> Session:
    """Release 2 has another model; from now on production asks for an approval."""
    save_configuration(first_data, model="CLAUDE_3_HAIKU")
    publish_saved(first_data, "production")
    first_data.get_one(Environment, "production").approvals = 1
    first_data.commit()
    return first_data


def ask_nobody(session: Session, approvals: int = 0) -> None:
    session.get_one(Environment, "production").approvals = approvals
    session.commit()


def test_an_incident_is_over_in_five_steps(client_as: ClientAs, changed: Session) -> None:
    on_call = client_as("on-call")
    event = changed.scalars(select(AuditEvent).where(AuditEvent.release == 2)).one()

    changes = on_call.get("/changes")  # 1
    assert f"/changes/{event.id}" in changes.text
    change = on_call.get(f"/changes/{event.id}")  # 2
    page = on_call.get(change.link("Revert this"))  # 3
    answer = send(on_call, page, step="now", reason="Answers are wrong since ten o'clock")  # 4 and 5

    assert answer.location == "/production/releases/3"
    assert on_call.follow(answer).heading == "Release 3"
    assert live_entry(changed, "production", PREMIUM) == live_entry(changed, "production", PREMIUM, at=1)
    assert get_release(changed, "production", 3).emergency


def test_what_is_taken_back_at_once_is_marked_and_looked_at_afterwards(
    client_as: ClientAs, changed: Session
) -> None:
    on_call = client_as("on-call")

    page = on_call.get(REVERT)
    assert "nobody has to agree first" in page.body
    send(on_call, page, step="now")

    event = changed.scalars(select(AuditEvent).order_by(AuditEvent.sequence.desc()).limit(1)).one()
    assert (event.action, event.emergency, event.reason) == ("release.reverted", True, REASON)
    assert event.sentence.startswith(
        "took release 2 of production back: COACHING_RESPONSE · premium: model CLAUDE_3_HAIKU → CLAUDE_3_5_SONNET"
    )
    review = changed.get_one(EventReview, event.id)
    assert (review.state, review.asked) == ("unreviewed", "emergency")


def test_at_once_needs_a_reason_and_keeps_what_was_ticked(client_as: ClientAs, changed: Session) -> None:
    on_call = client_as("on-call")

    page = send(on_call, on_call.get(REVERT), step="now", reason="")

    assert page.status == 422
    assert page.error_of("reason")
    assert page.form(action_of(page))["entries"] == PREMIUM


def test_an_editor_proposes_it_and_is_told_who_may_do_it_at_once(
    client_as: ClientAs, changed: Session
) -> None:
    editor = client_as("editor")
    page = editor.get(REVERT)
    assert "Needs On-call" in page.body

    assert send(editor, page, step="now").status == 403
    assert send(editor, page, step="review").status == 303

    assert proposed(changed) == {PREMIUM: live_entry(changed, "production", PREMIUM, at=1)}
    assert proposal(changed).source == "revert of release 2"


def test_only_what_takes_something_back_goes_around_the_rules(client_as: ClientAs, changed: Session) -> None:
    save_prompt(changed)
    on_call = client_as("on-call")

    page = send(on_call, on_call.get(at("saved")), step="now")

    assert page.status == 422
    assert "Only what takes something back" in page.body
    assert live_entry(changed, "production", PROMPT) == live_entry(changed, "production", PROMPT, at=1)


def test_one_entry_of_a_release_may_be_taken_back(client_as: ClientAs, first_data: Session) -> None:
    save_configuration(first_data, model="CLAUDE_3_HAIKU")
    save_prompt(first_data)
    publish_saved(first_data, "production")
    publisher = client_as("publisher")

    page = publisher.get(f"{REVERT}&entry={PREMIUM}")
    send(publisher, page, step="now")

    assert len(offered(page)) == 2
    assert live_entry(first_data, "production", PREMIUM) == live_entry(
        first_data, "production", PREMIUM, at=1
    )
    assert live_entry(first_data, "production", PROMPT) == live_entry(first_data, "production", PROMPT, at=2)


def test_what_was_changed_again_is_a_choice(client_as: ClientAs, changed: Session) -> None:
    ask_nobody(changed)
    save_configuration(changed, model="CLAUDE_OPUS_4_5", temperature=0.1)
    publish_saved(changed, "production")
    on_call = client_as("on-call")
    page = on_call.get(REVERT)
    name = f"choose.{PREMIUM}.model"
    assert page.form(action_of(page))[name] == "ours"

    send(on_call, page, step="now", **{name: "theirs"})
    assert live_entry(changed, "production", PREMIUM) == live_entry(changed, "production", PREMIUM, at=3)


def test_old_and_later_in_one_is_saved_as_a_version(client_as: ClientAs, changed: Session) -> None:
    ask_nobody(changed)
    save_configuration(changed, temperature=0.1)
    publish_saved(changed, "production")
    on_call = client_as("on-call")

    send(on_call, on_call.get(REVERT), step="now")

    live = live_entry(changed, "production", PREMIUM)
    assert live is not None
    (variant,) = live["variants"]
    assert (variant["version"], variant["model"], variant["temperature"]) == (4, "CLAUDE_3_5_SONNET", 0.1)
    assert "Nothing would change" in on_call.get(at("saved")).body


def test_a_text_keeps_what_came_later(client_as: ClientAs, first_data: Session) -> None:
    save_prompt(first_data, suffix="Alpha.\nBeta.\nGamma.")
    publish_saved(first_data, "production")
    publisher = client_as("publisher")
    save_prompt(first_data, suffix="Delta.\nEpsilon.")
    publish_saved(first_data, "production")

    page = publisher.get(REVERT)
    body = page.form(action_of(page))[f"text.{PROMPT}"]
    assert "<<<<<<< yours" in body
    refused = send(publisher, page, step="now", **{f"choose.{PROMPT}.version": "own"})
    assert refused.status == 422
    assert "is a mark" in refused.body
    kept = refused.form(action_of(refused))
    assert kept[f"text.{PROMPT}"].strip() == body.strip()
    assert kept[f"choose.{PROMPT}.version"] == "own"

    answer = send(
        publisher,
        refused,
        step="now",
        **{f"choose.{PROMPT}.version": "own", f"text.{PROMPT}": "Mended by hand.\n"},
    )
    assert answer.status == 303
    latest = latest_version(first_data, "coaching_response")
    assert latest is not None
    assert (latest.number, latest.body) == (4, "Mended by hand.\n")
    live = live_entry(first_data, "production", PROMPT)
    assert live is not None
    assert live["version"] == 4


@pytest.fixture
def texts(first_data: Session) -> Session:
    """Release 2 adds a line at the end of a text, release 3 one at its beginning; then an approval is asked for."""
    save_prompt(first_data, suffix="The last word.")
    publish_saved(first_data, "production")
    latest = latest_version(first_data, "coaching_response")
    assert latest is not None
    prompts.save_version(
        first_data,
        prompts.get_prompt(first_data, "coaching_response"),
        body=f"The first word.\n{latest.body}",
        base_version=latest.number,
        reason=REASON,
        actor=EDITOR,
    )
    publish_saved(first_data, "production")
    ask_nobody(first_data, approvals=1)
    return first_data


@pytest.mark.parametrize("role", ["on-call", "publisher"])
def test_nobody_takes_the_chance_to_write_something_new(
    client_as: ClientAs, texts: Session, role: str
) -> None:
    client = client_as(role)

    page = send(client, client.get(REVERT), step="now", **{f"text.{PROMPT}": "Obey me.\n"})

    assert page.status == 422
    assert "Nobody has agreed to this text" in page.body
    assert page.form(action_of(page))[f"text.{PROMPT}"].strip() == "Obey me."
    assert live_entry(texts, "production", PROMPT) == live_entry(texts, "production", PROMPT, at=3)
    assert send(client, page, step="review").status == 303


def test_what_the_page_put_together_may_go_live_at_once(client_as: ClientAs, texts: Session) -> None:
    on_call = client_as("on-call")

    assert send(on_call, on_call.get(REVERT), step="now").status == 303

    latest = latest_version(texts, "coaching_response")
    live = live_entry(texts, "production", PROMPT)
    assert latest is not None
    assert live is not None
    assert (live["version"], live["sha256"]) == (4, latest.sha256)
    assert latest.body.startswith("The first word.\n")
    assert not latest.body.endswith("The last word.\n")


def test_a_rollout_that_began_by_mistake_is_taken_back(client_as: ClientAs, changed: Session) -> None:
    ask_nobody(changed)
    before = live_entry(changed, "production", PREMIUM)
    move(changed, "production", {PREMIUM: two_variants(changed, "production")})
    on_call = client_as("on-call")

    send(on_call, on_call.get(at("release:3:revert")), step="now")

    assert live_entry(changed, "production", PREMIUM) == before


def test_a_change_that_is_not_live_any_more_leaves_nothing_to_do(
    client_as: ClientAs, changed: Session
) -> None:
    on_call = client_as("on-call")
    send(on_call, on_call.get(REVERT), step="now")

    assert "Nothing would change" in on_call.get(REVERT).body


def test_sent_twice_it_is_told_and_not_done_twice(client_as: ClientAs, changed: Session) -> None:
    on_call = client_as("on-call")
    page = on_call.get(REVERT)
    send(on_call, page, step="now")

    again = send(on_call, page, step="now")

    assert again.status == 409
    assert "Changed since you opened this page" in again.body
