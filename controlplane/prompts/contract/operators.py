"""Operators: what comes of two values, noting where nothing can."""

from typing import Final, Protocol

from jinja2 import nodes

from controlplane.prompts.contract import filters
from controlplane.prompts.contract.findings import Findings, kinds_in_words, named
from controlplane.prompts.contract.kinds import (
    ANY,
    BOOLEAN,
    NUMBER,
    NUMERIC,
    PRINTABLE,
    TEXT,
    Kind,
    Value,
    join,
)
from controlplane.prompts.contract.scope import Scope

_ORDERED: Final = frozenset({"lt", "lteq", "gt", "gteq"})


class Reading(Protocol):
    """Whatever reads the sides of an operator; `reading.Reader` does."""

    findings: Findings

    def read(self, node: nodes.Node, scope: Scope) -> Value:
        """What an expression can be."""

    def needed(self, value: Value, node: nodes.Node, *, but: Kind | None = None) -> Value:
        """A value as one that is there."""

    def used(self, value: Value, takes: frozenset[Kind], node: nodes.Node, words: str) -> Value:
        """A value as one of these kinds."""


def compare(reader: Reading, node: nodes.Compare, scope: Scope) -> Value:
    """Return what a comparison is, noting what cannot be compared."""
    left, left_node = reader.read(node.expr, scope), node.expr
    for operand in node.ops:
        right = reader.read(operand.expr, scope)
        if operand.op in ("in", "notin"):
            _contained(reader, left, left_node, right, operand.expr)
        elif operand.op in _ORDERED:
            _ordered(reader, left, left_node, right, operand.expr, node)
        else:
            _equal(reader, left, left_node, right, operand.expr, node)
        left, left_node = right, operand.expr
    return BOOLEAN


def _contained(
    reader: Reading, left: Value, left_node: nodes.Expr, right: Value, right_node: nodes.Expr
) -> None:
    left = reader.needed(left, left_node, but=Kind.NONE)
    right = reader.used(right, filters.ITERABLE, right_node, "in needs a list, an object or a text")
    if right.kinds == {Kind.TEXT} and not left.is_any:
        reader.used(left, frozenset({Kind.TEXT}), left_node, "only a text can be in a text")


def _ordered(
    reader: Reading,
    left: Value,
    left_node: nodes.Expr,
    right: Value,
    right_node: nodes.Expr,
    node: nodes.Compare,
) -> None:
    left, right = reader.needed(left, left_node), reader.needed(right, right_node)
    unordered = {Kind.OBJECT}
    if _may_be_alike(left, right) and not left.kinds == right.kinds == unordered:
        return
    kinds = f"{kinds_in_words(left)} and {kinds_in_words(right)}"
    reader.findings.clash(f"which of them is greater cannot be said of {kinds}", node, left, right)


def _equal(
    reader: Reading,
    left: Value,
    left_node: nodes.Expr,
    right: Value,
    right_node: nodes.Expr,
    node: nodes.Compare,
) -> None:
    left = reader.needed(left, left_node, but=Kind.NONE)
    right = reader.needed(right, right_node, but=Kind.NONE)
    if Kind.NONE in left.kinds | right.kinds or _may_be_alike(left, right):
        return
    kinds = f"{kinds_in_words(left)} and {kinds_in_words(right)}"
    reader.findings.warning("never-equal", f"{kinds} are never equal", node)


def concat(reader: Reading, node: nodes.Concat, scope: Scope) -> Value:
    """Return what `~` gives: a text."""
    for part in node.nodes:
        reader.used(reader.read(part, scope), PRINTABLE, part, "~ puts texts together")
    return TEXT


def signed(reader: Reading, node: nodes.Neg | nodes.Pos, scope: Scope) -> Value:
    """Return what a sign gives: a number."""
    reader.used(reader.read(node.node, scope), NUMERIC, node.node, "a sign stands before numbers")
    return NUMBER


def arithmetic(reader: Reading, node: nodes.BinExpr, scope: Scope) -> Value:
    """Return what a sum, a product and the like give, noting what is no number."""
    left = reader.needed(reader.read(node.left, scope), node.left)
    right = reader.needed(reader.read(node.right, scope), node.right)
    if left.is_any or right.is_any or left.is_nothing or right.is_nothing:
        return ANY
    if isinstance(node, nodes.Add):
        for kind in (Kind.TEXT, Kind.LIST):
            if kind in left.kinds & right.kinds:
                return (
                    join(left.only([kind]), right.only([kind]))
                    if left.kinds == right.kinds == {kind}
                    else ANY
                )
    if left.kinds & NUMERIC and right.kinds & NUMERIC:
        return NUMBER
    _not_numbers(reader, node, left, right)
    return ANY


def _not_numbers(reader: Reading, node: nodes.BinExpr, left: Value, right: Value) -> None:
    wrong, value = (node.left, left) if not left.kinds & NUMERIC else (node.right, right)
    hint = "~ puts texts together" if Kind.TEXT in left.kinds | right.kinds else "this works with numbers"
    reader.findings.clash(
        f"{named(wrong)} is {kinds_in_words(value)}: {node.operator} is for numbers here; {hint}",
        wrong,
        value,
    )


def _may_be_alike(left: Value, right: Value) -> bool:
    if left.is_any or right.is_any or left.is_nothing or right.is_nothing:
        return True
    return bool(left.kinds & right.kinds) or bool(left.kinds & NUMERIC and right.kinds & NUMERIC)
