"""What differs between two sets of entries: keys added, removed, changed, and each changed field by name. Pure.

Two documents are the same when their canonical bytes are; that is what a release stores and a digest names. Items
of a list that have a name of their own (a configuration's variants, an interaction's parameters) are compared under
that name, so that one variant more is not shown as every variant changed.
"""

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from controlplane.releases.compose import Document, Entries
from controlplane.runtime import canonical
from controlplane.runtime.entries import KINDS

_encode: Final = msgspec.json.Encoder(order="deterministic").encode
# The lists whose items carry a name: the field that names them, and how that is written in a path.
_NAMED: Final = {"variants": ("version", "version {} · "), "parameters": ("name", "parameter {} · ")}


class Absent(enum.Enum):
    """A value that is not there at all, which is not the same as null."""

    ABSENT = "absent"

    def __repr__(self) -> str:
        """Return its name: readable in a failing test."""
        return "ABSENT"


ABSENT: Final = Absent.ABSENT


class Kind(enum.StrEnum):
    """What happened to an entry."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field before and after; `path` is unique within its entry ("temperature", "version 4 · prompt.code")."""

    path: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class EntryChange:
    """One entry before and after (None: there is none), with the fields that differ."""

    key: str
    kind: Kind
    fields: tuple[FieldChange, ...]
    before: Document | None
    after: Document | None


def diff(before: Entries, after: Entries) -> list[EntryChange]:
    """Return what leads from `before` to `after`: by kind in the order of `KINDS`, then by key."""
    keys = sorted(before.keys() | after.keys(), key=_place)
    changes = (_entry_change(key, before.get(key), after.get(key)) for key in keys)
    return [change for change in changes if change is not None]


def same(left: object, right: object) -> bool:
    """Say whether two values have the same canonical bytes."""
    # The fast encoder agrees whenever nothing differs but would tell 1 from 1.0; the canonical one has the last word.
    return left is right or _encode(left) == _encode(right) or canonical.dumps(left) == canonical.dumps(right)


def digest_of(document: Document | None) -> str:
    """Return by what a form knows again which document it showed; there being none has a digest as well."""
    return "none" if document is None else canonical.digest(canonical.dumps(document))


# Screens put first what people change most often; a key that is none of these comes last.
_ORDER: Final = {kind: place for place, kind in enumerate(("configuration", "gate", "prompt"))}


# As forms and pages of a configuration have them; other fields follow by name.
_FIELDS: Final = (
    *(
        "version",
        "model",
        "prompt",
        "temperature",
        "max_tokens",
        "top_p",
        "frequency_penalty",
        "presence_penalty",
    ),
    *("fallbacks", "effective_from", "effective_until", "active", "ranges"),
)


def _field_place(name: str) -> tuple[int, str]:
    return _FIELDS.index(name) if name in _FIELDS else len(_FIELDS), name


def _place(key: str) -> tuple[int, str]:
    kind = key.partition("/")[0]
    return _ORDER.get(kind, len(_ORDER) + (KINDS.index(kind) if kind in KINDS else len(KINDS))), key


def _entry_change(key: str, before: Document | None, after: Document | None) -> EntryChange | None:
    if before is not None and after is not None:
        if same(before, after):
            return None
        # Documents that differ only in a way no field tells (an empty list for none) still are a change.
        fields = tuple(_fields(before, after)) or (FieldChange("", before, after),)
        return EntryChange(key, Kind.CHANGED, fields, before, after)
    kind = Kind.ADDED if before is None else Kind.REMOVED
    return EntryChange(key, kind, tuple(_fields(before or {}, after or {})), before, after)


def _fields(before: Document, after: Document) -> Iterator[FieldChange]:
    """Yield the fields that differ, sorted; a configuration with one variant before and after reads as one object."""
    old, new = _single_variant(before), _single_variant(after)
    if (old or new) and (old or not before) and (new or not after):
        before, after = _spread(before, old), _spread(after, new)
    yield from _object_fields("", before, after)


def _single_variant(document: Document) -> Document | None:
    variants = document.get("variants")
    if isinstance(variants, list) and len(variants) == 1 and isinstance(variants[0], dict):
        # A variant that repeated a field of its configuration would hide it: then it stays a variant.
        return None if variants[0].keys() & document.keys() else variants[0]
    return None


def _spread(document: Document, variant: Document | None) -> Document:
    rest = {key: value for key, value in document.items() if key != "variants"}
    return {**rest, **(variant or {})}


def _object_fields(prefix: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[FieldChange]:
    for name in sorted(before.keys() | after.keys(), key=_field_place):
        yield from _value_fields(prefix, name, before.get(name, ABSENT), after.get(name, ABSENT))


def _value_fields(prefix: str, name: str, before: Any, after: Any) -> Iterator[FieldChange]:
    if before is not ABSENT and after is not ABSENT and same(before, after):
        return
    path = f"{prefix}{name}"
    named = items_by_name(name, before), items_by_name(name, after)
    if named[0] is not None and named[1] is not None:
        yield from _item_fields(prefix, name, named[0], named[1])
    elif isinstance(before, dict) and isinstance(after, dict) and "." not in prefix:
        yield from _object_fields(f"{path}.", before, after)
    else:
        yield FieldChange(path, before, after)


def _item_fields(
    prefix: str, name: str, before: dict[str, Document], after: dict[str, Document]
) -> Iterator[FieldChange]:
    for item in sorted(before.keys() | after.keys(), key=lambda label: (len(label), label)):
        yield from _object_fields(prefix + item_prefix(name, item), before.get(item, {}), after.get(item, {}))
    # The first variant is the baseline, and parameters are asked for in their order: an order is a value too. What is
    # expected to happen to it when items come and go is not told again.
    expected = [label for label in before if label in after] + [
        label for label in after if label not in before
    ]
    if expected != list(after):
        yield FieldChange(f"{prefix}order of {name}", list(before), list(after))


def item_prefix(name: str, item: str) -> str:
    """Return what stands before the fields of a named item in their paths: "version 4 · "."""
    return _NAMED[name][1].format(item)


def items_by_name(name: str, value: Any) -> dict[str, Document] | None:
    """Return a list's items by their own name, or None when they have none or one name stands twice."""
    if name not in _NAMED:
        return None
    if value is ABSENT:
        return {}
    field = _NAMED[name][0]
    if not isinstance(value, list) or not all(isinstance(item, dict) and field in item for item in value):
        return None
    named = {str(item[field]): item for item in value}
    return named if len(named) == len(value) else None
