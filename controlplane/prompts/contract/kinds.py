"""What a value can be, as far as it is known: for each kind of thing that it may be, what is known of it.

A value that is optional is both a text, say, and nothing; what an `{% if %}` rules out is taken away again.
"""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Final

from jinja2 import nodes

# Deeper than people write by hand; a text can nest lists without end by setting a name again and again.
_DEEPEST: Final = 24


class Kind(enum.Enum):
    """One kind of thing, with the words for it in a sentence."""

    TEXT = "a text"
    NUMBER = "a number"
    BOOLEAN = "true or false"
    LIST = "a list"
    OBJECT = "an object"
    SEQUENCE = (
        "a sequence"  # what .items(), .keys() and range() give: it can be gone through, and nothing else
    )
    METHOD = "a method"
    LOOP = "the loop"
    NONE = "nothing"
    MISSING = "missing"  # a field or name that is not there: unlike nothing, even {% if %} fails on it
    ANY = "anything"


NUMERIC: Final = frozenset({Kind.NUMBER, Kind.BOOLEAN})
PRINTABLE: Final = frozenset({Kind.TEXT, Kind.NUMBER, Kind.BOOLEAN, Kind.LIST, Kind.OBJECT})
ABSENT: Final = frozenset({Kind.NONE, Kind.MISSING})


class Reason(enum.Enum):
    """Why there may be no value."""

    OPTIONAL = "declared as optional"
    SOMETIMES = "not in every sample"
    UNKNOWN = "not declared"
    UNSEEN = "in no sample"
    NO_FIELDS = "its owner has no fields"
    NOT_SET = "set nowhere before"
    NO_ELSE = "an if without else"
    EDGE = "before the first or after the last turn"
    LITERAL = "written as none"


@dataclass(frozen=True, slots=True)
class Absence:
    """That there may be no value: why, where it is asked for, and what to call it."""

    reason: Reason
    name: str
    node: nodes.Node | None = None
    owner: str = ""
    near: str | None = None
    known: tuple[str, ...] = ()
    is_learnt: bool = False
    is_sure: bool = True
    """Whether it is so wherever it is asked for, or only on some way through the text."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What is known of a value of one kind."""

    kind: Kind
    item: "Value | None" = None
    members: "tuple[Value, ...]" = ()
    """What stands at each place, where all lists of this kind have the same few members."""
    fields: "Mapping[str, Value] | None" = None
    is_declared: bool = False
    """Whether the fields are all there are."""
    is_learnt: bool = False
    """Whether it is known from samples only."""
    is_filled: bool = False
    """Whether there is something to go through in at least one sample."""
    absence: Absence | None = None
    result: "Value | None" = None
    """What a method gives."""
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Value:
    """All that a value may be, by kind. One that may be anything is that alone."""

    shapes: Mapping[Kind, Shape] = field(default_factory=dict)

    @property
    def kinds(self) -> frozenset[Kind]:
        """The kinds of thing it may be."""
        return frozenset(self.shapes)

    @property
    def is_any(self) -> bool:
        """Whether nothing is known of it."""
        return Kind.ANY in self.shapes

    @property
    def is_nothing(self) -> bool:
        """Whether it cannot be at all: where it is asked for is never reached."""
        return not self.shapes

    @property
    def is_learnt(self) -> bool:
        """Whether it is known from samples only."""
        return any(shape.is_learnt for shape in self.shapes.values())

    @property
    def depth(self) -> int:
        """How deep lists and objects are nested in it."""
        return max((shape.depth for shape in self.shapes.values()), default=0)

    @property
    def absences(self) -> list[Absence]:
        """Why there may be no value."""
        return [shape.absence for shape in self.shapes.values() if shape.absence is not None]

    def get(self, kind: Kind) -> Shape | None:
        """Return what is known of it as this kind of thing."""
        return self.shapes.get(kind)

    def only(self, kinds: Iterable[Kind]) -> "Value":
        """Return it as far as it is of these kinds."""
        wanted = set(kinds)
        return Value(
            {kind: shape for kind, shape in self.shapes.items() if kind in wanted or kind is Kind.ANY}
        )

    def without(self, *kinds: Kind) -> "Value":
        """Return it as far as it is of no such kind."""
        if not any(kind in self.shapes for kind in kinds):
            return self
        return Value({kind: shape for kind, shape in self.shapes.items() if kind not in kinds})

    @property
    def present(self) -> "Value":
        """It, where there is one. A field that nobody knows may be anything once it is there."""
        missing = self.get(Kind.MISSING)
        rest = self.without(Kind.NONE, Kind.MISSING)
        if rest.is_nothing and missing and missing.absence:
            reason = missing.absence.reason
            return ANY if reason in {Reason.UNKNOWN, Reason.UNSEEN} else rest
        return rest


