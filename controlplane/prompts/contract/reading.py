"""Expressions: what each can be at its place, noting on the way what cannot work there."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Final

from jinja2 import nodes

from controlplane.prompts.contract import filters, guards, operators, parts
from controlplane.prompts.contract.findings import Findings, kinds_in_words, named
from controlplane.prompts.contract.kinds import (
    ABSENT,
    ANY,
    BOOLEAN,
    NUMBER,
    NUMERIC,
    PRINTABLE,
    TEXT,
    Absence,
    Kind,
    Reason,
    Shape,
    Value,
    absent,
    join,
    join_all,
    listed,
    obj,
)
from controlplane.prompts.contract.scope import Scope, either, path_of
from controlplane.runtime.words import closest
from controlplane.runtime.words import listed as listed_words

_OFFERED: Final = 6
_LITERALS: Final = ((bool, BOOLEAN), (str, TEXT), (int, NUMBER), (float, NUMBER))
_ARITHMETIC: Final = (nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod)
_PARTS: Final = frozenset(
    {"first", "last", "max", "min", "reverse"}
)  # what they give is of the kind of what they get


class Reader:
    """Reads expressions against what the parameters are; `stored` are the names that the text itself sets somewhere."""

    def __init__(self, findings: Findings, parameters: dict[str, Value], stored: frozenset[str]) -> None:
        self.findings = findings
        self._parameters = parameters
        self._stored = stored
        self._readers: dict[type[nodes.Node], Callable[[Any, Scope], Value]] = {
            nodes.Name: self._name,
            nodes.Const: self._const,
            nodes.List: self._list,
            nodes.Tuple: self._tuple,
            nodes.Dict: self._dict,
            nodes.Getattr: self._getattr,
            nodes.Getitem: self._getitem,
            nodes.Call: self._call,
            nodes.Filter: self._filter,
            nodes.Test: self._test,
            nodes.Compare: partial(operators.compare, self),
            nodes.Concat: partial(operators.concat, self),
            nodes.And: self._logical,
            nodes.Or: self._logical,
            nodes.Not: self._not,
            nodes.CondExpr: self._conditional,
            nodes.Neg: partial(operators.signed, self),
            nodes.Pos: partial(operators.signed, self),
            **dict.fromkeys(_ARITHMETIC, partial(operators.arithmetic, self)),
        }

    def read(self, node: nodes.Node, scope: Scope) -> Value:
        """Return what an expression can be where this holds."""
        if scope.is_dead:
            self._names_in(node, scope)
            return ANY
        reader = self._readers.get(type(node))
        found = ANY if reader is None else reader(node, scope)
        path = path_of(node)
        return scope.facts.get(path, found) if path is not None else found

    def branches(self, node: nodes.Node, scope: Scope) -> tuple[Scope, Scope]:
        """Return what holds where a condition is true, and where it is not."""
        is_true, is_false, _ = self._judged(node, scope)
        return is_true, is_false

    def _judged(self, node: nodes.Node, scope: Scope) -> tuple[Scope, Scope, Value]:
        """Return what holds where an expression is true, where it is not, and what it is."""
        if isinstance(node, nodes.Not):
            is_true, is_false, _ = self._judged(node.node, scope)
            return is_false, is_true, BOOLEAN
        if isinstance(node, nodes.And | nodes.Or):
            left_true, left_false, left = self._judged(node.left, scope)
            is_and = isinstance(node, nodes.And)
            with self.perhaps():
                right_true, right_false, right = self._judged(node.right, left_true if is_and else left_false)
            value = join(_settled(node, left), right)
            if is_and:
                return right_true, either(left_false, right_false), value
            return either(left_true, right_true), right_false, value
        value = self.needed(self.read(node, scope), node, but=Kind.NONE)
        return (*guards.branches(node, value, scope, self.read), value)

    @contextmanager
    def perhaps(self, *, still: bool = False) -> Iterator[None]:
        """Look at what is not reached by every render; unless it `still` is."""
        before = self.findings.is_certain
        self.findings.is_certain = before and still
        try:
            yield
        finally:
            self.findings.is_certain = before

    def needed(self, value: Value, node: nodes.Node, *, but: Kind | None = None) -> Value:
        """Return a value as one that is there, noting where it may not be; `but` is a way of not being there that does no harm."""
        for kind in ABSENT:
            shape = value.get(kind)
            if shape is not None and shape.absence is not None and kind is not but:
                self.findings.unguarded(shape.absence, node)
        return value.present if but is None else value.without(Kind.MISSING)

    def used(self, value: Value, takes: frozenset[Kind], node: nodes.Node, words: str) -> Value:
        """Return a value as far as it can be used as one of these kinds; `words` say why nothing else will do."""
        value = self.needed(value, node)
        if value.is_any or value.is_nothing:
            return ANY
        fitting = value.only(takes)
        if not fitting.is_nothing:
            return fitting
        self.findings.clash(f"{named(node)} is {kinds_in_words(value)}: {words}", node, value)
        return ANY

    def printed(self, node: nodes.Expr, scope: Scope) -> None:
        """Look at what is put into the text."""
        value = self.needed(self.read(node, scope), node)
        if value.is_any or value.is_nothing or not value.only(PRINTABLE).is_nothing:
            return
        if Kind.METHOD in value.kinds:
            self.findings.clash(f"{named(node)} is a method: it needs parentheses", node)
        elif Kind.LOOP in value.kinds:
            self.findings.clash("loop is no value: say which part of it, as in loop.index", node)
        else:
            self.findings.clash("this is a sequence: add |join(', '), or go through it with {% for %}", node)

    def stepped(self, node: nodes.Node, scope: Scope) -> tuple[Value, bool]:
        """Return what a loop meets, and whether there is something to be met; noting what cannot be gone through."""
        value = self.read(node, scope)
        maybe_empty = Kind.NONE in value.kinds
        value = self.needed(value, node, but=Kind.NONE).without(Kind.NONE)
        if value.is_any or value.is_nothing:
            return ANY, False
        fitting = value.only(filters.ITERABLE)
        if fitting.is_nothing:
            words = "{% for %} goes through lists"
            self.findings.clash(f"{named(node)} is {kinds_in_words(value)}: {words}", node, value)
            return ANY, False
        if fitting.kinds == {Kind.TEXT} and value.kinds == {Kind.TEXT}:
            self.findings.warning("letters", f"{named(node)} is a text: this goes through its letters", node)
        return filters.member_of(fitting), filters.is_filled(fitting) and not maybe_empty

    # Names and literals

    def _name(self, node: nodes.Name, scope: Scope) -> Value:
        found = scope.value_of(node.name)
        if found is None:
            found = ANY if node.name == "range" else self._parameters.get(node.name)
        if found is not None:
            return found
        if node.name == "loop":
            message = "loop is there only between {% for %} and {% endfor %}"
        elif node.name in self._stored:
            message = f"{node.name} has no value here: it is set only later, or only inside its loop"
        else:
            known = [*self._parameters, *scope.names]
            near = closest(node.name, known) or _offered(self._parameters)
            message = f"the interaction has no parameter {node.name}{near}"
        self.findings.error("unknown-name", message, node)
        return ANY

    def _names_in(self, node: nodes.Node, scope: Scope) -> None:
        """Look at names only: a render fails on one that is not declared even where it never comes."""
        for name in (node, *node.find_all(nodes.Name)):
            if isinstance(name, nodes.Name):
                self._name(name, scope)

    def _const(self, node: nodes.Const, _scope: Scope) -> Value:
        if node.value is None:
            return absent(Kind.NONE, Absence(Reason.LITERAL, "none"))
        return next((value for kind, value in _LITERALS if isinstance(node.value, kind)), ANY)

    def _list(self, node: nodes.List, scope: Scope) -> Value:
        members = [self.read(item, scope) for item in node.items]
        return listed(join_all(members), is_filled=bool(members))

    def _tuple(self, node: nodes.Tuple, scope: Scope) -> Value:
        members = tuple(self.read(item, scope) for item in node.items)
        return listed(join_all(members), members=members, is_filled=bool(members))

    def _dict(self, node: nodes.Dict, scope: Scope) -> Value:
        fields = {}
        for pair in node.items:
            self.read(pair.key, scope)
            value = self.read(pair.value, scope)
            if not isinstance(pair.key, nodes.Const) or not isinstance(pair.key.value, str):
                return obj(None)
            fields[pair.key.value] = value
        return obj(fields, is_declared=True)

    # Fields, members and methods

    def _getattr(self, node: nodes.Getattr, scope: Scope) -> Value:
        owner = self.needed(self.read(node.node, scope), node.node, but=Kind.NONE)
        return parts.of_each(owner, lambda shape: parts.attribute(shape, node, node.attr))

    def _getitem(self, node: nodes.Getitem, scope: Scope) -> Value:
        owner = self.needed(self.read(node.node, scope), node.node, but=Kind.NONE)
        if isinstance(node.arg, nodes.Slice):
            for part in (node.arg.start, node.arg.stop, node.arg.step):
                if part is not None:
                    self.read(part, scope)
            # A part of a list may be empty, and has members of no fixed number.
            return TEXT if owner.kinds == {Kind.TEXT} else ANY
        index = self.read(node.arg, scope)
        key = node.arg.value if isinstance(node.arg, nodes.Const) else None
        return parts.of_each(owner, lambda shape: parts.item(shape, node, key, index))

    # Calls, filters and tests

    def _call(self, node: nodes.Call, scope: Scope) -> Value:
        arguments = [self.read(argument, scope) for argument in node.args]
        for keyword in node.kwargs:
            self.read(keyword.value, scope)
        called = node.node
        if isinstance(called, nodes.Name) and called.name == "range":
            return listed(NUMBER, kind=Kind.SEQUENCE)
        value = self.needed(self.read(called, scope), called)
        shape = value.get(Kind.METHOD)
        if isinstance(called, nodes.Getattr) and called.attr == "get" and shape is not None:
            return self._got(called, shape, node.args, arguments)
        if isinstance(called, nodes.Getattr) and called.attr == "cycle" and shape is not None:
            return join_all(arguments)
        if not value.is_any and not value.is_nothing and shape is None:
            self.findings.clash(
                f"{named(called)} is {kinds_in_words(value)} and cannot be called", called, value
            )
        return shape.result or ANY if shape is not None else ANY

    def _got(
        self, called: nodes.Getattr, owner: Shape, args: Sequence[nodes.Expr], arguments: Sequence[Value]
    ) -> Value:
        """Return what `.get()` gives: the field, or what is to stand for it."""
        key = args[0].value if args and isinstance(args[0], nodes.Const) else None
        if owner.fields is None or not isinstance(key, str):
            return ANY
        instead = arguments[1] if len(arguments) > 1 else ANY
        field = parts.field(owner, called, key, methods=False)
        for absence in field.absences:
            self.findings.guarded(replace(absence, node=absence.node and args[0], owner=named(called.node)))
        return field if field.kinds.isdisjoint(ABSENT) else join(field.present, instead)

    def _filter(self, node: nodes.Filter, scope: Scope) -> Value:
        if node.node is None:
            return ANY
        value = self.read(node.node, scope)
        for argument in (*node.args, *(keyword.value for keyword in node.kwargs)):
            self.read(argument, scope)
        if node.name in ("default", "d"):
            return self._default(node, value, scope)
        return self._filtered(node.name, value, node.node, node)

    def _default(self, node: nodes.Filter, value: Value, scope: Scope) -> Value:
        for absence in value.absences:
            self.findings.guarded(absence)
        given = (
            node.args[0]
            if node.args
            else next((k.value for k in node.kwargs if k.key == "default_value"), None)
        )
        instead = TEXT if given is None else self.read(given, scope)
        return join(value.present, instead)

    def _filtered(self, name: str, value: Value, subject: nodes.Node, node: nodes.Filter) -> Value:
        rule = filters.RULES.get(name)
        if rule is None:
            return ANY
        if rule.takes_nothing:
            value = value.without(Kind.NONE)
        value = self.used(value, rule.takes, subject, f"|{name} needs {rule.needs}")
        if value.is_any:
            return ANY if name in _PARTS else rule.gives(value)
        if rule.spells and value.kinds == {Kind.TEXT}:
            words = f"{named(subject)} is a text: |{name} goes through its letters"
            self.findings.warning("letters", words, subject)
        return self._of_members(name, rule, value, node)

    def _of_members(self, name: str, rule: filters.Rule, value: Value, node: nodes.Filter) -> Value:
        """Look at what a filter does with the members of a list."""
        member = filters.member_of(value) if value.kinds <= filters.ITERABLE else ANY
        attribute = _attribute_of(rule, node)
        with self.perhaps(still=filters.is_filled(value)):
            if attribute is not None and isinstance(attribute.value, str):
                is_whole = name in ("join", "sum")
                names = [attribute.value] if is_whole else attribute.value.split(".")
                member = self._by_attribute(member, attribute, names)
            if name in ("selectattr", "rejectattr"):
                self._selected(member, node, attribute)
            elif name == "sum":
                self.used(member, NUMERIC, attribute or node, "|sum needs numbers")
            elif name == "join":
                self.used(member, PRINTABLE, attribute or node, "|join needs texts")
            elif name in ("sort", "min", "max", "unique") and attribute is not None:
                with self.perhaps():
                    self.needed(member, attribute)
            elif name == "map" and node.args and isinstance(node.args[0], nodes.Const):
                return listed(
                    self._filtered(str(node.args[0].value), member, node.args[0], _without_arguments(node))
                )
        if name == "select" and not node.args:
            return listed(filters.member_of(value).present, is_filled=False)
        return rule.gives(value)

    def _by_attribute(self, member: Value, node: nodes.Const, names: Sequence[str]) -> Value:
        for name in names:
            owner = self.needed(member, node) if name is not names[0] else member
            member = parts.of_each(owner, lambda shape, name=name: parts.attribute_by_name(shape, node, name))  # type: ignore[misc]
        return member

    def _selected(self, member: Value, node: nodes.Filter, attribute: nodes.Const | None) -> None:
        test = node.args[1].value if len(node.args) > 1 and isinstance(node.args[1], nodes.Const) else None
        if test in guards.PATIENT_TESTS:
            for absence in member.absences:
                self.findings.guarded(absence)
        else:
            self.needed(member, attribute or node, but=Kind.NONE)

    def _test(self, node: nodes.Test, scope: Scope) -> Value:
        value = self.read(node.node, scope)
        for argument in (*node.args, *(keyword.value for keyword in node.kwargs)):
            self.read(argument, scope)
        if node.name in guards.PATIENT_TESTS:
            for absence in value.absences:
                self.findings.guarded(absence)
        elif node.name in ("even", "odd", "divisibleby"):
            self.used(value, NUMERIC, node.node, f"is {node.name} needs a number")
        else:
            self.needed(value, node.node, but=Kind.NONE)
        return BOOLEAN

    def _logical(self, node: nodes.And | nodes.Or, scope: Scope) -> Value:
        left_true, left_false, left = self._judged(node.left, scope)
        with self.perhaps():
            right = self.read(node.right, left_true if isinstance(node, nodes.And) else left_false)
        return join(_settled(node, left), right)

    def _not(self, node: nodes.Not, scope: Scope) -> Value:
        self.branches(node, scope)
        return BOOLEAN

    def _conditional(self, node: nodes.CondExpr, scope: Scope) -> Value:
        is_true, is_false = self.branches(node.test, scope)
        with self.perhaps():
            first = self.read(node.expr1, is_true)
            second = None if node.expr2 is None else self.read(node.expr2, is_false)
        if is_false.is_dead:
            return first
        if second is not None:
            return second if is_true.is_dead else join(first, second)
        nothing = absent(Kind.MISSING, Absence(Reason.NO_ELSE, "this", node.expr1, is_sure=False))
        return ANY if first.is_any else Value({**first.shapes, **nothing.shapes})


def _settled(node: nodes.And | nodes.Or, left: Value) -> Value:
    """Return what the left side is where it is the result: `a or b` is a where a is true."""
    return left.without(Kind.MISSING) if isinstance(node, nodes.And) else left.present


def _offered(parameters: dict[str, Value]) -> str:
    if not parameters:
        return ": it declares none"
    names = [*parameters][:_OFFERED]
    return f"; it has {listed_words(names)}{' and more' if len(parameters) > _OFFERED else ''}"


def _attribute_of(rule: filters.Rule, node: nodes.Filter) -> nodes.Const | None:
    """Return the argument that names a field of the members."""
    if rule.attribute is None:
        return None
    given = next((keyword.value for keyword in node.kwargs if keyword.key == "attribute"), None)
    if given is None and len(node.args) > rule.attribute:
        given = node.args[rule.attribute]
    return given if isinstance(given, nodes.Const) else None


def _without_arguments(node: nodes.Filter) -> nodes.Filter:
    return nodes.Filter(None, "", [], [], None, None, lineno=node.lineno)


def loop_value(item: Value) -> Value:
    """Return what `loop` is in a loop over such members."""
    return Value({Kind.LOOP: Shape(Kind.LOOP, item=item)})
