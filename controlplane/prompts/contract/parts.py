"""Parts of a thing: its fields, its members, its methods, for each kind of thing that it may be.

Pure: what is not there is a value that says why, and whoever uses it notes that.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from jinja2 import nodes

from controlplane.prompts.contract import filters
from controlplane.prompts.contract.findings import named
from controlplane.prompts.contract.kinds import (
    ANY,
    BOOLEAN,
    NUMBER,
    TEXT,
    Absence,
    Kind,
    Reason,
    Shape,
    Value,
    absent,
    join_all,
    listed,
    method,
)
from controlplane.runtime.filters import FILTERS
from controlplane.runtime.sandbox import DICT_METHODS, LOOP_FIELDS
from controlplane.runtime.words import suggestion

_LOOP_NUMBERS: Final = frozenset({"depth", "depth0", "index", "index0", "length", "revindex", "revindex0"})


def of_each(owner: Value, part: Callable[[Shape], Value]) -> Value:
    """Return what a part is for each kind of thing that its owner may be."""
    parts = {kind: part(shape) for kind, shape in owner.shapes.items()}
    found = join_all(parts.values())
    # What is optional is not there for a caller who leaves it out, whatever it is for the others.
    left_out = parts.get(Kind.NONE)
    return found if left_out is None or found.is_any else Value({**found.shapes, **left_out.shapes})


def attribute(shape: Shape, node: nodes.Expr, name: str) -> Value:
    """Return what `owner.name` is, of one kind of thing that the owner may be."""
    if shape.kind is Kind.OBJECT:
        return field(shape, node, name, methods=True)
    if shape.kind is Kind.LOOP and name in LOOP_FIELDS:
        return _loop_field(shape, node, name)
    if shape.kind is Kind.TEXT and name in filters.METHODS[Kind.TEXT]:
        return method(filters.METHODS[Kind.TEXT][name])
    return _no_part(shape, node, name)


def item(shape: Shape, node: nodes.Getitem, key: object, index: Value) -> Value:
    """Return what `owner[key]` is, of one kind of thing that the owner may be; `key` is None where it is worked out."""
    if shape.kind is Kind.OBJECT and isinstance(key, str):
        return field(shape, node, key, methods=False)
    if shape.kind is Kind.TEXT and Kind.NUMBER in index.kinds:
        return TEXT
    if shape.kind is Kind.LIST and Kind.NUMBER in index.kinds:
        if isinstance(key, int) and key < len(shape.members):
            return shape.members[key]
        return shape.item or ANY
    if shape.kind in (Kind.NONE, Kind.NUMBER, Kind.BOOLEAN) or (
        shape.kind in (Kind.LIST, Kind.TEXT) and isinstance(key, str)
    ):
        return _no_part(shape, node, str(key))
    return ANY


def field(shape: Shape, node: nodes.Expr, name: str, *, methods: bool) -> Value:
    """Return what a field of an object is; with `methods`, an object's own methods are found too."""
    fields = shape.fields
    if fields is not None and name in fields:
        return fields[name]
    if methods and name in DICT_METHODS:
        return _object_method(shape, name)
    if fields is None:
        return ANY
    absence = Absence(
        Reason.UNKNOWN if shape.is_declared else Reason.UNSEEN,
        name,
        node,
        owner=named(node.node) if isinstance(node, nodes.Getattr | nodes.Getitem) else "a member",
        near=suggestion(name, fields),
        known=tuple(fields),
    )
    return absent(Kind.MISSING, absence)


def _object_method(shape: Shape, name: str) -> Value:
    if name == "get":
        return Value({Kind.METHOD: replace(shape, kind=Kind.METHOD, result=ANY)})
    pairs = filters.pairs_of(Value({Kind.OBJECT: shape})).shapes[Kind.LIST]
    pair = pairs.item or ANY
    inner = pair.shapes[Kind.LIST].members[1]
    entry = {"items": pair, "keys": TEXT, "values": inner}[name]
    return method(listed(entry, kind=Kind.SEQUENCE, is_filled=pairs.is_filled))


def _loop_field(shape: Shape, node: nodes.Expr, name: str) -> Value:
    if name in _LOOP_NUMBERS:
        return NUMBER
    if name in ("first", "last"):
        return BOOLEAN
    if name in ("previtem", "nextitem"):
        edge = absent(Kind.MISSING, Absence(Reason.EDGE, name, node, is_sure=False))
        return ANY if shape.item is None or shape.item.is_any else Value({**shape.item.shapes, **edge.shapes})
    return method(BOOLEAN if name == "changed" else ANY)


def _no_part(shape: Shape, node: nodes.Expr, name: str) -> Value:
    if shape.kind in (Kind.ANY, Kind.SEQUENCE, Kind.METHOD):
        return ANY if shape.kind is Kind.ANY else absent(Kind.MISSING, _lacking(shape, node, name))
    if shape.kind is Kind.NONE and shape.absence is not None:
        # Nothing has no fields: whoever uses one without a guard has forgotten that the owner may be nothing.
        return absent(Kind.MISSING, replace(shape.absence, node=_owner_of(node)))
    return absent(Kind.MISSING, _lacking(shape, node, name))


def _lacking(shape: Shape, node: nodes.Expr, name: str) -> Absence:
    above = named(node.node) if isinstance(node, nodes.Getattr | nodes.Getitem) else "it"
    near = (
        suggestion(name, LOOP_FIELDS) if shape.kind is Kind.LOOP else f"|{name}" if name in FILTERS else None
    )
    owner = f"{above} is {shape.kind.value}" if shape.kind is not Kind.LOOP else "loop is no parameter"
    return Absence(Reason.NO_FIELDS, name, node, owner=owner, near=near, is_learnt=shape.is_learnt)


def attribute_by_name(shape: Shape, node: nodes.Const, name: str) -> Value:
    """Return what a filter that is told a name, as in `map(attribute="name")`, finds of one member."""
    if shape.kind is Kind.OBJECT:
        return field(shape, node, name, methods=False)
    return ANY if shape.kind in (Kind.LIST, Kind.ANY) else _no_part(shape, node, name)


def _owner_of(node: nodes.Expr) -> nodes.Node | None:
    return node.node if isinstance(node, nodes.Getattr | nodes.Getitem) else None
