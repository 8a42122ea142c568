"""Who acts: handed to every service that writes, and kept in the audit as it was at that time."""

import enum
from dataclasses import dataclass

from controlplane.errors import Forbidden


class Role(enum.StrEnum):
    """What a person may do; each role may do all that the ones before it may."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ON_CALL = "on-call"
    PUBLISHER = "publisher"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        """The place in the order; a higher one includes the lower."""
        return list(Role).index(self)

    @property
    def label(self) -> str:
        """As shown on the screen."""
        return self.value.capitalize()

    def includes(self, needed: "Role") -> bool:
        """Whether this role may do what `needed` may."""
        return self.rank >= needed.rank


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Somebody or something that changes state, with the way it came in."""

    kind: str  # "person", "system", "token", or "schedule": the clock, in the name of a person (`via`: of a proposal's time, or of a plan)
    id: str  # a person's id (a token's is its owner's), or the name of the part of the system
    name: str
    role: Role
    via: str  # "browser", "token", "command line", "worker", "schedule", "plan", "guard", "first data"
    request_id: str | None = None
    address: str | None = None
    user_agent: str | None = None
    token: str | None = None  # the id of the API token that this came with, and whose token it is
    owner_id: str | None = None
    owner_name: str | None = None
    # Made a reviewer by an administrator: may look at changes after the fact without being able to publish.
    may_review: bool = False

    @property
    def is_reviewer(self) -> bool:
        """Whether this is a person who may look at others' changes after the fact."""
        return self.kind == "person" and (self.may_review or self.role.includes(Role.PUBLISHER))

    def require(self, needed: Role) -> None:
        """Raise Forbidden unless this actor's role includes `needed`."""
        if not self.role.includes(needed):
            raise Forbidden(needed.label)

    @classmethod
    def system(cls, name: str, *, via: str) -> "Actor":
        """A part of the system itself, which may do everything and is named in the audit."""
        return cls(kind="system", id=name, name=name, role=Role.ADMIN, via=via)
