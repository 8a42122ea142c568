"""Whom a release moves: what share of all users gets something else, and from which model to which. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from controlplane.releases import words
from controlplane.releases.compose import Document
from controlplane.releases.diff import EntryChange
from controlplane.runtime.bucketing import BUCKETS

_MOVES_TOLD: Final = 3


@dataclass(frozen=True)
class Move:
    """So many buckets that were answered by one model and are answered by another now."""

    buckets: int
    before: str
    after: str


def share_moved(changes: Iterable[EntryChange]) -> int | None:
    """How many of 100,000 users get something else by the change that moves the most; None where none concerns users.

    A template or a configuration that comes or goes counts for everybody whom it may concern: nobody knows it closer here.
    """
    shares = [share for change in changes if (share := _share(change)) is not None]
    return max(shares, default=None)


def moves(before: Document | None, after: Document | None) -> list[Move]:
    """Who moves from one model to another between two documents of a configuration, the largest move first."""
    moved: Counter[tuple[str, str]] = Counter()
    for length, old, new in _pieces(before, after):
        if old is not None and new is not None and old.get("model") != new.get("model"):
            moved[str(old.get("model")), str(new.get("model"))] += length
    found = [Move(count, *models) for models, count in moved.items()]
    return sorted(found, key=lambda move: (-move.buckets, move.before, move.after))


def in_words(changes: Sequence[EntryChange]) -> str:
    """The moves of a part of the users, for the end of a sentence; what moves all of them the sentence says already.

    "; 25 % of users move from CLAUDE_3_5_SONNET to CLAUDE_3_HAIKU"
    """
    several = sum(change.key.startswith("configuration/") for change in changes) > 1
    told: list[str] = []
    for change in changes:
        if not change.key.startswith("configuration/"):
            continue
        whom = f"{(change.after or {}).get('unit', 'user')}s"
        where = f" of {words.entry_name(change.key)}" if several else ""
        told.extend(
            f"{words.share_text([[0, move.buckets]])} of {whom}{where} move from {move.before} to {move.after}"
            for move in moves(change.before, change.after)
            if move.buckets < BUCKETS
        )
    rest = len(told) - _MOVES_TOLD
    more = [f"and {rest} more such {'move' if rest == 1 else 'moves'}"] if rest > 0 else []
    return "".join(f"; {each}" for each in [*told[:_MOVES_TOLD], *more])


def _share(change: EntryChange) -> int | None:
    kind = change.key.partition("/")[0]
    if kind == "configuration":
        if change.before is None or change.after is None:
            return BUCKETS
        return sum(length for length, old, new in _pieces(change.before, change.after) if _other(old, new))
    if kind == "gate":
        return sum(
            length
            for length, old, new in _pieces(_as_variant(change.before), _as_variant(change.after))
            if (old is None) != (new is None)
        )
    return BUCKETS if kind == "prompt" else None


def _as_variant(gate: Document | None) -> Document:
    return {"variants": [{"ranges": (gate or {}).get("ranges", [])}]}


def _other(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> bool:
    return _without_ranges(old) != _without_ranges(new)


def _without_ranges(variant: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if variant is None else {key: value for key, value in variant.items() if key != "ranges"}


def _pieces(
    before: Document | None, after: Document | None
) -> Iterable[tuple[int, Document | None, Document | None]]:
    """The buckets, cut wherever either side changes from one variant to another: how many, and who answers them."""
    old, new = _ranges(before), _ranges(after)
    cuts = sorted({0, BUCKETS, *(edge for start, end, _ in (*old, *new) for edge in (start, end))})
    for start, end in pairwise(cuts):
        yield end - start, _at(old, start), _at(new, start)


def _ranges(document: Document | None) -> list[tuple[int, int, Document]]:
    variants = (document or {}).get("variants") or []
    # A pair whose ends stand the other way round is the same stretch.
    pairs = ((variant, pair) for variant in variants for pair in variant.get("ranges") or [])
    return [(min(pair), max(pair), variant) for variant, pair in pairs]


def _at(ranges: Iterable[tuple[int, int, Document]], bucket: int) -> Document | None:
    return next((variant for start, end, variant in ranges if start <= bucket < end), None)
