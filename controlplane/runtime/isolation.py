"""A release of which some entries are wrong, served with those entries as the last good release has them.

Off unless asked for (`Client(..., isolate=True)`): what is served then is nobody's release. It passed the same checks as
any release, as a whole, but nobody looked at it before it was published; and whoever rolls something out sees it arrive
in part. It is never written to disk, never called good, and `ClientState.held_back` names every entry.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from controlplane.runtime.acceptance import EntriesRefused, check_entries
from controlplane.runtime.errors import SnapshotRefused
from controlplane.runtime.snapshot import Snapshot, assemble
from controlplane.runtime.validate import Problem

# What is wrong with one kind makes what names it look wrong as well; so the named come before those that name them.
_ORDER: Final = ("tier", "model", "interaction", "body", "prompt", "configuration", "gate")

# More than that is no slip in a release, but a bad release.
_MOST: Final = 50


class Mixture(NamedTuple):
    """A release with some entries of the one before it."""

    snapshot: Snapshot
    held_back: Mapping[str, str]
    """Why, by the key of the entry (or `body/` and the hash of a prompt's text)."""


def hold_back(refused: EntriesRefused, last_good: Snapshot) -> Mixture | None:
    """The refused release with what is wrong in it taken from the last good one; None when that is not fit either.

    Nothing is made up: an entry that the last good release does not have, or has just so, cannot be held back.
    """
    wanted, problem = refused.snapshot, refused
    held_back: dict[str, str] = {}
    while last_good.accepted:
        more = _first(problem.problems)
        if not more or not all(key not in held_back and _is_better(key, wanted, last_good) for key in more):
            return None
        held_back |= more
        if len(held_back) > _MOST:
            return None
        try:
            mixed = _mix(wanted, last_good, held_back.keys())
            check_entries(mixed, last_good)
        except EntriesRefused as still:
            problem = still
        except SnapshotRefused:  # too large, together
            return None
        else:
            return Mixture(mixed, held_back)
    return None


def _first(problems: Sequence[Problem]) -> dict[str, str]:
    """Return why, by key, for those entries of which the others may be mere consequences."""
    kinds = {_kind(key) for key, *_ in problems}
    if not kinds.issubset(_ORDER):  # such as the size of the whole, or a key that is none
        return {}
    first = min(kinds, key=_ORDER.index)
    found: dict[str, str] = {}
    for key, field, message in problems:
        if _kind(key) == first:
            found.setdefault(key, f"{field}: {message}" if field else message)
    return found


def _kind(key: str) -> str:
    return key.partition("/")[0]


def _is_better(key: str, wanted: Snapshot, last_good: Snapshot) -> bool:
    # What is no entry is a prompt's text. That can be left out: prompts that need it are held back in their turn.
    if key not in wanted:
        return True
    return key in last_good and last_good.raw(key) != wanted.raw(key)


def _mix(wanted: Snapshot, last_good: Snapshot, held_back: Collection[str]) -> Snapshot:
    documents = {key: (last_good if key in held_back else wanted).raw(key) for key in wanted.keys()}  # noqa: SIM118 - a Snapshot is not a mapping
    older = b"".join(documents[key] for key in held_back if key in documents)
    bodies = {sha256: body for sha256, body in wanted.bodies().items() if f"body/{sha256}" not in held_back}
    needed = {
        sha256: body
        for sha256, body in last_good.bodies().items()
        if f"body/{sha256}" in held_back or sha256.encode() in older
    }
    data = assemble(documents, bodies | needed)
    return Snapshot.load(data, release=wanted.release, environment=wanted.environment)
