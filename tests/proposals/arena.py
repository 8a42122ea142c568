"""A database, some people, threads that start at the same moment, and proposals for them to race for."""

import random
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, update

from controlplane.accounts.actor import Actor, Role
from controlplane.accounts.services import change_role, get_person
from controlplane.db import now, transaction
from controlplane.errors import ControlPlaneError
from controlplane.proposals import reviewing, services
from controlplane.proposals.content import Included, content_digest, rows_of
from controlplane.proposals.models import Proposal, ProposalParticipant
from controlplane.registry.models import Environment
from controlplane.releases.compose import Document
from tests.proposals.stage import PRODUCTION, REASON, person, rule

Act = Callable[[], Any]


@dataclass(frozen=True)
class Proposed:
    """A proposal as everybody's page shows it: each method is one request."""

    engine: Engine
    number: int
    content: str

    def approve(self, actor: Actor) -> None:
        with transaction(self.engine) as session:
            reviewing.approve(
                session, PRODUCTION, self.number, revision=1, seen_sha256=self.content, actor=actor
            )

    def change(self, actor: Actor, name: str) -> str:
        """Give its tier another name, and return the digest of what it holds then."""
        with transaction(self.engine) as session:
            changed = services.replace_entries(
                session,
                PRODUCTION,
                self.number,
                entries={key_of(self.number): tier(self.number, name)},
                base=1,
                revision=1,
                actor=actor,
            )
            return changed.content_sha256

    def withdraw(self, actor: Actor) -> None:
        with transaction(self.engine) as session:
            services.withdraw(session, PRODUCTION, self.number, revision=1, actor=actor)

    def publish(self, actor: Actor) -> int:
        with transaction(self.engine) as session:
            return services.publish(session, PRODUCTION, self.number, revision=1, actor=actor).number


@dataclass
class Arena:
    """Where the races are held."""

    engine: Engine
    threads: ThreadPoolExecutor
    ada: Actor
    grace: Actor
    joan: Actor
    edith: Actor
    chance: random.Random = field(default_factory=lambda: random.Random(4))

    @classmethod
    def on(cls, engine: Engine, threads: ThreadPoolExecutor) -> "Arena":
        """Add the people, and have one other agree to each proposal."""
        with transaction(engine) as session:
            rule(session, approvals=1)
            return cls(
                engine,
                threads,
                ada=person(session, Role.EDITOR, "Ada"),
                grace=person(session, Role.PUBLISHER, "Grace"),
                joan=person(session, Role.PUBLISHER, "Joan"),
                edith=person(session, Role.ADMIN, "Edith"),
            )

    def race(self, *acts: Act, spread: float = 1 / 500) -> list[Any]:
        """Do all of these at once, and return what each returned or was refused with.

        `spread` is the time in seconds within which they begin: about as long as the quickest of them takes to win.
        """
        barrier = threading.Barrier(len(acts))
        delays = [self.chance.random() * spread for _ in acts]
        futures = [
            self.threads.submit(_one, act, barrier, delay) for act, delay in zip(acts, delays, strict=True)
        ]
        return [future.result() for future in futures]

    def proposals(
        self,
        count: int,
        author: Actor,
        *,
        approved_by: Actor | None = None,
        scheduled_by: Actor | None = None,
    ) -> list[Proposed]:
        """Make proposals of a new tier each, as the services would have left them; these take 30 ms for each."""
        with transaction(self.engine) as session:
            row = session.get_one(Environment, PRODUCTION)
            first = row.next_proposal
            row.next_proposal += count
            made = [_proposal(number, author) for number in range(first, row.next_proposal)]
            session.add_all(made)
            session.flush()
            for each in made:
                session.add_all(rows_of(PRODUCTION, each.number, _included(each.number)))
                session.add(_participant(each, author, approved=False))
            session.flush()
            if approved_by is not None:
                for each in made:
                    session.add(_participant(each, approved_by, approved=True))
                    each.state = "approved"
            if scheduled_by is not None:
                for each in made:
                    each.state, each.due_zone, each.scheduled_by = "scheduled", "UTC", scheduled_by.id
                    each.due_at = now().replace(year=now().year + 1)
            return [Proposed(self.engine, each.number, each.content_sha256) for each in made]

    def make_due(self, number: int) -> None:
        """Let the time of one proposal come."""
        with transaction(self.engine) as session:
            session.execute(update(Proposal).where(Proposal.number == number).values(due_at=now()))

    def lower(self, actor: Actor) -> None:
        """Take somebody's role away."""
        with transaction(self.engine) as session:
            found = get_person(session, uuid.UUID(actor.id))
            change_role(session, found, role=Role.EDITOR, actor=self.edith)


def key_of(number: int) -> str:
    """Return the key that a proposal of this number adds."""
    return f"tier/t{number}"


def tier(number: int, name: str) -> Document:
    """Return what it adds."""
    return {"name": f"{name} {number}", "rank": 100 + number}


def outcomes_of(outcomes: Sequence[Any], kind: type) -> list[Any]:
    """Return those outcomes that are of this kind."""
    return [each for each in outcomes if isinstance(each, kind)]


def _included(number: int) -> list[Included]:
    return [Included(key_of(number), None, tier(number, "New"))]


def _proposal(number: int, author: Actor) -> Proposal:
    return Proposal(
        environment=PRODUCTION,
        number=number,
        summary="a tier",
        reason=REASON,
        source="saved",
        state="in_review",
        base=1,
        content_sha256=content_digest({each.key: each.after for each in _included(number)}),
        author_id=author.id,
        author_name=author.name,
        created_at=now(),
        updated_at=now(),
        revision=1,
    )


def _participant(proposal: Proposal, actor: Actor, *, approved: bool) -> ProposalParticipant:
    return ProposalParticipant(
        environment=PRODUCTION,
        number=proposal.number,
        person_id=actor.id,
        name=actor.name,
        contributed=not approved,
        approved_sha256=proposal.content_sha256 if approved else None,
        approved_at=now() if approved else None,
    )


def _one(act: Act, barrier: threading.Barrier, delay: float) -> Any:
    barrier.wait()
    time.sleep(delay)  # so that each comes first in its turn
    try:
        return act()
    except ControlPlaneError as refusal:
        return refusal
