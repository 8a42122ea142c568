"""Putting two people's changes of one text together, when they do not touch the same lines. Pure."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from controlplane.prompts.textdiff import opcodes


class _Change(NamedTuple):
    """Lines `start` to `end` of the base become `lines`."""

    start: int
    end: int
    lines: tuple[str, ...]


def merged(base: str, mine: str, theirs: str) -> str | None:
    """Return the base with both changes in it, or None when somebody has to decide.

    Changes that touch, or that meet without a line between them, are for a person: two sentences written for the same
    place seldom make sense one after the other.
    """
    lines = base.split("\n")
    changes = sorted({*_changes(lines, mine.split("\n")), *_changes(lines, theirs.split("\n"))})
    if any(after.start <= before.end for before, after in pairwise(changes)):
        return None
    for change in reversed(changes):
        lines[change.start : change.end] = change.lines
    return "\n".join(lines)


def _changes(base: Sequence[str], other: Sequence[str]) -> list[_Change]:
    return [
        _Change(base_from, base_to, tuple(other[from_:to]))
        for tag, base_from, base_to, from_, to in opcodes(base, other)
        if tag != "equal"
    ]
