"""What a condition rules out: on one side of an `{% if topic %}` there is a topic, on the other there may be none."""

from collections.abc import Callable
from typing import Any, Final

from jinja2 import nodes

from controlplane.prompts.contract.filters import TRANSPARENT
from controlplane.prompts.contract.kinds import ABSENT, ANY, Kind, Value
from controlplane.prompts.contract.scope import Scope, path_of

Look = Callable[[nodes.Node, Scope], Value]
Sides = tuple[Scope, Scope]

_KIND_TESTS: Final = {
    "string": {Kind.TEXT},
    "number": {Kind.NUMBER, Kind.BOOLEAN},
    "integer": {Kind.NUMBER},
    "float": {Kind.NUMBER},
    "boolean": {Kind.BOOLEAN},
    "true": {Kind.BOOLEAN},
    "false": {Kind.BOOLEAN},
    "mapping": {Kind.OBJECT},
    "sequence": {Kind.LIST, Kind.TEXT, Kind.OBJECT},
}
_WHOLE: Final = frozenset({"string", "mapping"})  # where it does not hold, it is no such thing at all
# Tests that may be asked of what is not there.
PATIENT_TESTS: Final = frozenset({"defined", "undefined", "none", *_KIND_TESTS})


def branches(node: nodes.Node, value: Value, scope: Scope, look: Look) -> Sides:
    """Return what holds where a condition without and, or and not is true, and where it is not."""
    path = path_of(node)
    if path is not None:
        if value.is_nothing or value.is_any:
            return scope.knowing(path, ANY), scope
        return scope.knowing(path, value.present), scope.knowing(path, value)
    if isinstance(node, nodes.Test):
        return _tested(node, scope, look)
    if isinstance(node, nodes.Compare) and len(node.ops) == 1:
        return _compared(node.expr, node.ops[0].op, node.ops[0].expr, scope, look)
    if isinstance(node, nodes.Const | nodes.List | nodes.Tuple | nodes.Dict):
        never = Scope(scope.names, scope.facts, is_dead=True)
        return (never, scope) if _is_empty_node(node) else (scope, never)
    return _there(_subject(node), scope, look), scope


def _tested(node: nodes.Test, scope: Scope, look: Look) -> Sides:
    path = path_of(node.node)
    if path is None:
        return scope, scope
    value = look(node.node, scope)
    if value.is_any:
        return scope, scope
    if node.name in ("defined", "undefined"):
        sides = scope.knowing(path, value.present), scope.knowing(path, value.only(ABSENT))
        return sides if node.name == "defined" else (sides[1], sides[0])
    if node.name == "none":
        return _none(path, value, scope)
    kinds = _KIND_TESTS.get(node.name)
    if kinds is None:
        return scope, scope
    held = ANY if value.present.is_any else value.only(kinds)
    rest = value.without(*kinds) if node.name in _WHOLE else value
    return scope.knowing(path, held), scope.knowing(path, rest)


def _none(path: tuple[str | int, ...], value: Value, scope: Scope) -> Sides:
    held = ANY if value.present.is_any else value.only({Kind.NONE})
    return scope.knowing(path, held), scope.knowing(path, value.without(Kind.NONE))


def _compared(left: nodes.Expr, operator: str, right: nodes.Expr, scope: Scope, look: Look) -> Sides:
    if operator in ("in", "notin"):
        there = _contained(left, right, scope, look)
        return (there, scope) if operator == "in" else (scope, there)
    if isinstance(left, nodes.Const) and not isinstance(right, nodes.Const):
        left, right = right, left
        operator = {"gt": "lt", "lt": "gt", "gteq": "lteq", "lteq": "gteq"}.get(operator, operator)
    if not isinstance(right, nodes.Const):
        return scope, scope
    path = path_of(left)
    if right.value is None and path is not None and operator in ("eq", "ne"):
        value = look(left, scope)
        sides = (scope, scope) if value.is_any else _none(path, value, scope)
        return sides if operator == "eq" else (sides[1], sides[0])
    there = _there(_subject(left), scope, look)
    if operator == "ne":
        return (
            (there, scope)
            if _is_empty(right.value) and path is None
            else (scope, there if right.value else scope)
        )
    is_more = _is_number(right.value) and right.value >= {"gt": 0, "gteq": 1}.get(operator, float("inf"))
    return (there, scope) if is_more or (operator == "eq" and right.value) else (scope, scope)


def _contained(left: nodes.Expr, right: nodes.Expr, scope: Scope, look: Look) -> Scope:
    """Return what holds where the left is in the right."""
    scope = _there(_subject(right), scope, look)
    path = path_of(right)
    if isinstance(left, nodes.Const) and isinstance(left.value, str) and path is not None:
        shape = look(right, scope).get(Kind.OBJECT)
        field = (shape.fields or {}).get(left.value) if shape is not None else None
        return scope.knowing((*path, left.value), ANY if field is None else field.without(Kind.MISSING))
    if isinstance(right, nodes.List | nodes.Tuple) and all(_is_value(item) for item in right.items):
        return _there(_subject(left), scope, look)
    return scope


def _there(subject: nodes.Node | None, scope: Scope, look: Look) -> Scope:
    """Return what holds where a name with fields has a value."""
    path = None if subject is None else path_of(subject)
    if subject is None or path is None:
        return scope
    value = look(subject, scope)
    return scope if value.is_any or value.is_nothing else scope.knowing(path, value.present)


def _subject(node: nodes.Node) -> nodes.Node | None:
    """Return the name with fields that has a value wherever an expression around it is true."""
    if path_of(node) is not None:
        return node
    if not isinstance(node, nodes.Filter) or node.node is None:
        return None
    if node.name in ("default", "d"):
        return _subject(node.node) if all(map(_is_empty_node, node.args[:1])) and not node.kwargs else None
    return _subject(node.node) if node.name in TRANSPARENT else None


def _is_empty_node(node: nodes.Expr) -> bool:
    if isinstance(node, nodes.Const):
        return _is_empty(node.value)
    return isinstance(node, nodes.List | nodes.Dict | nodes.Tuple) and not node.items


def _is_empty(value: Any) -> bool:
    return not value


def _is_value(node: nodes.Expr) -> bool:
    return isinstance(node, nodes.Const) and node.value is not None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
