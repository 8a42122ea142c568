"""What each filter needs and gives, as `runtime/filters.py` does it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from controlplane.prompts.contract.kinds import (
    ANY,
    BOOLEAN,
    NUMBER,
    NUMERIC,
    PRINTABLE,
    TEXT,
    Kind,
    Value,
    join_all,
    listed,
)

ITERABLE: Final = frozenset({Kind.LIST, Kind.SEQUENCE, Kind.OBJECT, Kind.TEXT})
_MEASURED: Final = ITERABLE


@dataclass(frozen=True, slots=True)
class Rule:
    """The kinds a filter takes, what it gives for a value, and which words say what it is for."""

    takes: frozenset[Kind]
    gives: Callable[[Value], Value]
    needs: str
    spells: bool = False
    """Whether it goes through a text letter by letter, which is hardly ever meant."""
    takes_nothing: bool = False
    attribute: int | None = None
    """Where among the arguments the name of a field may stand."""


def member_of(value: Value) -> Value:
    """Return what one meets when going through a value."""
    found = []
    for kind, shape in value.shapes.items():
        if kind in (Kind.LIST, Kind.SEQUENCE):
            found.append(shape.item or ANY)
        elif kind in (Kind.TEXT, Kind.OBJECT):
            found.append(TEXT)
        else:
            return ANY
    return join_all(found)


def is_filled(value: Value) -> bool:
    """Say whether there is something to go through in at least one sample."""
    return any(shape.is_filled for shape in value.shapes.values())


def pairs_of(value: Value) -> Value:
    """Return the fields of an object as pairs of name and value."""
    shape = value.get(Kind.OBJECT)
    inner = join_all(shape.fields.values()).present if shape and shape.fields else ANY
    pair = listed(join_all([TEXT, inner]), members=(TEXT, inner))
    fields = (shape.fields or {}).values() if shape else ()
    return listed(pair, is_filled=any(Kind.MISSING not in value.kinds for value in fields))


def _same(value: Value) -> Value:
    return listed(member_of(value), is_filled=is_filled(value))


def _some(value: Value) -> Value:
    return listed(member_of(value))  # perhaps of none of them


def _reversed(value: Value) -> Value:
    return value if value.kinds == {Kind.TEXT} else _same(value)


def _always(result: Value) -> Callable[[Value], Value]:
    return lambda _: result


def _rule(takes: frozenset[Kind], result: Value, needs: str, **more: bool | int) -> Rule:
    return Rule(takes, _always(result), needs, **more)  # type: ignore[arg-type]


def _of_text(result: Value = TEXT, **more: bool) -> Rule:
    return _rule(PRINTABLE, result, "a text", **more)


RULES: Final[Mapping[str, Rule]] = {
    **dict.fromkeys(
        ("capitalize", "data", "lower", "replace", "string", "title", "trim", "truncate", "upper"), _of_text()
    ),
    **dict.fromkeys(("float", "int", "wordcount"), _of_text(NUMBER)),
    "tojson": _of_text(takes_nothing=True),
    "abs": _rule(NUMERIC, NUMBER, "a number"),
    "round": _rule(NUMERIC, NUMBER, "a number"),
    "count": _rule(_MEASURED, NUMBER, "a list, an object or a text"),
    "length": _rule(_MEASURED, NUMBER, "a list, an object or a text"),
    "dictsort": Rule(frozenset({Kind.OBJECT}), pairs_of, "an object"),
    "items": Rule(frozenset({Kind.OBJECT}), pairs_of, "an object"),
    "first": Rule(ITERABLE, member_of, "a list"),
    "last": Rule(ITERABLE, member_of, "a list"),
    "join": _rule(ITERABLE, TEXT, "a list", spells=True, attribute=1),
    "list": Rule(ITERABLE, _same, "a list", spells=True),
    "map": Rule(ITERABLE, _same, "a list", spells=True),
    "max": Rule(ITERABLE, member_of, "a list", spells=True, attribute=1),
    "min": Rule(ITERABLE, member_of, "a list", spells=True, attribute=1),
    "reject": Rule(ITERABLE, _some, "a list", spells=True),
    "rejectattr": Rule(ITERABLE, _some, "a list", spells=True, attribute=0),
    "reverse": Rule(ITERABLE, _reversed, "a list or a text"),
    "select": Rule(ITERABLE, _some, "a list", spells=True),
    "selectattr": Rule(ITERABLE, _some, "a list", spells=True, attribute=0),
    "sort": Rule(ITERABLE, _same, "a list", spells=True, attribute=2),
    "sum": _rule(ITERABLE, NUMBER, "a list of numbers", spells=True, attribute=0),
    "unique": Rule(ITERABLE, _same, "a list", spells=True, attribute=1),
}
# Filters that give something empty for something empty: what is true after them was there before them.
TRANSPARENT: Final = frozenset(
    ("capitalize", "count", "first", "join", "last", "length", "list", "lower", "reverse", "sort", "string",
     "title", "trim", "truncate", "unique", "upper")
)  # fmt: skip
METHODS: Final[Mapping[Kind, Mapping[str, Value]]] = {
    Kind.TEXT: {
        "endswith": BOOLEAN, "startswith": BOOLEAN, "lower": TEXT, "strip": TEXT, "title": TEXT, "upper": TEXT,
        "split": listed(TEXT),
    },
}  # fmt: skip
