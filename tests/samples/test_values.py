import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.runtime.entries import Parameter
from controlplane.samples.values import (
    AS,
    AS_FORM,
    AS_JSON,
    examples,
    fields,
    read,
    switched,
    typed,
    typed_as_json,
)

WORDS = st.text("abä中😀<&'\"{%0", min_size=1, max_size=8)
JSON = st.recursive(
    st.booleans() | st.integers(-(2**40), 2**40) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
EXAMPLES: dict[str, st.SearchStrategy[Any]] = {
    "string": WORDS,
    "text": st.lists(WORDS, min_size=1, max_size=4).map("\n".join),
    "number": st.integers(-(2**40), 2**40) | st.floats(-1e9, 1e9, allow_nan=False),
    "boolean": st.booleans(),
    "list": st.lists(WORDS, min_size=1, max_size=4) | st.lists(JSON, min_size=1, max_size=3),
    "object": st.dictionaries(WORDS, JSON, max_size=3),
}
DECLARED = st.sampled_from(sorted(EXAMPLES)).flatmap(
    lambda kind: EXAMPLES[kind].map(
        lambda example: Parameter(name="it", type=kind, required=True, example=example)
    )
)


def parameter(kind: str, example: object = None, *, required: bool = True) -> Parameter:
    return Parameter(name="it", type=kind, required=required, description="What it is", example=example)


@settings(deadline=None)  # a slow machine is no defect
@given(DECLARED)
def test_an_example_typed_as_the_form_shows_it_reads_as_the_example(declared: Parameter) -> None:
    values = read([declared], examples([declared]))
    assert values.errors == {}
    assert values.given == {"it": declared.example}


ODD = st.text("ab \n\r\t\x00中😀<&'\"{%0[", max_size=6)
ODD_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(-1e9, 1e9, allow_nan=False) | ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ODD, inner, max_size=3),
    max_leaves=8,
)
ODD_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "string": ODD, "text": ODD, "number": ODD_JSON.filter(lambda value: type(value) in {int, float}),
    "boolean": st.booleans(), "list": st.lists(ODD_JSON, max_size=3), "object": st.dictionaries(ODD, ODD_JSON, max_size=3),
}  # fmt: skip
ALL = [Parameter(name=kind, type=kind) for kind in ODD_VALUES]


@given(st.fixed_dictionaries({}, optional=ODD_VALUES))
def test_values_keep_their_types_through_the_form_and_through_json(given_values: dict[str, Any]) -> None:
    form = typed(ALL, given_values)
    as_sent = {name: re.sub("\r\n?|\n", "\r\n", text) for name, text in form.items()}  # as browsers send it
    for sent in (as_sent, typed_as_json(given_values)):
        back = read(ALL, sent)
        assert back.errors == {}
        # As text: 1 is 1.0 to Python, and the order of an object's fields is nothing to it.
        assert json.dumps(dict(sorted(back.given.items()))) == json.dumps(dict(sorted(given_values.items())))


@given(st.fixed_dictionaries({}, optional=ODD_VALUES))
def test_switching_there_and_back_changes_nothing(given_values: dict[str, Any]) -> None:
    form = typed(ALL, given_values)
    there, problems = switched(ALL, form, to=AS_JSON)
    assert problems == {}
    back, problems = switched(ALL, there, to=AS_FORM)
    assert back == form or (problems and form[AS] == AS_JSON)


def test_an_empty_text_is_not_the_same_as_none() -> None:
    declared = [Parameter(name="note", type="text"), Parameter(name="goals", type="list")]
    assert read(declared, {"value-note": "", "value-EMPTY-note": "true"}).given == {"note": ""}
    assert read(declared, {"value-goals": "", "value-EMPTY-goals": "true"}).given == {"goals": []}
    # What is typed wins over the tick.
    assert read(declared, {"value-note": "x", "value-EMPTY-note": "true"}).given == {"note": "x"}


def test_json_is_told_of_value_by_value() -> None:
    declared = [
        parameter("text"),
        Parameter(name="score", type="number"),
        Parameter(name="note", type="text"),
    ]
    text = '{"it": "here", "score": "72", "nte": "?", "note": null}'
    found = read(declared, {"value-AS": "json", "value-JSON": text})
    assert found.given == {"it": "here"}
    assert found.errors == {
        "value-score": "A number is needed, not text.",
        "value-nte": "The interaction declares no nte: did you mean note?",
    }
    assert list(read(declared, {"value-AS": "json", "value-JSON": "[1]"}).errors) == ["value-JSON"]


def test_a_blank_field_gives_no_value() -> None:
    declared = [parameter("text"), Parameter(name="goals", type="list")]
    assert read(declared, {"value-it": " \r\n", "value-goals": ""}).given == {}


def test_a_list_of_texts_is_one_item_per_line() -> None:
    assert read([parameter("list", ["a"])], {"value-it": "Grow\r\n\r\n  Win back \r\n"}).given == {
        "it": ["Grow", "Win back"]
    }


def test_a_list_of_objects_is_typed_as_json() -> None:
    (field,) = fields([parameter("list", [{"name": "Churn"}])])
    assert field.kind == "json"
    assert field.hint == "What it is. JSON, a list in [ ]."


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("number", "seventy", "Enter a number, such as 72 or 0.5."),
        ("number", "NaN", "Enter a number, such as 72 or 0.5."),
        ("number", "true", "Enter a number, such as 72 or 0.5."),
        ("boolean", "maybe", "Choose yes or no."),
        ("object", "[1]", "This must be an object, in { }."),
        ("object", '{"a":1,"a":2}', "This JSON cannot be used: the same key twice in one object."),
        (
            "object",
            "{",
            "This is not JSON: line 1, column 2: Expecting property name enclosed in double quotes.",
        ),
        ("object", "[" * 100_000, "This JSON cannot be used: nested too deeply."),
    ],
)
def test_what_cannot_be_understood_is_said_at_its_field(kind: str, text: str, message: str) -> None:
    values = read([parameter(kind)], {"value-it": text})
    assert values.errors == {"value-it": message}
    assert values.given == {}


def test_an_optional_yes_or_no_may_be_left_out() -> None:
    (optional,) = fields([parameter("boolean", required=False)])
    (required,) = fields([parameter("boolean")])
    assert [value for value, _ in optional.choices] == ["", "yes", "no"]
    # To see what a template says when a call forgets it.
    assert [value for value, _ in required.choices] == ["", "yes", "no"]
