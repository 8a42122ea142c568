"""No false alarm: where a template renders, with everything given and with the least, nothing that ran is called an error.

The templates come from a grammar that knows names and not kinds, so that many of them fail. Before each expression that
is printed stands a number: one that is in the text was reached, and so was the expression.
"""

import re
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jinja2 import nodes

from controlplane.prompts import contract
from controlplane.prompts.contract.declared import values_of
from controlplane.prompts.contract.findings import Findings
from controlplane.prompts.contract.walking import walk
from controlplane.runtime import profile
from controlplane.runtime.entries import Field, Items, Parameter
from controlplane.runtime.parameters import only_required
from controlplane.runtime.renderer import Previewer

DECLARED = (
    Parameter(name="word", type="string", required=True, example="Ana"),
    Parameter(name="maybe", type="text", example="Ben"),
    Parameter(name="count", type="number", required=True, example=3),
    Parameter(name="flag", type="boolean", example=True),
    Parameter(name="words", type="list", required=True, example=["a", "b"]),
    Parameter(name="more", type="list", example=["c"]),
    Parameter(name="firm", type="object", required=True, example={"name": "Firm", "tags": ["x"], "size": 4}),
    Parameter(
        name="rows",
        type="list",
        required=True,
        example=[{"title": "A", "note": "n", "part": {"name": "p"}}, {"title": "B", "part": {"name": "q"}}],
        items=Items(
            type="object",
            fields=(
                Field(name="title", type="text"),
                Field(name="note", type="text", optional=True),
                Field(name="part", type="object", fields=(Field(name="name", type="string"),)),
            ),
        ),
    ),
)
EVERYTHING = {parameter.name: parameter.example for parameter in DECLARED}

names = st.sampled_from(
    [*EVERYTHING, "item", "row", "other", "firm.name", "firm.tags", "firm.size", "item.title", "item.note", "item.part.name", "firm.lost",
     "loop.index", "loop.previtem", "rows[0].title", "firm['name']", "words[0]"]
)  # fmt: skip
literals = st.sampled_from(['"x"', "2", "none", "['a', 1]", "{'name': 'z'}"])
filters = st.sampled_from(
    ["upper", "length", "join(', ')", "default('d')", "default('', true)", "default([])", "first", "last", "list", "round", "int", "string",
     "tojson", "trim", "sort", "reverse", "sum", "items", "map('upper')", "select", "unique", "sort(attribute='title')", "max", "data",
     "join(', ', attribute='title')", "selectattr('note', 'defined')"]
)  # fmt: skip
tests = st.sampled_from(["defined", "none", "string", "number", "mapping", "not none", "not defined", "odd"])
binary = st.sampled_from(["+", "-", "*", "~", "==", "!=", "<", ">=", "in", "not in"])
methods = st.sampled_from(["upper()", "items()", "get('name')", "get('lost', 'x')", "split(' ')", "keys()"])


