"""What a plan moves: a rollout or the gate of an interaction, seen the same way."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor
from controlplane.plans.models import Plan
from controlplane.releases.models import Release
from controlplane.rollouts import gates, services, standing
from controlplane.rollouts.documents import left_for
from controlplane.rollouts.ranges import share_words
from controlplane.rollouts.standing import Standing
from controlplane.rollouts.wording import units_of
from controlplane.runtime.bucketing import BUCKETS, size
from controlplane.runtime.entries import gate_key


@dataclass(frozen=True)
class Stand:
    """How it stands: its share, or why it is over."""

    share: int
    units: str
    over: str | None = None
    since: str = ""  # "release 12, by Ada"
    paused_at: dt.datetime | None = None
    held_seconds: int = 0
    left: int = BUCKETS  # the most it could have: other candidates have the rest

    def held_by(self, at: dt.datetime) -> int:
        """For how many seconds it had been paused by then, a pause that lasts included."""
        lasting = (at - self.paused_at).total_seconds() if self.paused_at is not None else 0
        return self.held_seconds + round(lasting)


class Subject(Protocol):
    """A rollout or a gate."""

    @property
    def environment(self) -> str:
        """Where it is."""

    @property
    def kind(self) -> str:
        """The word that its actions begin with."""

    @property
    def rollout(self) -> int | None:
        """The number of the rollout that it is."""

    @property
    def gate(self) -> str | None:
        """The interaction whose gate it is."""

    def named(self, session: Session) -> tuple[str, str, str]:
        """The kind and key that the record files it under, and what it is called in a sentence."""

    def stand(self, session: Session) -> Stand:
        """How it stands now."""

    def move(self, session: Session, share: int, *, reason: str, actor: Actor) -> Release:
        """Set its share; raises what moving by hand raises."""


@dataclass(frozen=True)
class OfRollout:
    """A rollout."""

    environment: str
    number: int
    kind: str = "rollout"
    gate: None = None
    known: Standing | None = field(default=None, compare=False, repr=False)  # looked up with others at once

    @property
    def rollout(self) -> int:
        """Its number."""
        return self.number

    def named(self, session: Session) -> tuple[str, str, str]:
        """By its configuration, as its moves are."""
        here = self._here(session)
        return "configuration", here.place.path, f"version {here.rollout.to_version} of {here.place.title}"

    def stand(self, session: Session) -> Stand:
        """How it stands by the live entry."""
        here = self._here(session)
        last = here.end or here.moved
        return Stand(
            here.share,
            here.units,
            None if here.running else here.sentence,
            f"release {last.release}, by {last.by}",
            here.rollout.paused_at if here.running else None,
            here.rollout.held_seconds,
            left_for(here.document, [here.rollout.to_version]) if here.running else BUCKETS,
        )

    def move(self, session: Session, share: int, *, reason: str, actor: Actor) -> Release:
        """Raise or lower it."""
        rollout = services.get_rollout(session, self.environment, self.number)
        return services.set_share(session, rollout, share=share, reason=reason, actor=actor)

    def _here(self, session: Session) -> Standing:
        return self.known or standing.get_standing(session, self.environment, self.number)


@dataclass(frozen=True)
class OfGate:
    """The gate of an interaction; it has no end, and is held by stopping its plan."""

    environment: str
    interaction: str
    kind: str = "gate"
    rollout: None = None

    @property
    def gate(self) -> str:
        """Its interaction."""
        return self.interaction

    def named(self, session: Session) -> tuple[str, str, str]:  # noqa: ARG002 (a rollout has to look)
        """By its interaction."""
        return "gate", self.interaction, f"the gate of {self.interaction}"

    def stand(self, session: Session) -> Stand:
        """How it stands by the live entry; without one everyone is in."""
        live = standing.live_entry(session, self.environment, gate_key(self.interaction))
        share = size(live.document["ranges"]) if live.document else BUCKETS
        return Stand(share, units_of(live.document), since=f"release {live.release}")

    def move(self, session: Session, share: int, *, reason: str, actor: Actor) -> Release:
        """Let another share in."""
        return gates.set_gate(
            session, self.environment, self.interaction, share=share, reason=reason, actor=actor
        )


def subject_of(plan: Plan) -> Subject:
    """What this plan moves."""
    if plan.rollout is not None:
        return OfRollout(plan.environment, plan.rollout)
    return OfGate(plan.environment, plan.gate or "")


def subjects_of(session: Session, environment: str, plans: Sequence[Plan]) -> list[Subject]:
    """What each of these plans moves, looked up together: to be looked at, not to be moved."""
    numbers = [plan.rollout for plan in plans if plan.rollout is not None]
    known = standing.of_numbers(session, environment, numbers) if numbers else {}
    return [
        subject_of(plan)
        if plan.rollout is None
        else OfRollout(environment, plan.rollout, known=known.get(plan.rollout))
        for plan in plans
    ]


def moved_words(stand: Stand, expected: int) -> str:
    """That it was moved outside its plan, for the plan's note."""
    return (
        f"It was moved outside the plan: it is at {share_words(stand.share)} since {stand.since}, "
        f"where the plan had left it at {share_words(expected)}."
    )
