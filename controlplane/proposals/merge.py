"""Putting two changes of one document together, field by field, where they do not touch the same. Pure.

Fields have the paths of `releases.diff`. Three things are one value although a diff shows them apart, since half of each
says nothing: which template a variant takes (code, version and digest), which text a template has (version, digest, size, snippets),
and who gets which variant (two people's shares do not add up). An entry that is made or removed is one value as well.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from controlplane.releases.compose import Document
from controlplane.releases.diff import ABSENT, item_prefix, items_by_name, same

Side = Literal["theirs", "ours"]
Choices = Mapping[str, Side]

_ONE_VALUE: Final = frozenset({"prompt", "version"})
_TEXT: Final = ("version", "sha256", "size", "snippets")


@dataclass(frozen=True, slots=True)
class FieldConflict:
    """A field that both sides changed, each to something else; `path` is "" for the entry as a whole."""

    path: str
    base: Any
    theirs: Any
    ours: Any


@dataclass(frozen=True, slots=True)
class Merged:
    """Both changes in one document (None: the entry is gone); where they conflict it has what is theirs."""

    document: Document | None
    conflicts: tuple[FieldConflict, ...]
    base: Document | None
    theirs: Document | None
    ours: Document | None


def merge(base: Document | None, theirs: Document | None, ours: Document | None) -> Merged:
    """Return `base` with what either side changed; None is an entry that is not there."""
    merging = _Merging({})
    document = merging.document(base, theirs, ours)
    return Merged(document, tuple(merging.conflicts), base, theirs, ours)


def resolve(merged: Merged, choices: Choices) -> Document | None:
    """Return the document with each conflict decided as chosen, by its path.

    Raises `ValueError` when one is left undecided; what is chosen for a path without a conflict is passed over.
    """
    undecided = [
        conflict.path for conflict in merged.conflicts if choices.get(conflict.path) not in {"theirs", "ours"}
    ]
    if undecided:
        raise ValueError(f"undecided: {', '.join(undecided)}")
    return _Merging(choices).document(merged.base, merged.theirs, merged.ours)


class _Merging:
    """One merge under way: what was chosen, and the conflicts met, in the order of the fields."""

    def __init__(self, choices: Choices) -> None:
        self.choices = choices
        self.conflicts: list[FieldConflict] = []

    def document(
        self, base: Document | None, theirs: Document | None, ours: Document | None
    ) -> Document | None:
        sides = [_there(side) for side in (base, theirs, ours)]
        if all(isinstance(side, dict) for side in sides) and _settled(*sides) is None:
            folded = [_folded(side) for side in sides]
            return _unfolded(self._object("", *folded))
        merged = self._value("", *sides, whole=True)
        return None if merged is ABSENT else merged

    def _object(self, prefix: str, base: Document, theirs: Document, ours: Document) -> Document:
        merged = {}
        for name in sorted(base.keys() | theirs.keys() | ours.keys()):
            sides = [side.get(name, ABSENT) for side in (base, theirs, ours)]
            value = self._field(prefix, name, *sides)
            if value is not ABSENT:
                merged[name] = value
        return merged

    def _field(self, prefix: str, name: str, base: Any, theirs: Any, ours: Any) -> Any:
        sides = (base, theirs, ours)
        if _settled(*sides) is None:
            if name == "variants" and (single := _single(*sides)):
                return [self._object(prefix, *single)]
            named = _named(name, *sides)
            if named and (name != "variants" or _shares_agree(*named)):
                return self._items(prefix, name, *named)
            inner = all(isinstance(side, dict) for side in sides) and "." not in prefix
            if inner and name not in _ONE_VALUE:
                return self._object(f"{prefix}{name}.", *sides)
        return self._value(f"{prefix}{name}", *sides)

    def _items(self, prefix: str, name: str, *named: dict[str, Document]) -> list[Document]:
        merged = {}
        for label in sorted({label for items in named for label in items}, key=_label_place):
            sides: list[Any] = [items.get(label, ABSENT) for items in named]
            inside = prefix + item_prefix(name, label)
            if _settled(*sides) is None and ABSENT not in sides:
                merged[label] = self._object(inside, *sides)
            elif (item := self._value(inside.removesuffix(" · "), *sides)) is not ABSENT:
                merged[label] = item
        return [merged[label] for label in self._order(f"{prefix}order of {name}", merged, *map(list, named))]

    def _order(
        self, path: str, kept: Iterable[str], base: list[str], theirs: list[str], ours: list[str]
    ) -> list[str]:
        """Return the order of the items that are kept; only where both sides moved some has somebody to decide."""
        kept = list(kept)
        if ours in (theirs, base):
            order = theirs
        elif theirs == base:
            order = ours
        elif not _moved(base, ours):
            order = _woven(theirs, ours)
        elif not _moved(base, theirs):
            order = _woven(ours, theirs)
        else:
            order = self._value(path, base, theirs, ours)
        order = [label for label in order if label in kept]
        return order + sorted((label for label in kept if label not in order), key=_label_place)

    def _value(self, path: str, base: Any, theirs: Any, ours: Any, *, whole: bool = False) -> Any:
        settled = _settled(base, theirs, ours)
        if settled is not None:
            return settled[0]
        shown = [None if whole and side is ABSENT else side for side in (base, theirs, ours)]
        self.conflicts.append(FieldConflict(path, *shown))
        return ours if self.choices.get(path) == "ours" else theirs


def _there(document: Document | None) -> Any:
    return ABSENT if document is None else document


def _settled(base: Any, theirs: Any, ours: Any) -> tuple[Any] | None:
    """Return the value when at most one side changed it, or both to the same; None when somebody has to decide."""
    if _same(theirs, ours) or _same(base, ours):
        return (theirs,)
    return (ours,) if _same(base, theirs) else None


def _same(left: Any, right: Any) -> bool:
    if left is ABSENT or right is ABSENT:
        return left is right
    return same(left, right)


def _single(*sides: Any) -> list[Document] | None:
    """Return the only variant of each side, when each has exactly one: then it reads as one object with its fields."""
    alone = all(isinstance(side, list) and len(side) == 1 and isinstance(side[0], dict) for side in sides)
    return [side[0] for side in sides] if alone else None


def _named(name: str, *sides: Any) -> list[dict[str, Document]] | None:
    """Return the items of each side by their own name, or None when one side's have none."""
    named = [items for side in sides if (items := items_by_name(name, side)) is not None]
    return named if len(named) == len(sides) else None


