"""The difference of two texts, line by line and inside a changed line word by word. Pure; used by prompts and releases.

`lines(old, new)` gives rows ready to be shown. Every comparison is bounded: a text is at most 64 KiB, but 64 KiB of empty
lines, or of one long line, must not hold up the process that serves the site.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import NamedTuple

CONTEXT = 3
_MOST_ROWS = 2_000
# Comparing is quadratic at its worst. More lines than these between the first and the last change are shown as replaced.
_MOST_LINES_COMPARED = 4_000
# Beyond these a changed line is shown as wholly changed: the marks would no longer help anyone to read it.
_LONGEST_LINE = 2_000
_MOST_WORDS_COMPARED = 20_000
_WORDS_A_LINE_COSTS = 20
_LEAST_ALIKE = 0.3

_WORD = re.compile(r"\w+|\s+|[^\w\s]")


class Part(NamedTuple):
    """A run of characters of one line; `marked` when the other text has something else in its place."""

    text: str
    marked: bool = False


@dataclass(frozen=True)
class Row:
    """One line of the difference, numbered in the old and in the new text.

    `kind` is "same", "ins", "del", or "skip" in place of `hidden` lines: unchanged ones, or, as the last row of a very long
    difference, the rest of it with `hidden_ins` and `hidden_del` changes.
    """

    kind: str
    old: int | None = None
    new: int | None = None
    parts: tuple[Part, ...] = ()
    hidden: int = 0
    hidden_ins: int = 0
    hidden_del: int = 0

    @property
    def text(self) -> str:
        """The whole line, or how many lines stand here."""
        if self.hidden_ins or self.hidden_del:
            return f"{self.hidden:,} more lines are not shown: {Summary(self.hidden_ins, self.hidden_del)}"
        if self.hidden:
            return f"{self.hidden:,} unchanged line{'s' if self.hidden != 1 else ''}"
        return "".join(part.text for part in self.parts)


class Pair(NamedTuple):
    """What stands on one line of a text shown beside another: the old, the new, or both."""

    left: Row | None
    right: Row | None


@dataclass(frozen=True)
class Summary:
    """How many lines came and went."""

    added: int
    removed: int

    def __str__(self) -> str:
        if not self.added and not self.removed:
            return "no difference"
        return ", ".join(_counted(number, verb) for number, verb in self._parts() if number)

    def _parts(self) -> tuple[tuple[int, str], ...]:
        return (self.added, "added"), (self.removed, "removed")


def lines(old: str, new: str, *, context: int | None = CONTEXT) -> list[Row]:
    """Return the rows that lead from `old` to `new`; equal texts give none.

    Unchanged lines further than `context` from a change are folded into a "skip" row; `context=None` keeps them all.
    """
    if old == new and context is not None:
        return []
    rows = list(_rows(_split(old), _split(new)))
    return rows if context is None else _cut(list(_folded(rows, context)))


def opcodes(old: Sequence[str], new: Sequence[str]) -> Sequence[tuple[str, int, int, int, int]]:
    """Return difflib's opcodes that lead from one list of lines to the other, in bounded time."""
    shorter = min(len(old), len(new))
    head = next((index for index in range(shorter) if old[index] != new[index]), shorter)
    rest = shorter - head
    tail = next((index for index in range(rest) if old[-1 - index] != new[-1 - index]), rest)
    if max(len(old), len(new)) - head - tail <= _MOST_LINES_COMPARED:
        return SequenceMatcher(None, old, new).get_opcodes()
    changed = ("replace", head, len(old) - tail, head, len(new) - tail)
    found = [("equal", 0, head, 0, head), changed, ("equal", changed[2], len(old), changed[4], len(new))]
    return [code for code in found if code[1] < code[2] or code[3] < code[4]]


def summary(rows: Sequence[Row]) -> Summary:
    """Count what `lines` found."""
    kinds = [row.kind for row in rows]
    return Summary(
        added=kinds.count("ins") + sum(row.hidden_ins for row in rows),
        removed=kinds.count("del") + sum(row.hidden_del for row in rows),
    )


def side_by_side(rows: Sequence[Row]) -> list[Pair]:
    """Return the rows of a difference as pairs: what went beside what came, line by line."""
    pairs: list[Pair] = []
    gone: list[Row] = []
    come: list[Row] = []
    for row in rows:
        if row.kind == "del" and come:
            pairs += _paired(gone, come)
            gone, come = [], []
        if row.kind == "del":
            gone.append(row)
        elif row.kind == "ins":
            come.append(row)
        else:
            pairs += [*_paired(gone, come), Pair(row, row)]
            gone, come = [], []
    return [*pairs, *_paired(gone, come)]


