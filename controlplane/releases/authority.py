"""What allows something to go live: the rules of its environment, an approved proposal, or an emergency.

An environment may ask that others agree before anything goes live in it. Content then comes through a proposal, with three
exceptions that are named where they happen: moving the share of what was approved, undoing in an emergency, and first data.
"""

import enum
from dataclasses import dataclass

from controlplane.accounts.actor import Actor, Role
from controlplane.errors import Refused
from controlplane.registry.models import Environment


class Way(enum.StrEnum):
    """How something goes live."""

    DIRECT = "direct"  # where nobody else has to agree
    APPROVED = "approved"  # a proposal, with the agreement that its environment asks for
    MOVE = "move"  # another share of what is live already: its content was agreed to when it started
    EMERGENCY = "emergency"  # undoing: nobody is asked, and somebody looks at it afterwards


@dataclass(frozen=True)
class Authority:
    """Why a release may be made; `proposal` is the number of the one that it publishes, `agreed` how many agreed to it."""

    way: Way
    proposal: int | None = None
    agreed: int = 0

    @classmethod
    def approved(cls, proposal: int, *, agreed: int = 0) -> "Authority":
        """The agreement to a proposal. Whoever says so has counted; the database counts again."""
        return cls(Way.APPROVED, proposal, agreed)

    def asked_in(self, environment: Environment) -> int:
        """How many had to agree by the rule; for another share of what was agreed to before nobody has to again."""
        return 0 if self.way is Way.MOVE else environment.approvals

    def is_emergency_in(self, environment: Environment) -> bool:
        """Whether it is to be marked and looked at afterwards: where there are rules that it goes around."""
        return self.way is Way.EMERGENCY and is_guarded(environment)

    def check(self, environment: Environment, actor: Actor) -> None:
        """Raise `Forbidden` unless the actor may, `Refused` where others have to agree first."""
        actor.require(Role.ON_CALL if self.way is Way.EMERGENCY else Role(environment.publish_role))
        if self.way is Way.DIRECT and environment.approvals:
            raise Refused({"": approvals_needed(environment)})


DIRECT = Authority(Way.DIRECT)
MOVE = Authority(Way.MOVE)
EMERGENCY = Authority(Way.EMERGENCY)


def is_guarded(environment: Environment) -> bool:
    """Whether going live here has rules that an emergency goes around."""
    return environment.is_guarded


def approvals_needed(environment: Environment) -> str:
    """The rule in words."""
    who = "somebody else has" if environment.approvals == 1 else f"{environment.approvals} others have"
    return f"In {environment.code} {who} to agree before anything goes live: propose it for review."


def to_undo(environment: Environment, actor: Actor) -> Authority:
    """How this actor takes something back here: as anything else where the rules allow it, or as an emergency."""
    allowed = actor.role.includes(Role(environment.publish_role)) and not environment.approvals
    return DIRECT if allowed else EMERGENCY
