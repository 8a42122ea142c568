"""What the page of one proposal shows, worked out before any template sees it."""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor
from controlplane.audit.models import AuditEvent
from controlplane.db import now
from controlplane.decisions.reach import Reach, reach_of
from controlplane.prompts.render_pool import RenderBusy, RenderPool
from controlplane.proposals import checks, reach, wording
from controlplane.proposals.checks import Check
from controlplane.proposals.content import Included, changes_in, included_in, moved_of
from controlplane.proposals.models import Proposal, ProposalComment
from controlplane.proposals.newer import saved_since
from controlplane.proposals.participants import Agreement, agreement_of, participants_of
from controlplane.proposals.people import with_people
from controlplane.proposals.rights import Rights, reviewers, rights
from controlplane.proposals.services import comments_on
from controlplane.proposals.states import State
from controlplane.registry.models import Environment
from controlplane.releases import trials, words
from controlplane.releases.composed import Composed, compose_now
from controlplane.releases.diff import EntryChange
from controlplane.releases.figures import Figures, figures
from controlplane.releases.pages import EntryView, UrlOf, entry_views
from controlplane.releases.rendered import Rendered, rendered
from controlplane.releases.saved import documents_of
from controlplane.snippets.usage import told_of

PARTS: Final = {
    "changes": "Changes",
    "rendered": "Rendered",
    "checks": "Checks",
    "conversation": "Conversation",
}
# Everything one after another: to print it, or to read it to the end.
WHOLE: Final = "all"
_EVENTS: Final = 200

Remembered = Callable[[str, Callable[[], Any]], Any]
"""Gives what is known under a key, or makes it and knows it from then on."""


@dataclass(frozen=True)
class Content:
    """What a proposal would do to what is live now; of an ended one, what it was about, and neither checks nor samples."""

    entries: list[EntryView]
    live_already: list[str]
    affected: list[reach.Affected]
    more_affected: int
    checks: list[Check]
    against: tuple[str, str]
    newer: list[str]
    rendered: Rendered | None
    figures: list[Figures]
    text_count: int
    busy: str | None = None
    recorded: Reach | None = None  # what it does to the calls that were recorded; None of one that is over
    shared: list[str] = field(default_factory=list)  # what newer snippets change among the entries

    @property
    def somebody_uncounted(self) -> bool:
        """Whether of some changes it is not known how many people they concern."""
        return any(each.people is None for each in self.affected)

    @property
    def worst(self) -> str:
        """How the worst of the checks stands."""
        found = {each.state for each in self.checks}
        return next((state for state in (checks.PROBLEM, checks.WARNING) if state in found), checks.OK)


@dataclass(frozen=True)
class ProposalPage:
    """One proposal, for one person."""

    proposal: Proposal
    environment: Environment
    chip: wording.Chip
    standing: str
    due: str | None
    content: Content
    agreement: Agreement
    agreed: list[tuple[str, dt.datetime]]
    lapsed: list[str]
    writers: list[str]
    comments: Sequence[ProposalComment]
    events: Sequence[AuditEvent]
    rights: Rights
    last_zone: str

    @property
    def open(self) -> bool:
        """Whether anything can still come of it."""
        return not State(self.proposal.state).is_over

    @property
    def conflicted(self) -> bool:
        """Whether somebody has to choose before it goes on."""
        return self.proposal.state == State.CONFLICTED or any(
            check.name == "moved" and check.state == checks.PROBLEM for check in self.content.checks
        )


def proposal_page(
    session: Session,
    environment: Environment,
    proposal: Proposal,
    *,
    actor: Actor,
    pool: RenderPool,
    remembered: Remembered,
    url_of: UrlOf,
    with_rendered: bool,
    shown_input: str = "",
) -> ProposalPage:
    """Return everything the page of a proposal shows to the actor."""
    participants = participants_of(session, proposal)
    agreement = agreement_of(session, proposal, environment)
    can = rights(session, proposal, environment, participants=participants, agreement=agreement, actor=actor)
    others = reviewers(session, environment, participants, agreement)
    asked = _asked([name for person_id, name in others if person_id != actor.id], mine=can.agree.allowed)
    due = None
    if proposal.due_at is not None:
        due = wording.due_words(proposal.due_at, proposal.due_zone or "UTC")
    counted = {each.person_id for each in agreement.given}
    agreed = [each for each in participants if each.approved_sha256 == proposal.content_sha256]
    over = State(proposal.state).is_over
    valid = [each for each in agreed if over or each.person_id in counted]
    return ProposalPage(
        proposal=proposal,
        environment=environment,
        chip=wording.chip(proposal.state, release=proposal.release),
        standing=_standing(proposal, environment, agreement, asked),
        due=due,
        content=_content(
            session,
            proposal,
            pool=pool,
            remembered=remembered,
            url_of=url_of,
            with_rendered=with_rendered,
            shown_input=shown_input,
        ),
        agreement=agreement,
        agreed=[(each.name, each.approved_at) for each in valid if each.approved_at is not None],
        lapsed=[each.name for each in agreed if each not in valid],
        writers=[each.name for each in participants if each.contributed],
        comments=comments_on(session, proposal),
        events=events_of(session, proposal),
        rights=can,
        last_zone=_last_zone(session, actor),
    )


