"""The text from top to bottom: what is set, gone through and asked for, and what holds where."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from jinja2 import nodes

from controlplane.prompts.contract.findings import Findings, kinds_in_words
from controlplane.prompts.contract.kinds import ANY, TEXT, Absence, Kind, Reason, Value, absent
from controlplane.prompts.contract.reading import Reader, loop_value
from controlplane.prompts.contract.scope import Scope, after, path_of


def walk(tree: nodes.Template, parameters: dict[str, Value], findings: Findings) -> None:
    """Look at a whole text, noting what is found."""
    stored = frozenset(name.name for name in tree.find_all(nodes.Name) if name.ctx == "store")
    _Walker(findings, Reader(findings, parameters, stored), parameters).body(tree.body, Scope({}))


class _Walker:
    def __init__(self, findings: Findings, reader: Reader, parameters: dict[str, Value]) -> None:
        self._findings = findings
        self._reader = reader
        self._parameters = parameters
        self._walkers: Final[dict[type[nodes.Node], Callable[[Any, Scope], Scope]]] = {
            nodes.Output: self._output,
            nodes.If: self._if,
            nodes.For: self._for,
            nodes.Assign: self._assign,
            nodes.With: self._with,
        }

    def body(self, statements: Sequence[nodes.Node], scope: Scope) -> Scope:
        """Look at some statements one after the other; return what holds behind them."""
        for statement in statements:
            walker = self._walkers.get(type(statement))
            if walker is not None:
                scope = walker(statement, scope)
        return scope

    def _output(self, node: nodes.Output, scope: Scope) -> Scope:
        for part in node.nodes:
            if not isinstance(part, nodes.TemplateData):
                self._reader.printed(part, scope)
        return scope

    def _if(self, node: nodes.If, scope: Scope) -> Scope:
        ways: list[Scope] = []
        is_false = scope
        with self._reader.perhaps(still=True):
            for condition in (node, *node.elif_):
                is_true, is_false = self._reader.branches(condition.test, is_false)
                self._findings.is_certain = (
                    False  # the first condition is looked at by every render, nothing after it
                )
                ways.append(self.body(condition.body, is_true))
            ways.append(self.body(node.else_, is_false))
        return after(scope, ways, self._unset)

    def _unset(self, name: str) -> Value:
        """Return what a name that only some branches set is behind the others: the parameter, or nothing."""
        nothing = absent(Kind.MISSING, Absence(Reason.NOT_SET, name, is_sure=False))
        return self._parameters.get(name) or nothing

    def _for(self, node: nodes.For, scope: Scope) -> Scope:
        item, is_filled = self._reader.stepped(node.iter, scope)
        inside = scope
        path = path_of(node.iter)
        if path is not None:
            value = self._reader.read(node.iter, scope)
            inside = scope if value.is_any else scope.knowing(path, value.present)
        inside = replace(inside, is_dead=scope.is_dead)
        inside = inside.setting({"loop": loop_value(item), **self._targets(node.target, item)})
        with self._reader.perhaps(still=is_filled and node.test is None):
            if node.test is not None:
                inside, _ = self._reader.branches(node.test, inside)
            self.body(node.body, inside)
        with self._reader.perhaps():
            self.body(node.else_, scope)
        return scope

    def _assign(self, node: nodes.Assign, scope: Scope) -> Scope:
        value = self._reader.read(node.node, scope)
        return scope.setting(self._targets(node.target, value))

    def _with(self, node: nodes.With, scope: Scope) -> Scope:
        values = [self._reader.read(value, scope) for value in node.values]
        inside = scope
        for target, value in zip(node.targets, values, strict=True):
            inside = inside.setting(self._targets(target, value))
        self.body(node.body, inside)
        return scope

    def _targets(self, target: nodes.Node, value: Value) -> dict[str, Value]:
        """Return the names that a value is given to, each with its part."""
        if isinstance(target, nodes.Name):
            return {target.name: value}
        if not isinstance(target, nodes.Tuple):
            return {}
        parts = self._parts(target, value)
        found: dict[str, Value] = {}
        for inner, part in zip(target.items, parts, strict=True):
            found |= self._targets(inner, part)
        return found

    def _parts(self, target: nodes.Tuple, value: Value) -> Sequence[Value]:
        count = len(target.items)
        value = value.present
        shape = value.get(Kind.LIST)
        if value.is_any or value.is_nothing:
            return [ANY] * count
        if shape is not None:
            if shape.members and len(shape.members) != count:
                words = f"there are {count} names here for lists of {len(shape.members)} members"
                self._findings.clash(words, target, value)
            return shape.members if len(shape.members) == count else [shape.item or ANY] * count
        if value.kinds == {Kind.TEXT}:
            words = f"a text is taken apart into {count} names here: to have names and values, go through .items()"
            self._findings.warning("letters", words, target)
            return [TEXT] * count
        if not value.kinds & {Kind.OBJECT, Kind.SEQUENCE}:
            self._findings.clash(
                f"{kinds_in_words(value)} cannot be taken apart into {count} names", target, value
            )
        return [ANY] * count