def _paired(gone: Sequence[Row], come: Sequence[Row]) -> Iterator[Pair]:
    for index in range(max(len(gone), len(come))):
        yield Pair(
            gone[index] if index < len(gone) else None,
            come[index] if index < len(come) else None,
        )


def _split(text: str) -> list[str]:
    # Not splitlines(): it also breaks at form feeds and U+2028, which the template engine counts as part of a line.
    return text.split("\n") if text else []


def _rows(old: list[str], new: list[str]) -> Iterator[Row]:
    words_left = _MOST_WORDS_COMPARED
    for tag, old_from, old_to, new_from, new_to in opcodes(old, new):
        if tag == "equal":
            yield from _same(old, old_from, old_to, new_from)
            continue
        gone, come = old[old_from:old_to], new[new_from:new_to]
        marked, used = _mark(gone, come, words_left)
        words_left -= used
        for offset in range(len(gone)):
            yield Row("del", old=old_from + offset + 1, parts=marked[0][offset])
        for offset in range(len(come)):
            yield Row("ins", new=new_from + offset + 1, parts=marked[1][offset])


def _same(old: list[str], start: int, end: int, new_start: int) -> Iterator[Row]:
    for offset, text in enumerate(old[start:end]):
        yield Row("same", old=start + offset + 1, new=new_start + offset + 1, parts=(Part(text),))


_Marked = list[tuple[Part, ...]]


def _mark(gone: list[str], come: list[str], words_left: int) -> tuple[tuple[_Marked, _Marked], int]:
    """Mark the words that changed, pairing the lines of a changed block in order; also say how many words that took."""
    before: _Marked = [(Part(text),) for text in gone]
    after: _Marked = [(Part(text),) for text in come]
    used = 0
    for index, (old, new) in enumerate(zip(gone, come, strict=False)):
        if len(old) > _LONGEST_LINE or len(new) > _LONGEST_LINE:
            continue
        old_words, new_words = _WORD.findall(old), _WORD.findall(new)
        used += len(old_words) + len(new_words) + _WORDS_A_LINE_COSTS
        if used > words_left:
            break
        before[index], after[index] = _words(old_words, new_words)
    return (before, after), used


def _words(old: list[str], new: list[str]) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    matcher = SequenceMatcher(None, old, new)
    if matcher.ratio() < _LEAST_ALIKE:
        return (Part("".join(old)),), (Part("".join(new)),)
    before: list[Part] = []
    after: list[Part] = []
    for tag, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        _append(before, "".join(old[old_from:old_to]), marked=tag != "equal")
        _append(after, "".join(new[new_from:new_to]), marked=tag != "equal")
    return tuple(before), tuple(after)


def _append(parts: list[Part], text: str, *, marked: bool) -> None:
    if text:
        parts.append(Part(text, marked))


def _folded(rows: list[Row], context: int) -> Iterator[Row]:
    keep = _near_a_change(rows, context)
    hidden = 0
    for row, kept in zip(rows, keep, strict=True):
        if not kept:
            hidden += 1
            continue
        if hidden:
            yield Row("skip", hidden=hidden)
            hidden = 0
        yield row
    if hidden:
        yield Row("skip", hidden=hidden)


def _cut(rows: list[Row]) -> list[Row]:
    """Leave out the end of a difference that is too long for a page, and say what is in it."""
    rest = rows[_MOST_ROWS:]
    counted = summary(rest)
    if not counted.added and not counted.removed:
        return rows
    hidden = sum(row.hidden or 1 for row in rest)
    return [
        *rows[:_MOST_ROWS],
        Row("skip", hidden=hidden, hidden_ins=counted.added, hidden_del=counted.removed),
    ]


def _near_a_change(rows: list[Row], context: int) -> list[bool]:
    near = [False] * len(rows)
    for order in (range(len(rows)), range(len(rows) - 1, -1, -1)):
        since = context + 1
        for index in order:
            since = 0 if rows[index].kind != "same" else since + 1
            near[index] = near[index] or since <= context
    return near


def _counted(number: int, verb: str) -> str:
    return f"{number:,} line{'s' if number != 1 else ''} {verb}"