def _shares_agree(*named: dict[str, Document]) -> bool:
    shares = [{label: item.get("ranges") for label, item in items.items()} for items in named]
    return _settled(*shares) is not None


def _moved(base: list[str], side: list[str]) -> bool:
    """Say whether items that were there before have another order; that some went or came is none."""
    return [label for label in base if label in side] != [label for label in side if label in base]


def _woven(order: list[str], side: list[str]) -> list[str]:
    """Return `order` with what else `side` has, each behind what it stands behind there, or at the end as there.

    Where both put something at one place, what `order` has comes first.
    """
    woven = list(order)
    for place, label in enumerate(side):
        if label in woven:
            continue
        if not any(each in order for each in side[place:]):
            woven.append(label)
            continue
        before = next((each for each in reversed(side[:place]) if each in woven), None)
        at = 0 if before is None else woven.index(before) + 1
        while at < len(woven) and woven[at] not in side:
            at += 1
        woven.insert(at, label)
    return woven


def _label_place(label: str) -> tuple[int, str]:
    return len(label), label


def _folded(document: Document) -> Document:
    """Return a template's document with what names its text as one value."""
    if "sha256" not in document:
        return document
    rest = {name: value for name, value in document.items() if name not in _TEXT}
    return {**rest, "version": {name: document[name] for name in _TEXT if name in document}}


def _unfolded(document: Document) -> Document:
    version = document.get("version")
    return {**document, **version} if isinstance(version, dict) else document
