"""Choosing what to propose, through the browser: each source, what is ticked, and what becomes of it."""

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Role
from controlplane.proposals.models import Proposal
from controlplane.registry.models import Environment
from controlplane.releases.saved import live_entry
from tests.page import PageClient
from tests.proposals.choosing import NEW, action_of, at, offered, proposal, propose, proposed, ticked
from tests.releases.changing import (
    DEFAULT,
    GATE,
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


@pytest.fixture
def editor(client_as: ClientAs) -> PageClient:
    return client_as("editor")


@pytest.fixture
def guarded(first_data: Session) -> Session:
    """Production asks for one approval."""
    row = first_data.get_one(Environment, "production")
    row.approvals = 1
    first_data.commit()
    return first_data


def test_without_a_source_the_sources_are_offered(editor: PageClient) -> None:
    page = editor.get(NEW)

    assert page.heading == "New proposal"
    assert page.link("Promote Staging").endswith("source=environment:staging")


@pytest.mark.parametrize(
    "source",
    [
        "nonsense",
        "release:",
        "release:99",
        "release:x:revert",
        "environment:production",
        "environment:nowhere",
        "bundle:x",
        "change:x",
        "saved:1",
        "%00",
        "release:99999999999999999999",
        "bundle:%00",
        "environment:%00",
        "change:%00",
    ],
)
def test_a_source_that_is_none_is_not_found(editor: PageClient, source: str) -> None:
    assert editor.get(at(source)).status == 404


def test_what_is_saved_becomes_a_proposal_in_review(editor: PageClient, guarded: Session) -> None:
    save_configuration(guarded, model="CLAUDE_3_HAIKU")
    save_prompt(guarded)

    answer = propose(editor, "saved", entries=PROMPT, step="review")

    assert (answer.status, answer.location) == (303, "/production/proposals/1")
    assert proposal(guarded).state == "in_review"
    assert (proposal(guarded).source, proposal(guarded).reason) == ("saved", REASON)
    assert list(proposed(guarded)) == [PROMPT]


def test_a_draft_is_nobodys_turn_yet(editor: PageClient, guarded: Session) -> None:
    save_prompt(guarded)

    propose(editor, "saved", step="draft")

    assert proposal(guarded).state == "draft"


def test_a_refused_form_keeps_what_was_typed_and_ticked(editor: PageClient, first_data: Session) -> None:
    save_configuration(first_data, model="CLAUDE_3_HAIKU")
    save_prompt(first_data)

    page = propose(editor, "saved", entries=PROMPT, reason="short")

    assert page.status == 422
    assert ticked(page) == [PROMPT]
    assert page.form(action_of(page))["reason"].strip() == "short"
    assert "10 to 500" in (page.error_of("reason") or "")


def test_what_nobody_sees_on_the_form_is_told_of_the_form(editor: PageClient, first_data: Session) -> None:
    save_prompt(first_data)

    for changes in ({"base": "x"}, {"step": "at once"}):
        page = propose(editor, "saved", **changes)
        assert page.status == 422
        assert "The form did not arrive whole" in page.body
        assert ticked(page) == [PROMPT]


def test_nothing_ticked_is_said_beside_the_entries(editor: PageClient, first_data: Session) -> None:
    save_prompt(first_data)

    page = propose(editor, "saved", entries=[])

    assert page.status == 422
    assert "Tick at least one entry." in page.body


def test_what_was_saved_meanwhile_is_not_proposed_unseen(editor: PageClient, first_data: Session) -> None:
    save_prompt(first_data)
    page = editor.get(at("saved"))
    save_prompt(first_data, suffix="And be kind.")

    again = editor.submit(page, action_of(page), {"reason": REASON})

    assert again.status == 409
    assert "Changed since you opened this page: Template coaching_response" in again.body
    assert "And be kind." in again.body
    assert first_data.get(Proposal, ("production", 1)) is None


def test_going_back_to_a_release_may_be_proposed(editor: PageClient, guarded: Session) -> None:
    before = live_entry(guarded, "production", PREMIUM)
    guarded.get_one(Environment, "production").approvals = 0
    save_configuration(guarded, model="CLAUDE_3_HAIKU")
    publish_saved(guarded, "production")

    propose(editor, "release:1")

    assert proposed(guarded) == {PREMIUM: before}
    assert proposal(guarded).source == "release 1"


# Promotion


def test_two_of_five_are_promoted(editor: PageClient, first_data: Session) -> None:
    save_configuration(first_data, model="CLAUDE_3_HAIKU")
    save_configuration(first_data, tier=None, temperature=0.3)
    save_prompt(first_data)
    save_prompt(first_data, code="kpi_analysis")
    save_prompt(first_data, code="insights_generation")
    publish_saved(first_data, "staging")
    page = editor.get(at("environment:staging"))
    assert len(offered(page)) == 5
    assert ticked(page) == offered(page)

    editor.submit(page, action_of(page), {"entries": [PREMIUM, PROMPT], "reason": REASON})

    assert proposed(first_data) == {
        PREMIUM: live_entry(first_data, "staging", PREMIUM),
        PROMPT: live_entry(first_data, "staging", PROMPT),
    }
    assert proposal(first_data).source == "staging release 2"


def test_shares_are_not_promoted_unless_somebody_ticks_them(editor: PageClient, first_data: Session) -> None:
    gate = live_entry(first_data, "staging", GATE)
    assert gate is not None
    move(
        first_data,
        "staging",
        {PREMIUM: two_variants(first_data, "staging"), GATE: {**gate, "ranges": [[0, 7]]}},
    )
    save_prompt(first_data)
    publish_saved(first_data, "staging", PROMPT)

    page = editor.get(at("environment:staging"))

    assert set(offered(page)) == {PREMIUM, GATE, PROMPT}
    assert ticked(page) == [PROMPT]
    assert "Is being rolled out in staging" in page.body
    assert "A gate's share belongs to its environment" in page.body


def test_what_is_older_there_is_not_ticked(editor: PageClient, first_data: Session) -> None:
    save_prompt(first_data)
    publish_saved(first_data, "production")

    page = editor.get(at("environment:staging"))

    assert offered(page) == [PROMPT]
    assert ticked(page) == []
    assert "Is older in staging (version 1) than in production (version 2)." in page.body


def test_the_order_in_which_buckets_were_handed_out_is_no_difference(
    editor: PageClient, first_data: Session
) -> None:
    live = live_entry(first_data, "staging", DEFAULT)
    assert live is not None
    (variant,) = live["variants"]
    spelled = {**variant, "ranges": [[90_000, 100_000], [0, 90_000]]}
    move(first_data, "staging", {DEFAULT: {**live, "variants": [spelled]}})

    assert "Nothing would change" in editor.get(at("environment:staging")).body


def test_what_an_entry_names_has_to_come_along(editor: PageClient, first_data: Session) -> None:
    live = live_entry(first_data, "staging", PREMIUM)
    model = live_entry(first_data, "staging", "model/CLAUDE_3_HAIKU")
    assert live is not None
    (variant,) = live["variants"]
    named = {**live, "variants": [{**variant, "version": 2, "model": "NEW_MODEL", "fallbacks": []}]}
    move(first_data, "staging", {"model/NEW_MODEL": model, PREMIUM: named})
    page = editor.get(at("environment:staging"))
    assert "has to come along: Model NEW_MODEL" in page.body

    refused = editor.submit(page, action_of(page), {"entries": PREMIUM, "reason": REASON})

    assert refused.status == 422
    assert "COACHING_RESPONSE · premium needs Model NEW_MODEL" in refused.body
    assert ticked(refused) == [PREMIUM, "model/NEW_MODEL"]
    assert editor.submit(refused, action_of(refused), {}).status == 303
    assert set(proposed(first_data)) == {PREMIUM, "model/NEW_MODEL"}


# Roles


def test_a_viewer_cannot_propose(client_as: ClientAs) -> None:
    viewer = client_as("viewer")

    assert viewer.get(at("saved")).status == 403
    assert viewer.post(at("saved"), {"entries": PROMPT}).status == 403
