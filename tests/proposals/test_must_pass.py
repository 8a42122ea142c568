"""What fails with a sample that must pass goes live by no way: not from a proposal's page, not at its time."""

import datetime as dt
from collections.abc import Callable

import pytest
from sqlalchemy import Engine, update
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.db import now, transaction
from controlplane.errors import Refused
from controlplane.prompts.render_pool import RenderPool
from controlplane.proposals import schedule
from controlplane.proposals.models import Proposal
from controlplane.releases import services
from controlplane.releases.saved import saved_entries
from controlplane.samples.services import create_sample
from tests.page import PageClient
from tests.proposals.stage import (
    PRODUCTION,
    approve,
    make_submitted,
    person,
    publish,
    release_number,
    rule,
)
from tests.releases.changing import PROMPT, save_prompt

ClientAs = Callable[[Role | str], PageClient]

FAILS = "{{ 1 // (0 if topic == 'growth' else 1) }}"
TOLD = "Template coaching_response does not render with “Of growth”, which it has to: line "


def propose_failing(session: Session, actor: Actor) -> Proposal:
    """A proposal of a version that was saved before a sample set was added that it fails with."""
    save_prompt(session, suffix=FAILS)
    saved, _ = saved_entries(session, PRODUCTION)
    proposal = make_submitted(session, actor, entries={PROMPT: saved[PROMPT]})
    create_sample(
        session,
        "COACHING_RESPONSE",
        name="Of growth",
        values={"conversation_context": "Coach: Hello.", "user_message": "Hello.", "topic": "growth"},
        must_pass=True,
        actor=actor,
    )
    return proposal


@pytest.fixture
def failing(first_data: Session, ada: Actor) -> Proposal:
    rule(first_data, approvals=0)
    return propose_failing(first_data, ada)


def test_a_proposal_is_refused_with_the_reason_and_its_page_shows_it_beforehand(
    client_as: ClientAs, first_data: Session, failing: Proposal
) -> None:
    first_data.commit()
    publisher = client_as("publisher")
    one = f"/production/proposals/{failing.number}"
    checks = publisher.get(f"{one}?part=checks")
    assert "Publishing is refused: 1 render of 1 text fails where none may." in checks.body
    rendered = publisher.get(f"{one}?part=rendered")
    assert "“Of growth” has to render, and does not" in rendered.body
    refused = publisher.post(f"{one}/publish", checks.form(f"{one}/publish"))
    assert refused.status == 422
    assert TOLD in refused.body
    assert release_number(first_data) == 1


def test_while_all_workers_are_busy_nothing_goes_live_and_nothing_typed_is_lost(
    client_as: ClientAs, first_data: Session, failing: Proposal, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_data.commit()
    monkeypatch.setattr(services, "shared", lambda: RenderPool(workers=0, queue=0))
    publisher = client_as("publisher")
    one = f"/production/proposals/{failing.number}"
    busy = publisher.post(f"{one}/publish", publisher.get(one).form(f"{one}/publish"))
    assert (busy.status, release_number(first_data)) == (429, 1)
    assert "Many templates are being rendered just now." in busy.body
    page = publisher.get("/production/unpublished")
    sent = page.form("/production/unpublished")
    busy = publisher.post("/production/unpublished", {**sent, "reason": "Typed with care, see the report"})
    assert (busy.status, release_number(first_data)) == (429, 1)
    assert "Typed with care" in busy.text


def test_nobody_s_agreement_helps_it(
    first_data: Session, ada: Actor, grace: Actor, failing: Proposal
) -> None:
    rule(first_data, approvals=1)
    approve(first_data, failing, grace)
    with pytest.raises(Refused, match="which it has to"):
        publish(first_data, failing, grace)


def test_at_its_time_it_is_stopped_and_says_why(engine: Engine) -> None:
    with transaction(engine) as session:
        rule(session, approvals=0)
        grace = person(session, "publisher", "Grace")
    with Session(engine, expire_on_commit=False) as session:
        proposal = propose_failing(session, grace)
        schedule.schedule(
            session,
            PRODUCTION,
            proposal.number,
            revision=proposal.revision,
            due_at=now() + dt.timedelta(minutes=5),
            zone="UTC",
            actor=grace,
        )
        session.execute(update(Proposal).values(due_at=now() - dt.timedelta(seconds=1)))
        session.commit()
    assert schedule.publish_due(engine, PRODUCTION) == 0
    with transaction(engine) as session:
        stopped = session.get(Proposal, (PRODUCTION, 1))
        assert stopped
        assert stopped.state == "approved"
        assert stopped.note
        assert TOLD in stopped.note
        assert release_number(session) == 1