def events_of(session: Session, proposal: Proposal) -> Sequence[AuditEvent]:
    """Return what happened to a proposal, the newest first; what was said stands in the conversation."""
    query = select(AuditEvent).where(
        AuditEvent.environment == proposal.environment,
        AuditEvent.proposal == proposal.number,
        AuditEvent.action != "proposal.commented",
    )
    return session.scalars(query.order_by(AuditEvent.sequence.desc()).limit(_EVENTS)).all()


def _content(
    session: Session,
    proposal: Proposal,
    *,
    pool: RenderPool,
    remembered: Remembered,
    url_of: UrlOf,
    with_rendered: bool,
    shown_input: str,
) -> Content:
    included = included_in(session, proposal)
    if State(proposal.state).is_over:
        return _ended(session, included, url_of)
    composed = compose_now(session, proposal.environment, {each.key: each.after for each in included})
    renders = trials.Renders(session, pool)
    told, more = reach.affected(composed)
    changing = {change.key for change in composed.changes}
    # Of this content on this release, with these samples, the checks never change, and rendering costs time.
    tried_with = trials.inputs_digest(session, composed)
    key = f"proposal-checks:{proposal.environment}:{proposal.content_sha256}:{composed.live.sha256}:{tried_with}"
    busy: RenderBusy | None = None
    try:
        looked_at = remembered(key, lambda: checks.content_checks(composed, renders))
        shown = rendered(composed, renders, shown=shown_input) if with_rendered else None
        priced = figures(composed, renders) if with_rendered else []
    except RenderBusy as error:
        busy, looked_at, shown, priced = error, checks.not_now(error), None, []
    return Content(
        entries=entry_views(session, composed.changes, url_of),
        live_already=[words.entry_name(each.key) for each in included if each.key not in changing],
        affected=with_people(session, proposal.environment, composed, told),
        more_affected=more,
        checks=[*looked_at, *_moments(proposal, composed, included)],
        against=("Live now", "Proposed"),
        newer=saved_since(session, proposal, included),
        rendered=shown,
        figures=priced,
        text_count=len(trials.changing_texts(composed)),
        busy=str(busy) if busy else None,
        recorded=reach_of(session, proposal.environment, composed, now(), remembered=remembered),
        shared=told_of(session, [(each.key, each.before, each.after) for each in composed.changes]),
    )


def _ended(session: Session, included: Sequence[Included], url_of: UrlOf) -> Content:
    changes: list[EntryChange] = changes_in(included)
    return Content(
        entries=entry_views(session, changes, url_of),
        live_already=[],
        affected=[],
        more_affected=0,
        checks=[],
        against=("Before", "Proposed"),
        newer=[],
        rendered=None,
        figures=[],
        text_count=0,
    )


def _moments(proposal: Proposal, composed: Composed, included: Sequence[Included]) -> Iterator[Check]:
    """Yield the checks that time decides: what others did meanwhile, and how near the hour is."""
    live = documents_of(composed.live.content.texts, (each.key for each in included))
    yield checks.unmoved([words.entry_name(key) for key in moved_of(included, live)], proposal.base)
    if proposal.due_at is not None:
        yield checks.on_time(proposal.due_at, proposal.due_zone or "UTC", now())


def _asked(others: Sequence[str], *, mine: bool) -> str:
    """Return who is to be asked to agree: whoever looks at the page first, when they may."""
    if mine:
        return f"You may give it, as may {wording.names_words(others)}." if others else "You may give it."
    return wording.ask_words(others)


def _standing(proposal: Proposal, environment: Environment, agreement: Agreement, asked: str) -> str:
    """Return where it stands and what it still needs, in a sentence or two."""
    state = State(proposal.state)
    note = f" “{proposal.note}”" if proposal.note else ""
    ended_by = proposal.ended_by or "somebody"
    told: Mapping[State, str] = {
        State.DRAFT: "Not submitted yet: nobody has been asked to look at it."
        if environment.approvals
        else "Not submitted yet. Nobody else has to agree here.",
        State.IN_REVIEW: f"{wording.sentence_case(agreement.words)}. {asked}"
        if agreement.missing
        else "Nobody else has to agree any more: it can be published.",
        State.APPROVED: "It can be published."
        if not agreement.missing
        else f"It {agreement.words} by the rules of now. {asked}",
        State.SCHEDULED: "It goes live by itself then, if nothing it changes was changed meanwhile.",
        State.CONFLICTED: f"Stopped. {proposal.note or 'Something it changes was changed by others.'}",
        State.REJECTED: f"Changes were asked for:{note}",
        State.PUBLISHED: f"Published by {ended_by}.",
        State.WITHDRAWN: f"Withdrawn by {ended_by}.{note}",
    }
    more = f" {proposal.note}" if proposal.note and state in {State.APPROVED, State.IN_REVIEW} else ""
    return told[state] + more


def _last_zone(session: Session, actor: Actor) -> str:
    """Return the zone in which somebody scheduled last; they are probably still there."""
    query = select(Proposal.due_zone).where(Proposal.scheduled_by == actor.id, Proposal.due_zone.is_not(None))
    return session.scalar(query.order_by(Proposal.updated_at.desc()).limit(1)) or "UTC"
