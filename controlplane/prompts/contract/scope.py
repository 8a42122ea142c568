"""What holds at one place of the text: the names that are set, and what an `{% if %}` around it has ruled out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from jinja2 import nodes

from controlplane.prompts.contract.kinds import Value, join

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Scope:
    """The names by what they are, and paths (`topic`, `action.due`) of which more is known here than elsewhere."""

    names: Mapping[str, Value]
    facts: Mapping[Path, Value] = field(default_factory=dict)
    is_dead: bool = False
    """Whether nothing ever comes here."""

    def knowing(self, path: Path | None, value: Value) -> "Scope":
        """Return what holds where a path is this; where it cannot be anything, nothing ever comes."""
        if value.is_nothing:
            return replace(self, is_dead=True)
        return self if path is None else replace(self, facts={**self.facts, path: value})

    def setting(self, values: Mapping[str, Value]) -> "Scope":
        """Return what holds once these names are set anew."""
        facts = {path: value for path, value in self.facts.items() if path[0] not in values}
        return replace(self, names={**self.names, **values}, facts=facts)

    def value_of(self, name: str) -> Value | None:
        """Return what a name is here, or None where there is none."""
        found = self.facts.get((name,))
        return self.names.get(name) if found is None else found


def either(first: Scope, second: Scope) -> Scope:
    """Return what holds where one comes from here or from there."""
    if first.is_dead:
        return second
    if second.is_dead or first is second:
        return first
    facts = {
        path: join(value, second.facts[path]) for path, value in first.facts.items() if path in second.facts
    }
    return Scope(_joined_names(first, second), facts)


def after(before: Scope, ways: Sequence[Scope], unset: Callable[[str], Value]) -> Scope:
    """Return what holds after an `{% if %}` whose branches end like this; a name that only some set may not be there."""
    alive = [way for way in ways if not way.is_dead]
    if not alive:
        return before
    changed = {
        name
        for way in alive
        if way.names is not before.names
        for name, value in way.names.items()
        if before.names.get(name) is not value
    }
    if not changed:
        return before
    found: dict[str, Value] = {}
    for name in sorted(changed):
        values = [way.value_of(name) or unset(name) for way in alive]
        joined = values[0]
        for value in values[1:]:
            joined = join(joined, value)
        found[name] = joined
    return before.setting(found)


def _joined_names(first: Scope, second: Scope) -> Mapping[str, Value]:
    if first.names is second.names:
        return first.names
    names = first.names.keys() & second.names.keys()
    return {name: join(first.names[name], second.names[name]) for name in names}


def path_of(node: nodes.Node) -> Path | None:
    """Return a name with its fields, where it is no more than that."""
    if isinstance(node, nodes.Name):
        return (node.name,)
    if isinstance(node, nodes.Getattr):
        above = path_of(node.node)
        return None if above is None else (*above, node.attr)
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        above = path_of(node.node)
        part = node.arg.value
        return (*above, part) if above is not None and isinstance(part, str | int) else None
    return None
