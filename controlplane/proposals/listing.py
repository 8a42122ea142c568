"""The list of proposals: what waits for whom, what is scheduled, and what has ended."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.proposals import wording
from controlplane.proposals.models import Proposal, ProposalParticipant
from controlplane.proposals.states import OPEN, State
from controlplane.registry.models import Environment

PAGE_LENGTH: Final = 50
# More open ones than these are a heap that nobody reads to its end; the filter by state has them all.
_MOST_OPEN: Final = 200
_LARGEST: Final = 2**31 - 1

Participants = dict[int, list[ProposalParticipant]]


@dataclass(frozen=True)
class Row:
    """One line of the list."""

    proposal: Proposal
    chip: wording.Chip
    needs: str
    due: str | None


@dataclass(frozen=True)
class Section:
    """Lines that stand together, with what they have in common."""

    name: str
    title: str
    lead: str
    rows: list[Row]


@dataclass(frozen=True)
class Index:
    """The page: open ones in sections unless one state is asked for, then lines by cursor."""

    state: str
    counts: dict[str, int]
    sections: list[Section]
    rows: list[Row]
    older: int | None
    continued: bool

    @property
    def empty(self) -> bool:
        """Whether there is no proposal here at all."""
        return not self.counts

    @property
    def options(self) -> list[tuple[str, str]]:
        """The states to choose from, with how many are in each."""
        return [
            (state.value, f"{wording.STATES[state][1]} ({self.counts.get(state, 0)})")
            for state in wording.STATES
        ]


def index(
    session: Session, environment: Environment, *, actor: Actor, state: str = "", before: int | None = None
) -> Index:
    """Return the list; `state` narrows it to one, `before` continues under a number."""
    query = select(Proposal).where(Proposal.environment == environment.code).order_by(Proposal.number.desc())
    wanted = [state] if state else [each.value for each in State if each.is_over]
    paged = query.where(Proposal.state.in_(wanted))
    if before is not None:
        paged = paged.where(Proposal.number < min(before, _LARGEST))
    found = session.scalars(paged.limit(PAGE_LENGTH + 1)).all()
    several = not state and before is None
    going = session.scalars(query.where(Proposal.state.in_(OPEN)).limit(_MOST_OPEN)).all() if several else []
    people = _participants(session, environment, [*found, *going])
    shown = [_row(each, environment, people) for each in found[:PAGE_LENGTH]]
    return Index(
        state=state,
        counts=counts(session, environment.code),
        sections=_sections(going, environment, people, actor),
        rows=shown,
        older=shown[-1].proposal.number if len(found) > PAGE_LENGTH else None,
        continued=before is not None,
    )


def needing(session: Session, environment: Environment, *, actor: Actor) -> list[Row]:
    """Return the open proposals that wait for this person, the newest first."""
    query = select(Proposal).where(Proposal.environment == environment.code, Proposal.state.in_(OPEN))
    going = session.scalars(query.order_by(Proposal.number.desc()).limit(_MOST_OPEN)).all()
    sections = _sections(going, environment, _participants(session, environment, going), actor)
    return next((section.rows for section in sections if section.name == "you"), [])


def counts(session: Session, environment: str) -> dict[str, int]:
    """Return how many proposals are in each state; states without any are left out."""
    query = (
        select(Proposal.state, func.count())
        .where(Proposal.environment == environment)
        .group_by(Proposal.state)
    )
    return {row.state: row[1] for row in session.execute(query)}


def waiting_count(session: Session, environment: str) -> int:
    """Return how many wait for somebody: to agree, to publish, or to choose."""
    found = counts(session, environment)
    return sum(found.get(state, 0) for state in wording.WAITING)


def _participants(session: Session, environment: Environment, proposals: Sequence[Proposal]) -> Participants:
    query = select(ProposalParticipant).where(
        ProposalParticipant.environment == environment.code,
        ProposalParticipant.number.in_([each.number for each in proposals]),
    )
    found: Participants = defaultdict(list)
    for row in session.scalars(query.order_by(ProposalParticipant.person_id)):
        found[row.number].append(row)
    return found


def _sections(
    going: Sequence[Proposal], environment: Environment, people: Participants, actor: Actor
) -> list[Section]:
    parted: dict[str, list[Row]] = defaultdict(list)
    for each in going:
        participants = people.get(each.number, ())
        name = "open"
        if each.state == State.SCHEDULED:
            name = "scheduled"
        elif _waits_for(each, environment, participants, actor):
            name = "you"
        parted[name].append(_row(each, environment, people))
    return [
        Section(name, title, lead, parted[name]) for name, (title, lead) in _SECTIONS.items() if parted[name]
    ]


_SECTIONS: Final = {
    "you": ("Needs you", "Yours to agree to, to publish, or to put right."),
    "scheduled": ("Scheduled", "They go live by themselves, if nothing they change was changed meanwhile."),
    "open": ("Open", "Being written, with somebody else, or to be looked at again."),
}


def _waits_for(
    proposal: Proposal, environment: Environment, participants: Sequence[ProposalParticipant], actor: Actor
) -> bool:
    """Whether it is this person's turn: to agree or to publish, or to mend what they wrote."""
    state = State(proposal.state)
    if state in {State.REJECTED, State.CONFLICTED}:
        return any(each.person_id == actor.id and each.contributed for each in participants)
    if not actor.role.includes(Role(environment.publish_role)):
        return False
    return state is State.APPROVED or (
        state is State.IN_REVIEW and _may_agree(proposal, environment, participants, actor)
    )


def _may_agree(
    proposal: Proposal, environment: Environment, participants: Sequence[ProposalParticipant], actor: Actor
) -> bool:
    own = next((each for each in participants if each.person_id == actor.id), None)
    if own is None:
        return True
    agreed = own.approved_sha256 == proposal.content_sha256
    return not agreed and (environment.self_approval or not own.contributed)


def _row(proposal: Proposal, environment: Environment, people: Participants) -> Row:
    given = sum(each.approved_sha256 == proposal.content_sha256 for each in people.get(proposal.number, ()))
    missing = environment.approvals - given
    needs = ""
    if proposal.state == State.IN_REVIEW and missing > 0:
        needs = f"needs {wording.counted(missing, 'approval')}"
    due = None
    if proposal.due_at is not None:
        due = wording.due_words(proposal.due_at, proposal.due_zone or "UTC")
    return Row(proposal, wording.chip(proposal.state, release=proposal.release), needs, due)