def one(kind: Kind, *, is_learnt: bool = False) -> Value:
    """Return a value of one kind of which nothing else is known."""
    return Value({kind: Shape(kind, is_learnt=is_learnt)})


ANY: Final = one(Kind.ANY)
TEXT: Final = one(Kind.TEXT)
NUMBER: Final = one(Kind.NUMBER)
BOOLEAN: Final = one(Kind.BOOLEAN)
NOTHING: Final = Value()


def absent(kind: Kind, absence: Absence) -> Value:
    """Return no value, with the reason."""
    return Value({kind: Shape(kind, absence=absence)})


def listed(
    item: Value,
    *,
    kind: Kind = Kind.LIST,
    members: tuple[Value, ...] = (),
    is_learnt: bool = False,
    is_filled: bool = False,
) -> Value:
    """Return a list (or sequence) of such members."""
    depth = 1 + max([item.depth, *(member.depth for member in members)])
    if depth > _DEEPEST:
        return ANY
    shape = Shape(kind, item=item, members=members, is_learnt=is_learnt, is_filled=is_filled, depth=depth)
    return Value({kind: shape})


def obj(fields: Mapping[str, Value] | None, *, is_declared: bool = False, is_learnt: bool = False) -> Value:
    """Return an object with these fields; None when they are not known."""
    depth = 1 + max((value.depth for value in (fields or {}).values()), default=0)
    if depth > _DEEPEST:
        return ANY
    shape = Shape(Kind.OBJECT, fields=fields, is_declared=is_declared, is_learnt=is_learnt, depth=depth)
    return Value({Kind.OBJECT: shape})


def method(result: Value) -> Value:
    """Return a method that gives this when it is called."""
    return Value({Kind.METHOD: Shape(Kind.METHOD, result=result)})


def join(first: Value, second: Value) -> Value:
    """Return what is either the one or the other."""
    if first is second or second.is_nothing:
        return first
    if first.is_nothing:
        return second
    if first.is_any or second.is_any:
        return ANY
    joined: dict[Kind, Shape] = {}
    for kind in [*first.shapes, *(kind for kind in second.shapes if kind not in first.shapes)]:
        one_of, other = first.get(kind), second.get(kind)
        if one_of is not None and other is not None:
            joined[kind] = _joined(one_of, other)
        else:
            joined[kind] = _unsure(one_of or other or Shape(kind))
    return Value(joined)


def join_all(values: Iterable[Value]) -> Value:
    """Return what is one of these; nothing is known of what is none."""
    found = reduce(join, values, NOTHING)
    return ANY if found.is_nothing else found


def _joined(first: Shape, second: Shape) -> Shape:
    if first is second or first.kind is Kind.METHOD:
        return first
    if first.absence and second.absence:
        is_sure = first.absence.is_sure and second.absence.is_sure
        return first if is_sure == first.absence.is_sure else replace(first, absence=second.absence)
    same_length = len(first.members) == len(second.members)
    return replace(
        first,
        item=join(first.item, second.item) if first.item and second.item else None,
        members=tuple(map(join, first.members, second.members)) if same_length else (),
        fields=_joined_fields(first, second),
        is_declared=first.is_declared and second.is_declared,
        is_learnt=first.is_learnt or second.is_learnt,
        is_filled=first.is_filled and second.is_filled,
        depth=max(first.depth, second.depth),
    )


def _joined_fields(first: Shape, second: Shape) -> Mapping[str, Value] | None:
    if first.fields is None or second.fields is None or first.fields is second.fields:
        return first.fields if second.fields is first.fields else None
    names = [*first.fields, *(name for name in second.fields if name not in first.fields)]
    return {name: join(_field(first.fields, name), _field(second.fields, name)) for name in names}


def _field(fields: Mapping[str, Value], name: str) -> Value:
    return fields[name] if name in fields else absent(Kind.MISSING, Absence(Reason.SOMETIMES, name))


def _unsure(shape: Shape) -> Shape:
    """Return no value that comes from one way through the text only, as what it is: possible."""
    if shape.absence is None or not shape.absence.is_sure:
        return shape
    return replace(shape, absence=replace(shape.absence, is_sure=False))
