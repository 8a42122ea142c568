"""Who wrote what is in a proposal, and whose agreement to it counts.

An agreement counts for the content it was given to, while whoever gave it may still go live in the environment: somebody
who was disabled or given a lower role no longer vouches for anything. It counts by the rules of now, not of then.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Text, cast, delete, select, update
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Role
from controlplane.accounts.models import Person
from controlplane.db import now
from controlplane.proposals.models import Proposal, ProposalParticipant
from controlplane.registry.models import Environment


@dataclass(frozen=True)
class Agreement:
    """How many have to agree to a proposal, and who has."""

    needed: int
    given: tuple[ProposalParticipant, ...]

    @property
    def missing(self) -> int:
        """How many more have to agree."""
        return max(0, self.needed - len(self.given))

    @property
    def words(self) -> str:
        """What it still needs: "needs 1 approval", "needs 1 more approval"; empty when nothing."""
        if not self.missing:
            return ""
        more = "more " if self.given else ""
        return f"needs {self.missing} {more}approval{'s' if self.missing > 1 else ''}"


def participants_of(session: Session, proposal: Proposal) -> Sequence[ProposalParticipant]:
    """Return who wrote or agreed to something in a proposal, by name."""
    query = select(ProposalParticipant).where(*_of(proposal))
    return session.scalars(
        query.order_by(ProposalParticipant.name, ProposalParticipant.person_id).execution_options(
            populate_existing=True
        )
    ).all()


def participant(session: Session, proposal: Proposal, person_id: str) -> ProposalParticipant | None:
    """Return what somebody is to a proposal; None when they are nothing to it."""
    return session.get(
        ProposalParticipant, (proposal.environment, proposal.number, person_id), populate_existing=True
    )


def agreement_of(session: Session, proposal: Proposal, environment: Environment) -> Agreement:
    """Return the agreement to a proposal as it counts now."""
    enough = [role.value for role in Role if role.includes(Role(environment.publish_role))]
    query = (
        select(ProposalParticipant)
        .join(Person, cast(Person.id, Text) == ProposalParticipant.person_id)
        .where(
            *_of(proposal),
            ProposalParticipant.approved_sha256 == proposal.content_sha256,
            Person.active,
            Person.role.in_(enough),
        )
        .order_by(ProposalParticipant.approved_at, ProposalParticipant.person_id)
    )
    if not environment.self_approval:
        query = query.where(~ProposalParticipant.contributed)
    given = session.scalars(query.execution_options(populate_existing=True)).all()
    return Agreement(environment.approvals, tuple(given))


def agree(session: Session, proposal: Proposal, person_id: str, name: str) -> None:
    """Write down that somebody agrees to a proposal as it is."""
    row = participant(session, proposal, person_id) or ProposalParticipant(
        environment=proposal.environment, number=proposal.number, person_id=person_id, contributed=False
    )
    row.name, row.approved_sha256, row.approved_at = name, proposal.content_sha256, now()
    session.add(row)
    session.flush()


def forget_agreements(session: Session, proposal: Proposal) -> None:
    """Void every agreement to a proposal."""
    session.flush()
    session.execute(
        update(ProposalParticipant)
        .where(*_of(proposal), ProposalParticipant.contributed)
        .values(approved_sha256=None, approved_at=None)
    )
    session.execute(delete(ProposalParticipant).where(*_of(proposal), ~ProposalParticipant.contributed))


def add_contributors(session: Session, proposal: Proposal, people: Mapping[str, str]) -> None:
    """Write down who wrote something in a proposal, names by id. Nobody may agree to it at this moment."""
    known = {row.person_id: row for row in participants_of(session, proposal)}
    for person_id in sorted(people):
        row = known.get(person_id)
        if row is None:
            session.add(
                ProposalParticipant(
                    environment=proposal.environment,
                    number=proposal.number,
                    person_id=person_id,
                    name=people[person_id],
                    contributed=True,
                )
            )
        else:
            row.contributed = True
    session.flush()


def contributed(rows: Iterable[ProposalParticipant]) -> list[ProposalParticipant]:
    """Return those who wrote something."""
    return [row for row in rows if row.contributed]


def _of(proposal: Proposal) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return (
        ProposalParticipant.environment == proposal.environment,
        ProposalParticipant.number == proposal.number,
    )
