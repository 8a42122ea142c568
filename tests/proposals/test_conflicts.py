"""Somebody else was faster: what the page of a proposal's conflicts shows, and what comes of the choices."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.prompts import services as prompts
from controlplane.prompts.services import latest_version
from controlplane.proposals import reviewing, services
from controlplane.proposals.conflicts import conflicts_of
from controlplane.proposals.participants import participants_of
from controlplane.releases.compose import Document
from controlplane.releases.saved import live_entry, saved_entries
from tests.page import Page, PageClient
from tests.proposals.choosing import action_of, proposal, proposed
from tests.proposals.stage import make, make_submitted, rule
from tests.releases.changing import (
    DEFAULT,
    EDITOR,
    PREMIUM,
    PROMPT,
    REASON,
    move,
    save_configuration,
    save_prompt,
)

ClientAs = Callable[[Role | str], PageClient]
PAGE = "/production/proposals/1/conflict"
MODEL = f"choose.{PREMIUM}.model"
TEXT = f"text.{PROMPT}"


@pytest.fixture
def editor(client_as: ClientAs) -> PageClient:
    return client_as("editor")


def with_settings(session: Session, **settings: Any) -> Document:
    """The premium configuration as it is live, with other settings and as a version of its own."""
    number = save_configuration(session, **settings)
    saved, _ = saved_entries(session, "production")
    assert saved[PREMIUM]["variants"][0]["version"] == number
    return saved[PREMIUM]


def go_live(session: Session, key: str, document: Document | None) -> None:
    """As somebody does who is faster."""
    rule(session, approvals=0)
    move(session, "production", {key: document})
    rule(session, approvals=1)
    session.commit()


def both_change_the_model(session: Session, ada: Actor) -> None:
    """Ada proposes a cheaper model; meanwhile a dearer one and another temperature go live."""
    make_submitted(session, ada, entries={PREMIUM: with_settings(session, model="CLAUDE_3_HAIKU", top_p=0.5)})
    theirs = with_settings(session, model="CLAUDE_OPUS_4_5", temperature=0.1, top_p=None)
    go_live(session, PREMIUM, theirs)


def both_change_the_text(session: Session, ada: Actor, *, mine: str, theirs: str) -> None:
    rule(session, approvals=1)
    save_prompt(session, suffix=mine)
    saved, _ = saved_entries(session, "production")
    make_submitted(session, ada, entries={PROMPT: saved[PROMPT]})
    _save_over(session, theirs)
    saved, _ = saved_entries(session, "production")
    go_live(session, PROMPT, saved[PROMPT])


def _save_over(session: Session, text: str) -> None:
    """Save version 3 as if it was made from version 1, whose text stands for the braces."""
    base = prompts.get_version(session, "coaching_response", 1).body
    prompts.save_version(
        session,
        prompts.get_prompt(session, "coaching_response"),
        body=text.replace("{}", base.rstrip()) + "\n",
        base_version=2,
        reason=REASON,
        actor=EDITOR,
    )
    session.commit()


def decide(client: PageClient, page: Page, **choices: str) -> Page:
    return client.submit(page, action_of(page), choices)


def settings(document: Document) -> tuple[object, ...]:
    (variant,) = document["variants"]
    return tuple(variant[name] for name in ("version", "model", "temperature", "top_p"))


def test_nothing_in_the_way_is_said(editor: PageClient, first_data: Session, ada: Actor) -> None:
    make_submitted(first_data, ada)
    first_data.commit()

    assert "Nothing is in the way" in editor.get(PAGE).body


def test_three_sides_are_shown_and_who_was_faster(
    editor: PageClient, first_data: Session, ada: Actor
) -> None:
    both_change_the_model(first_data, ada)

    page = editor.get(PAGE)

    assert "Grace made release 2" in page.body
    rows = page.texts("tr")
    assert any(
        row.startswith("Model CLAUDE_3_5_SONNET")
        and "theirs, release 2: CLAUDE_OPUS_4_5" in row.replace("Theirs", "theirs")
        and "Yours: CLAUDE_3_HAIKU" in row
        for row in rows
    )
    assert any(row.startswith("Temperature 0.7") and "0.1" in row for row in rows)
    assert page.form(action_of(page))[MODEL] == "ours"
    names = {each.get("name") for each in page.all("input", type="radio")}
    assert names == {MODEL}


def test_what_both_did_becomes_a_version_and_the_proposal_is_looked_at_again(
    editor: PageClient, first_data: Session, ada: Actor, grace: Actor
) -> None:
    both_change_the_model(first_data, ada)
    row = proposal(first_data)
    assert conflicts_of(first_data, row)

    answer = decide(editor, editor.get(PAGE))

    assert answer.location == "/production/proposals/1"
    row = proposal(first_data)
    assert (row.state, row.base) == ("in_review", 2)
    assert settings(proposed(first_data)[PREMIUM]) == (4, "CLAUDE_3_HAIKU", 0.1, 0.5)
    assert not conflicts_of(first_data, row)
    writers = [each.person_id for each in participants_of(first_data, row) if each.contributed]
    assert editor.actor_id in writers
    assert ada.id in writers


def test_two_changes_that_do_not_go_together_are_told(
    editor: PageClient, first_data: Session, ada: Actor
) -> None:
    live = live_entry(first_data, "production", PREMIUM)
    assert live is not None
    fallbacks = live["variants"][0]["fallbacks"]
    mine = with_settings(first_data, fallbacks=["CLAUDE_3_HAIKU"])
    make_submitted(first_data, ada, entries={PREMIUM: mine})
    go_live(first_data, PREMIUM, with_settings(first_data, model="CLAUDE_3_HAIKU", fallbacks=fallbacks))

    page = decide(editor, editor.get(PAGE))

    assert page.status == 422
    assert (
        "COACHING_RESPONSE · premium cannot have both changes: CLAUDE_3_HAIKU is the model itself"
        in page.body
    )


def test_agreement_is_void_after_a_choice(
    editor: PageClient, first_data: Session, ada: Actor, grace: Actor
) -> None:
    row = make_submitted(
        first_data, ada, entries={PREMIUM: with_settings(first_data, model="CLAUDE_3_HAIKU")}
    )
    reviewing.approve(
        first_data, "production", 1, revision=row.revision, seen_sha256=row.content_sha256, actor=grace
    )
    first_data.commit()
    go_live(first_data, PREMIUM, with_settings(first_data, model="CLAUDE_OPUS_4_5", temperature=0.1))

    page = editor.get(PAGE)
    assert "whoever agreed to it has to agree again" in page.body
    decide(editor, page)

    row = proposal(first_data)
    assert row.state == "in_review"
    assert [each.approved_sha256 for each in participants_of(first_data, row) if each.approved_sha256] == []


def test_other_entries_come_along_as_they_were_proposed(
    editor: PageClient, first_data: Session, ada: Actor
) -> None:
    default = live_entry(first_data, "production", DEFAULT)
    assert default is not None
    cooler = {**default, "variants": [{**default["variants"][0], "temperature": 0.2}]}
    mine = with_settings(first_data, model="CLAUDE_3_HAIKU")
    make_submitted(first_data, ada, entries={PREMIUM: mine, DEFAULT: cooler})
    go_live(first_data, PREMIUM, with_settings(first_data, model="CLAUDE_OPUS_4_5"))

    page = editor.get(PAGE)
    assert "As they were proposed: COACHING_RESPONSE · default" in page.body
    decide(editor, page, **{MODEL: "theirs"})

    assert proposed(first_data) == {DEFAULT: cooler}


def test_when_all_of_it_is_live_nothing_is_left_to_propose(
    editor: PageClient, first_data: Session, ada: Actor
) -> None:
    make_submitted(first_data, ada, entries={PREMIUM: with_settings(first_data, model="CLAUDE_3_HAIKU")})
    go_live(first_data, PREMIUM, with_settings(first_data, model="CLAUDE_OPUS_4_5"))

    page = decide(editor, editor.get(PAGE), **{MODEL: "theirs"})

    assert page.status == 422
    assert "withdraw the proposal" in page.body
    assert page.form(action_of(page))[MODEL] == "theirs"


def test_when_it_moves_again_meanwhile_choices_are_kept(
    editor: PageClient, first_data: Session, ada: Actor
) -> None:
    both_change_the_model(first_data, ada)
    page = editor.get(PAGE)
    go_live(first_data, PREMIUM, with_settings(first_data, model="CLAUDE_OPUS_4_5", temperature=0.4))

    again = decide(editor, page, **{MODEL: "theirs"})

    assert again.status == 409
    assert "Changed again since you opened this page" in again.body
    assert again.form(action_of(again))[MODEL] == "theirs"
    assert decide(editor, again).status == 303


def test_somebody_else_chose_meanwhile(editor: PageClient, first_data: Session, ada: Actor) -> None:
    both_change_the_model(first_data, ada)
    page = editor.get(PAGE)
    decide(editor, page)

    again = decide(editor, page)

    assert again.status == 409
    assert "was changed since you opened this page" in again.body


def test_texts_without_a_common_line_come_together(
    editor: PageClient, first_data: Session, ada: Actor
) -> None:
    both_change_the_text(first_data, ada, mine="The last word.", theirs="The first word.\n{}")

    page = editor.get(PAGE)
    form = page.form(action_of(page))
    assert form[f"choose.{PROMPT}.version"] == "own"
    assert "<<<<<<<" not in form[TEXT]
    assert decide(editor, page).status == 303

    version = latest_version(first_data, "coaching_response")
    assert version is not None
    assert (version.number, version.author_id) == (4, editor.actor_id)
    assert version.body.startswith("The first word.\n")
    assert version.body.endswith("The last word.\n")
    assert proposed(first_data)[PROMPT]["sha256"] == version.sha256


def test_texts_that_meet_are_put_right_by_hand(editor: PageClient, first_data: Session, ada: Actor) -> None:
    both_change_the_text(first_data, ada, mine="Mine.", theirs="{}\nTheirs.")
    page = editor.get(PAGE)
    body = page.form(action_of(page))[TEXT]
    assert "<<<<<<< yours\nMine.\n=======\nTheirs.\n>>>>>>> theirs" in body

    refused = decide(editor, page, **{f"choose.{PROMPT}.version": "own", TEXT: body + "And more.\n"})
    assert refused.status == 422
    assert "is a mark" in refused.body
    assert "And more." in refused.form(action_of(refused))[TEXT]

    mended = decide(editor, refused, **{TEXT: "Theirs, then mine.\n"})
    assert mended.status == 303
    version = latest_version(first_data, "coaching_response")
    assert version is not None
    assert version.body == "Theirs, then mine.\n"


def test_a_text_worked_on_but_not_chosen_is_kept_and_asked_about(
    editor: PageClient, first_data: Session, ada: Actor
) -> None:
    both_change_the_text(first_data, ada, mine="Mine.", theirs="{}\nTheirs.")
    chosen = {f"choose.{PROMPT}.version": "ours"}

    refused = decide(editor, editor.get(PAGE), **chosen, **{TEXT: "An hour of work.\n"})
    assert refused.status == 422
    assert "is not what is chosen above" in refused.body
    assert refused.form(action_of(refused))[TEXT] == "An hour of work.\n"

    assert decide(editor, refused, **chosen, **{TEXT: ""}).status == 303
    assert proposed(first_data)[PROMPT]["version"] == 2


def test_a_text_that_no_template_may_have_is_refused_and_kept(
    editor: PageClient, first_data: Session, ada: Actor
) -> None:
    both_change_the_text(first_data, ada, mine="Mine.", theirs="{}\nTheirs.")

    page = decide(
        editor, editor.get(PAGE), **{f"choose.{PROMPT}.version": "own", TEXT: "{{ nobody_knows_me }}\n"}
    )

    assert page.status == 422
    assert "nobody_knows_me" in page.body
    assert page.form(action_of(page))[TEXT].strip() == "{{ nobody_knows_me }}"


def test_one_that_is_gone_by_now_is_one_choice(editor: PageClient, first_data: Session, ada: Actor) -> None:
    make_submitted(first_data, ada, entries={PREMIUM: with_settings(first_data, model="CLAUDE_3_HAIKU")})
    go_live(first_data, PREMIUM, None)

    page = editor.get(PAGE)
    assert any("Whole entry" in row and "not there" in row for row in page.texts("tr"))
    assert decide(editor, page).status == 303

    assert settings(proposed(first_data)[PREMIUM])[1] == "CLAUDE_3_HAIKU"


def test_a_draft_stays_a_draft(editor: PageClient, first_data: Session, ada: Actor) -> None:
    make(first_data, ada, entries={PREMIUM: with_settings(first_data, model="CLAUDE_3_HAIKU", top_p=0.5)})
    go_live(first_data, PREMIUM, with_settings(first_data, model="CLAUDE_OPUS_4_5", temperature=0.1))

    decide(editor, editor.get(PAGE))

    assert proposal(first_data).state == "draft"


def test_an_ended_proposal_has_nothing_to_choose(editor: PageClient, first_data: Session, ada: Actor) -> None:
    row = make_submitted(first_data, ada)
    services.withdraw(first_data, "production", 1, revision=row.revision, actor=ada)
    first_data.commit()

    assert "This proposal has ended" in editor.get(PAGE).body
    assert editor.get("/production/proposals/99/conflict").status == 404
