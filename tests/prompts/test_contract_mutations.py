"""Typing errors put into the shipped templates, every one of which has to be noticed before a version is saved.

An error is noticed by looking at the text, or because a render with the declared examples, or with only what is required,
fails. The untouched templates are the control: nothing is said of them.
"""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import pytest
from jinja2 import nodes

from controlplane.first_data.read import read_interactions, read_prompts
from controlplane.prompts import contract
from controlplane.runtime import places, profile
from controlplane.runtime.entries import Parameter
from controlplane.runtime.parameters import only_required
from controlplane.runtime.renderer import Previewer
from controlplane.runtime.sandbox import ENVIRONMENT

DECLARED = {
    row["code"].lower(): msgspec.convert(row["parameters"], tuple[Parameter, ...])
    for row in read_interactions()
}
PROMPTS = read_prompts()
MISSPELT = frozenset({"parameter", "getattr", "filter", "test", "item"})


class Mutant(NamedTuple):
    """A template with one typing error, and what was done to it."""

    kind: str
    what: str
    source: str


def _replaced(source: str, node: nodes.Node, text: str) -> str:
    mark = places.mark_of(node, source)
    assert mark is not None
    lines = source.split("\n")
    line = lines[mark.line - 1]
    lines[mark.line - 1] = line[: mark.column - 1] + text + line[mark.column - 1 + mark.length :]
    return "\n".join(lines)


def _typos(name: str) -> list[str]:
    """Return a word with two letters exchanged, and with one lost; each another word."""
    middle = len(name) // 2
    found = [name[: middle - 1] + name[middle] + name[middle - 1] + name[middle + 1 :], name[:-1]]
    return [word for word in dict.fromkeys(found) if word and word != name]


def misspelt(source: str, declared: tuple[Parameter, ...]) -> Iterator[Mutant]:
    """Yield the template with each parameter, attribute, filter and test misspelt where it stands."""
    tree = profile.check(source)
    names = {parameter.name for parameter in declared}
    for node in tree.find_all((nodes.Name, nodes.Getattr, nodes.Filter, nodes.Test)):
        assert isinstance(node, nodes.Name | nodes.Getattr | nodes.Filter | nodes.Test)
        name = node.attr if isinstance(node, nodes.Getattr) else node.name
        is_parameter = isinstance(node, nodes.Name) and node.ctx == "load"
        if isinstance(node, nodes.Name) and not (is_parameter and (name in names or name == "loop")):
            continue
        for typo in _typos(name):
            kind = "parameter" if is_parameter else type(node).__name__.lower()
            yield Mutant(kind, f"{name} → {typo}", _replaced(source, node, typo))
    for node in tree.find_all(nodes.Getitem):
        if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
            for typo in _typos(node.arg.value):
                yield Mutant("item", typo, _replaced(source, node.arg, f'"{typo}"'))


def unclosed(source: str) -> Iterator[Mutant]:
    """Yield the template without each of its ends: of a block, of a tag, of what is printed."""
    found = [*places.tokens(ENVIRONMENT, source)]
    for begin, (place, kind, value) in enumerate(found):
        if kind in ("block_end", "variable_end"):
            sign = value.strip()
            yield Mutant("tag", f"line {place}", source[: place.offset] + source[place.offset + len(sign) :])
        if kind == "block_begin":
            words = [each for each in found[begin : begin + 5] if each[1] == "name"]
            last = next(each for each in found[begin:] if each[1] == "block_end")
            if words and words[0][2].startswith("end"):
                end = last[0].offset + len(last[2])
                yield Mutant("block", f"line {place}", source[: place.offset] + source[end:])


def wrong_kinds(source: str, declared: tuple[Parameter, ...]) -> Iterator[Mutant]:
    """Yield the template with each parameter used as what it is not."""
    kinds = {parameter.name: parameter.type for parameter in declared}
    tree = profile.check(source)
    for loop in tree.find_all(nodes.For):
        yield Mutant("loop", "over a number", _replaced(source, loop.iter, "7") if isinstance(loop.iter, nodes.Name) else source.replace("{% for ", "{% for x in 7 %}{% endfor %}{% for ", 1))  # fmt: skip
    for node in tree.find_all(nodes.Name):
        kind = kinds.get(node.name) if node.ctx == "load" else None
        wrong = {
            "string": ("{0}.title", "{0} * 2", "{0} - 1", "{0}|round", "{0}|items"),
            "number": ("{0}.title", "({0}|first)", "({0}|join)", "{0} ~ none", "{0} < '5'"),
            "list": ("{0}.title", "{0} - 1", "{0}|items", "{0}|abs"),
            "object": ("{0} - 1", "{0}|abs", "{0}|items|sum"),
        }
        for change in wrong.get("string" if kind == "text" else kind or "", ()):
            yield Mutant("type", change, _replaced(source, node, f"({change.format(node.name)})"))


def is_noticed(mutant: Mutant, original: str, declared: tuple[Parameter, ...]) -> bool:
    """Say whether anybody is told of it before it is saved; of a misspelt word with the line and the column."""
    found = contract.verdicts(mutant.source, declared)
    if mutant.kind in MISSPELT:
        pairs = zip(original.split("\n"), mutant.source.split("\n"), strict=True)
        line = next(number for number, (old, new) in enumerate(pairs, start=1) if old != new)
        return any(each.line == line and each.column for each in found)
    if found:
        return True
    prompt = Previewer(mutant.source, declared)
    everything = {parameter.name: parameter.example for parameter in declared}
    return any(prompt.preview(each).problem for each in (everything, only_required(declared)))


@pytest.mark.parametrize("code", sorted(PROMPTS))
def test_every_typing_error_in_a_shipped_template_is_noticed(code: str) -> None:
    source, declared = PROMPTS[code], DECLARED[code]
    assert contract.verdicts(source, declared) == []
    mutants = [*misspelt(source, declared), *unclosed(source), *wrong_kinds(source, declared)]
    assert len(mutants) >= 15
    assert [mutant[:2] for mutant in mutants if not is_noticed(mutant, source, declared)] == []


@pytest.mark.parametrize("code", sorted(PROMPTS))
def test_a_declaration_that_loses_a_parameter_is_noticed(code: str) -> None:
    source, declared = PROMPTS[code], DECLARED[code]
    for gone in declared:
        rest = tuple(parameter for parameter in declared if parameter is not gone)
        assert any(each.code == "unknown-name" for each in contract.verdicts(source, rest))
