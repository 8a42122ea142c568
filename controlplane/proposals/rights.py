"""What somebody may do with a proposal as it stands, and why not: pages offer what is allowed and explain the rest."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.accounts.models import Person
from controlplane.proposals import wording
from controlplane.proposals.models import Proposal, ProposalParticipant
from controlplane.proposals.participants import Agreement
from controlplane.proposals.states import PUBLISHABLE, State
from controlplane.registry.models import Environment


@dataclass(frozen=True)
class Right:
    """One action: whether it makes sense now, and what keeps this person from it (None: nothing)."""

    offered: bool
    hindrance: str | None = None

    @property
    def allowed(self) -> bool:
        """Whether its form is shown."""
        return self.offered and self.hindrance is None


@dataclass(frozen=True)
class Rights:
    """Every action of the page."""

    submit: Right
    agree: Right
    reject: Right
    update: Right
    publish: Right
    schedule: Right
    unschedule: Right
    withdraw: Right
    comment: Right

    @property
    def any(self) -> bool:
        """Whether there is anything to be done, by whomever, but talk."""
        mine = (
            self.submit,
            self.agree,
            self.reject,
            self.update,
            self.publish,
            self.schedule,
            self.unschedule,
            self.withdraw,
        )
        return any(each.offered for each in mine)


def reviewers(
    session: Session,
    environment: Environment,
    participants: Sequence[ProposalParticipant],
    agreement: Agreement,
) -> list[tuple[str, str]]:
    """Return id and name of those who may agree to a proposal and have not; whoever has no more rights than that first."""
    writers = {each.person_id for each in participants if each.contributed}
    out = {each.person_id for each in agreement.given} | (set() if environment.self_approval else writers)
    return [each for each in _publishers(session, environment) if each[0] not in out]


def rights(
    session: Session,
    proposal: Proposal,
    environment: Environment,
    *,
    participants: Sequence[ProposalParticipant],
    agreement: Agreement,
    actor: Actor,
) -> Rights:
    """Return what the actor may do with a proposal."""
    state = State(proposal.state)
    own = next((each for each in participants if each.person_id == actor.id), None)
    wrote = own is not None and own.contributed
    needed = Role(environment.publish_role)
    publishers = wording.ask_words([name for _, name in _publishers(session, environment)])
    no_editor = None if actor.role.includes(Role.EDITOR) else "Needs Editor."
    no_publisher = None if actor.role.includes(needed) else f"Needs {needed.label}. {publishers}"
    in_review = state in {State.IN_REVIEW, State.APPROVED, State.SCHEDULED} and environment.approvals > 0
    ready = state in PUBLISHABLE and not agreement.missing
    return Rights(
        submit=Right(state in {State.DRAFT, State.REJECTED}, no_editor),
        agree=Right(
            in_review,
            no_publisher or _why_not_agree(session, proposal, environment, own, participants, agreement),
        ),
        reject=Right(in_review, no_publisher),
        update=Right(not state.is_over and state is not State.CONFLICTED, no_editor),
        publish=Right(ready, no_publisher),
        schedule=Right(ready and state is not State.SCHEDULED, no_publisher),
        unschedule=Right(state is State.SCHEDULED, no_publisher),
        withdraw=Right(not state.is_over, no_editor or (None if wrote else no_publisher)),
        comment=Right(offered=True, hindrance=no_editor),
    )


def _why_not_agree(
    session: Session,
    proposal: Proposal,
    environment: Environment,
    own: ProposalParticipant | None,
    participants: Sequence[ProposalParticipant],
    agreement: Agreement,
) -> str | None:
    if own is None:
        return None
    if own.approved_sha256 == proposal.content_sha256:
        return "You agreed to this."
    if own.contributed and not environment.self_approval:
        others = wording.ask_words(
            [name for _, name in reviewers(session, environment, participants, agreement)]
        )
        return f"You wrote part of this. {others}"
    return None


def _publishers(session: Session, environment: Environment) -> list[tuple[str, str]]:
    """Return who may agree and publish here, as id and name; whoever has no more than is needed first."""
    enough = [role.value for role in Role if role.includes(Role(environment.publish_role))]
    people = session.scalars(
        select(Person).where(Person.active, Person.role.in_(enough)).order_by(Person.name, Person.id)
    )
    return [(str(each.id), each.name) for each in sorted(people, key=lambda each: enough.index(each.role))]
