"""What every step of a proposal shares: hold it, see that nothing changed, change its state, tell the audit.

Locks are taken in one order everywhere: the environment's row, the proposal's row, the end of the audit chain.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor
from controlplane.audit import services as audit
from controlplane.db import now
from controlplane.errors import Conflict, NotFound
from controlplane.proposals.models import Proposal
from controlplane.proposals.states import State
from controlplane.registry.models import Environment
from controlplane.releases.services import lock_environment

_LARGEST = 2**31 - 1  # what the column holds; a longer number in an address is no proposal


class AlreadyPublished(Conflict):
    """It is live already, as this release."""

    def __init__(self, proposal: Proposal, release: int) -> None:
        self.release = release
        super().__init__(
            f"Proposal {proposal.number} of {proposal.environment} was published already, as release {release}."
        )


@dataclass(frozen=True)
class Held:
    """A proposal and its environment's rules, which nobody else changes before this transaction ends."""

    environment: Environment
    proposal: Proposal

    @property
    def state(self) -> State:
        """How it stands."""
        return State(self.proposal.state)

    @property
    def name(self) -> str:
        """As in sentences: "proposal 12 of production"."""
        return f"proposal {self.proposal.number} of {self.proposal.environment}"


def hold(
    session: Session, environment: str, number: int, *, revision: int | None = None, published: bool = False
) -> Held:
    """Hold a proposal to the end of the transaction.

    `revision` is the one that the actor's page showed. Raises `NotFound`, `AlreadyPublished` (unless `published` ones are
    wanted too), and `Conflict` when the proposal was edited or moved on since.
    """
    row = lock_environment(session, environment)
    query = select(Proposal).where(
        Proposal.environment == environment, Proposal.number == min(number, _LARGEST)
    )
    proposal = session.scalar(query.with_for_update().execution_options(populate_existing=True))
    if proposal is None:
        raise NotFound("proposal", f"{number} of {environment}")
    if proposal.release is not None and not published:
        raise AlreadyPublished(proposal, proposal.release)
    held = Held(row, proposal)
    if revision is not None and proposal.revision != revision:
        raise Conflict(
            f"{held.name.capitalize()} was changed since you opened this page; it is {held.state.label.lower()} now. "
            "Nothing was done; look at it once more."
        )
    return held


def require_state(held: Held, states: Collection[State], *, to: str) -> None:
    """Raise `Conflict` unless the proposal is in one of these states; `to` says what for: "approve it"."""
    if held.state not in states:
        raise Conflict(f"{held.name.capitalize()} is {held.state.label.lower()}: nobody can {to} now.")


def turn(held: Held, state: State, *, note: str | None = None) -> None:
    """Give a proposal its next state; what it was scheduled for ends with that. Raises `Conflict` for one that cannot follow."""
    proposal = held.proposal
    if not held.state.may_become(state):
        raise Conflict(
            f"{held.name.capitalize()} is {held.state.label.lower()} and cannot become {state.label.lower()}."
        )
    if state not in {State.SCHEDULED, State.PUBLISHED}:
        proposal.due_at, proposal.due_zone, proposal.scheduled_by = None, None, None
    proposal.state, proposal.note = state.value, note
    touch(proposal)


def touch(proposal: Proposal) -> None:
    """Raise the revision: pages that show the one before are out of date."""
    proposal.revision += 1
    proposal.updated_at = now()


def tell(
    session: Session, held: Held, action: str, sentence: str, *, actor: Actor, reason: str | None = None
) -> None:
    """Record one event about a proposal; `action` is the verb in the past, the summary follows the sentence."""
    session.flush()
    proposal = held.proposal
    audit.record(
        session,
        actor=actor,
        action=f"proposal.{action}",
        object_kind="proposal",
        object_key=f"{proposal.environment}/{proposal.number}",
        sentence=f"{sentence}: {proposal.summary}",
        environment=proposal.environment,
        reason=reason,
        after={"state": proposal.state, "content": proposal.content_sha256},
        proposal=proposal.number,
    )
