"""What may be done to a running rollout besides moving its share: each asks for a reason, in a dialog or on its own page."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from controlplane.accounts.actor import Role
from controlplane.rollouts.ranges import share_words
from controlplane.rollouts.standing import Standing
from controlplane.rollouts.wording import going_on, listed


@dataclass(frozen=True)
class Act:
    """One of them, in words."""

    name: str
    label: str
    sign: str
    role: Role
    effect: Callable[[Standing], str]
    """What it will do, before."""
    done: Callable[[Standing], str]
    """What it did, after; of the rollout as it stood before."""
    variant: str | None = None

    @property
    def endpoint(self) -> str:
        """The name of the page that asks; what does it has `_now` behind it."""
        return self.name.replace("-", "_")

    @property
    def verb(self) -> str:
        """The first word of its label."""
        return self.label.partition(" ")[0]


def _versions(here: Standing) -> tuple[int, int]:
    return here.rollout.from_version, here.rollout.to_version


def _candidates(here: Standing) -> str:
    return listed(sorted([_versions(here)[1], *here.others]))


ABORT: Final = Act(
    "abort",
    "Abort rollout",
    "undo-2",
    Role.ON_CALL,
    lambda here: (
        f"Everyone on version {_versions(here)[1]} goes back to version {_versions(here)[0]}{going_on(here.others)}."
        if here.others
        else f"Everyone goes back to version {_versions(here)[0]}. Started again, it begins with the same {here.units}."
    ),
    lambda here: (
        f"Aborted: nobody is on version {_versions(here)[1]}."
        if here.others
        else f"Aborted: everyone is on version {_versions(here)[0]}."
    ),
    variant="danger",
)
ABORT_ALL: Final = Act(
    "abort-all",
    "Abort all rollouts",
    "octagon-x",
    Role.ON_CALL,
    lambda here: (
        f"Everyone goes back to version {_versions(here)[0]}: versions {_candidates(here)} of {here.place.title} are out."
    ),
    lambda here: f"Aborted: everyone is on version {_versions(here)[0]}.",
    variant="danger",
)
PAUSE: Final = Act(
    "pause",
    "Pause rollout",
    "pause",
    Role.ON_CALL,
    lambda here: (
        f"Nobody moves: version {_versions(here)[1]} stays at {share_words(here.share)}. It is not raised, by hand "
        "or by plan, until it is resumed. Lowering and aborting stay possible."
    ),
    lambda here: f"Paused at {share_words(here.share)}.",
)
RESUME: Final = Act(
    "resume",
    "Resume rollout",
    "play",
    Role.PUBLISHER,
    lambda here: (
        f"Nobody moves: version {_versions(here)[1]} stays at {share_words(here.share)} and may be raised again."
    ),
    lambda here: f"Resumed at {share_words(here.share)}.",
    variant="primary",
)
FINISH: Final = Act(
    "finish",
    "Finish rollout",
    "circle-check",
    Role.PUBLISHER,
    lambda here: (
        f"Version {_versions(here)[1]} becomes the only one, for everyone. "
        + (
            f"Versions {listed([_versions(here)[0], *here.others])} are no longer live."
            if here.others
            else f"Version {_versions(here)[0]} is no longer live."
        )
    ),
    lambda here: f"Finished: everyone is on version {_versions(here)[1]}.",
    variant="primary",
)


def acts_of(here: Standing) -> tuple[Act, ...]:
    """What may be done to it as it stands, the way out first."""
    if not here.running:
        return ()
    ways_out = (ABORT, ABORT_ALL) if here.others else (ABORT,)
    return (*ways_out, RESUME) if here.paused else (*ways_out, PAUSE, FINISH)
