"""Putting two people's changes of one text together, line by line. Pure."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from controlplane.prompts.textdiff import opcodes

_BEGIN: Final = "<<<<<<<"
_FINISH: Final = ">>>>>>>"


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


def marked(base: str, mine: str, theirs: str, *, mine_name: str, theirs_name: str) -> str:
    """Return the base with both changes in it; where they meet, both stand there between marks, for a person to decide."""
    lines = base.split("\n")
    both = (_changes(lines, mine.split("\n")), _changes(lines, theirs.split("\n")))
    for start, end in reversed(list(_places(sorted({*both[0], *both[1]})))):
        ours, others = (_with(lines, changes, start, end) for changes in both)
        if ours == others or others == lines[start:end]:
            lines[start:end] = ours
        elif ours == lines[start:end]:
            lines[start:end] = others
        else:
            begin, middle, finish = f"{_BEGIN} {mine_name}", "=======", f"{_FINISH} {theirs_name}"
            lines[start:end] = [begin, *ours, middle, *others, finish]
    return "\n".join(lines)


def first_mark(text: str) -> int | None:
    """Return the line, counted from 1, in which the first mark of `marked` still stands; None when all are gone."""
    lines = enumerate(text.split("\n"), start=1)
    return next((number for number, line in lines if line.startswith((f"{_BEGIN} ", f"{_FINISH} "))), None)


def _places(changes: Sequence[_Change]) -> Iterator[tuple[int, int]]:
    """Yield where something changed, in order; changes that touch are one place."""
    start, end = -1, -1
    for change in changes:
        if change.start > end:
            if start >= 0:
                yield start, end
            start, end = change.start, change.end
        end = max(end, change.end)
    if start >= 0:
        yield start, end


def _with(lines: Sequence[str], changes: Sequence[_Change], start: int, end: int) -> list[str]:
    """Return the lines of one place as one side has them."""
    found = list(lines[start:end])
    for change in reversed(changes):
        if start <= change.start and change.end <= end:
            found[change.start - start : change.end - start] = change.lines
    return found


def _changes(base: Sequence[str], other: Sequence[str]) -> list[_Change]:
    return [
        _Change(base_from, base_to, tuple(other[from_:to]))
        for tag, base_from, base_to, from_, to in opcodes(base, other)
        if tag != "equal"
    ]