def _flat(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """All of such an expression is worked out whenever it is reached."""
    return st.one_of(
        st.builds("{}|{}".format, inner, filters),
        st.builds("({} {} {})".format, inner, binary, inner),
        st.builds("(not {})".format, inner),
        st.builds("({}).{}".format, inner, methods),
        st.builds("({})[{}]".format, inner, inner),
    )


def _choosing(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("({} is {})".format, names, tests),
        st.builds("(not {})".format, inner),
        st.builds("({} {} {})".format, inner, st.sampled_from(["and", "or"]), inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("({} if {})".format, inner, inner),
    )


leaves = st.one_of(names, names, names, literals)
flat = st.recursive(leaves, _flat, max_leaves=3)
choosing = st.recursive(st.one_of(flat, names), _choosing, max_leaves=3)


def _nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    body = st.lists(inner, min_size=1, max_size=3).map("".join)
    return st.one_of(
        st.builds("{{% if {} %}}{}{{% endif %}}".format, choosing, body),
        st.builds("{{% if {} %}}{}{{% else %}}{}{{% endif %}}".format, choosing, body, body),
        st.builds("{{% if {} %}}{}{{% elif {} %}}{}{{% endif %}}".format, choosing, body, choosing, body),
        st.builds("{{% for item in {} %}}{}{{% endfor %}}".format, flat, body),
        st.builds(
            "{{% for item in rows if {} %}}{}{{% else %}}{}{{% endfor %}}".format, choosing, body, body
        ),
        st.builds("{{% for other, row in {} %}}{}{{% endfor %}}".format, flat, body),
        st.builds("{{% with other = {} %}}{}{{% endwith %}}".format, flat, body),
    )


pieces = st.one_of(
    st.builds("#{{{{ {} }}}}".format, flat),
    st.builds("{{% set other = {} %}}".format, flat),
    st.builds("{{% set maybe = {} %}}".format, flat),
)
values = st.fixed_dictionaries(
    {
        "word": st.sampled_from(["Ana", ""]),
        "count": st.sampled_from([0, 3, 2.5]),
        "words": st.sampled_from([["a", "b"], ["c"]]),
        "firm": st.just(EVERYTHING["firm"]),
        "rows": st.sampled_from([EVERYTHING["rows"], [{"title": "C", "part": {"name": "r"}}]]),
    },
    optional={
        "maybe": st.sampled_from(["Ben", ""]),
        "flag": st.booleans(),
        "more": st.sampled_from([["d"], []]),
    },
)


def _numbered(parts: list[str]) -> str:
    numbers = count()
    return re.sub("#", lambda _: f"§{next(numbers)}§", "x" + "".join(parts))


sources = st.lists(st.recursive(pieces, _nested, max_leaves=5), min_size=1, max_size=3).map(_numbered)


class Noting(Findings):
    """Findings that remember which errors stand where every render comes."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.certain: list[str] = []

    def _add(self, severity: Any, code: str, message: str, node: nodes.Node) -> None:
        super()._add(severity, code, message, node)
        if severity == contract.ERROR and self.is_certain:
            self.certain.append(message)


def texts_of(source: str, *sets: dict[str, Any]) -> list[str | None]:
    prompt = Previewer(source, DECLARED)
    return [prompt.preview(each).text for each in sets]


def errors_that_ran(source: str, sets: list[dict[str, Any]]) -> list[str]:
    """Return what is called an error although it was reached, in a template that renders each time."""
    found = [each for each in contract.verdicts(source, DECLARED, sets) if each.is_error]
    texts = texts_of(source, *sets) if found else []
    if not found or None in texts:
        return []
    reached = {mark for text in texts for mark in re.findall("§[0-9]+§", text or "")}
    tree = profile.parse(source)
    findings = Noting(source)
    walk(tree, values_of(DECLARED, sets), findings)
    wrong = list(findings.certain)
    for each in found:
        before = source[: (each.column or 1) - 1]
        piece = before.rpartition("{")[0].rpartition("{")[0][-8:]
        mark = re.search("§[0-9]+§$", piece)
        if mark is not None and mark[0] in reached:
            wrong.append(each.message)
    return wrong


@settings(max_examples=70, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(source=sources, some=values)
def test_what_renders_and_was_reached_is_not_called_an_error(source: str, some: dict[str, Any]) -> None:
    assert errors_that_ran(source, [EVERYTHING, only_required(DECLARED), some]) == []


@pytest.mark.parametrize(
    ("source", "renders"),
    [
        ("x{{ word }}", True),
        ("x{{ firm.lost }}", False),
        ("x{{ maybe }}", False),
        ("x{{ rows[0].note }}", False),
    ],
)
def test_the_values_tell_templates_that_work_from_those_that_do_not(source: str, renders: bool) -> None:
    texts = texts_of(source, EVERYTHING, only_required(DECLARED))
    assert (None not in texts) == renders
    assert renders or any(each.is_error for each in contract.verdicts(source, DECLARED))
