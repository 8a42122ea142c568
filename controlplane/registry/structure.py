"""What objects and lists hold, as a person writes it: one field a line, indented under the object that it is of.

    title: text — what to do
    due: string, optional — the day, as 2026-12-01
    owner: object
      name: string
    tags: list of string

A list whose members are no objects is one word: `number`, or `list of number`. Pure: read and written back here only.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from controlplane.runtime.entries import PARAMETER_TYPES

Json = dict[str, Any]  # not from `db`, which knows the database

DEEPEST: Final = 5
MOST_FIELDS: Final = 100
LONGEST_DESCRIPTION: Final = 200
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_TYPES: Final = ", ".join((*PARAMETER_TYPES, "list of …"))
_DASH: Final = re.compile(r"\s+(?:—|–|--?)\s+")


class StructureRefused(ValueError):  # noqa: N818 - the name reads as what is raised
    """A line that cannot be understood; the text says which, and what it should be."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"Line {line}: {message}")


@dataclass
class _Line:
    number: int
    indent: int
    name: str
    rest: str
    inner: "list[_Line]" = field(default_factory=list)


def read_structure(kind: str, text: str) -> Json:
    """Return `fields` or `items` for a parameter of this type; raises `StructureRefused`. Blank text declares nothing."""
    lines = _lines(text)
    if not lines:
        return {}
    if kind not in ("object", "list"):
        raise StructureRefused(lines[0].number, f"a {kind} holds no fields; leave this empty.")
    if len(lines) > MOST_FIELDS:
        raise StructureRefused(lines[MOST_FIELDS].number, f"keep it to {MOST_FIELDS} fields.")
    only = lines[0]
    if kind == "list" and len(lines) == 1 and not only.name:
        return {"items": _items(only, only.rest, [], DEEPEST)}
    found = _fields(_nested(lines), DEEPEST)
    return {"items": {"type": "object", "fields": found}} if kind == "list" else {"fields": found}


def write_structure(declared: Mapping[str, Any]) -> str:
    """Return `fields` and `items` as a person would write them."""
    items = declared.get("items")
    if items is None:
        return "\n".join(_written(declared.get("fields") or (), 0))
    if items["type"] == "object" and items.get("fields"):
        return "\n".join(_written(items["fields"], 0))
    return _type_words(items)[0]


def _lines(text: str) -> list[_Line]:
    found = []
    for number, line in enumerate(text.expandtabs(2).splitlines(), start=1):
        if not line.strip():
            continue
        indent = len(line) - len(line.lstrip())
        name, colon, rest = line.strip().partition(":")
        found.append(_Line(number, indent, name.strip() if colon else "", (rest if colon else name).strip()))
    return found


def _nested(lines: Sequence[_Line]) -> list[_Line]:
    """Put each line under the one that it is indented under; a dotted name goes under the field of its first part."""
    root: list[_Line] = []
    above: list[_Line] = []
    for line in lines:
        if not line.name:
            raise StructureRefused(line.number, f"write “name: type”, where the type is one of {_TYPES}.")
        while above and above[-1].indent >= line.indent:
            above.pop()
        if not above and line.indent != lines[0].indent:
            raise StructureRefused(line.number, "this is indented under nothing.")
        siblings = above[-1].inner if above else root
        *owners, line.name = line.name.split(".")
        for owner in owners:
            siblings = _owner(siblings, owner, line).inner
        siblings.append(line)
        above.append(line)
    return root


def _owner(siblings: list[_Line], name: str, line: _Line) -> _Line:
    known = next((each for each in siblings if each.name == name), None)
    if known is None:
        known = _Line(line.number, line.indent, name, "object")
        siblings.append(known)
    return known


def _fields(lines: Sequence[_Line], left: int) -> list[Json]:
    found: list[Json] = []
    for line in lines:
        if not _NAME.fullmatch(line.name):
            raise StructureRefused(
                line.number, f"“{line.name}” is no name of a field: use letters, digits and underscores."
            )
        if any(line.name == each["name"] for each in found):
            raise StructureRefused(line.number, f"there is a field {line.name} already.")
        words, *said = _DASH.split(line.rest, maxsplit=1)
        kind, *marks = (part.strip() for part in words.split(","))
        if any(mark not in ("optional", "required") for mark in marks):
            raise StructureRefused(
                line.number, "after the type comes nothing, or “, optional”, and “ — ” before a description."
            )
        declared: Json = {"name": line.name, **_items(line, kind, line.inner, left)}
        if "optional" in marks:
            declared["optional"] = True
        if said:
            declared["description"] = said[0].strip()[:LONGEST_DESCRIPTION]
        found.append(declared)
    return found


def _items(line: _Line, kind: str, inner: Sequence[_Line], left: int) -> Json:
    """Return a type in words, with what is written under it, as what is declared."""
    kind = " ".join(kind.lower().split())
    if left == 0:
        raise StructureRefused(line.number, f"fields stand at most {DEEPEST} deep in each other.")
    if kind.startswith("list of "):
        return {"type": "list", "items": _items(line, kind.removeprefix("list of "), inner, left - 1)}
    if kind not in PARAMETER_TYPES:
        raise StructureRefused(line.number, f"“{kind}” is no type: choose one of {_TYPES}.")
    if kind == "list" and inner:
        return {"type": "list", "items": {"type": "object", "fields": _fields(inner, left - 1)}}
    if kind != "object" and inner:
        raise StructureRefused(inner[0].number, f"{line.name} is a {kind}, which has no fields.")
    return {"type": kind, "fields": _fields(inner, left - 1)} if inner else {"type": kind}


def _written(fields: Sequence[Mapping[str, Any]], depth: int) -> Iterator[str]:
    for each in fields:
        words, inner = _type_words(each)
        optional = ", optional" if each.get("optional") else ""
        said = f" — {each['description']}" if each.get("description") else ""
        yield f"{'  ' * depth}{each['name']}: {words}{optional}{said}"
        yield from _written(inner, depth + 1)


def _type_words(declared: Mapping[str, Any]) -> tuple[str, Sequence[Mapping[str, Any]]]:
    items = declared.get("items")
    if items is None:
        return declared["type"], declared.get("fields") or ()
    words, inner = _type_words(items)
    return f"list of {words}", inner
