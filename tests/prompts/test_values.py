from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.prompts.values import examples, fields, read
from controlplane.runtime.entries import Parameter

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
    assert [value for value, _ in required.choices] == ["yes", "no"]
