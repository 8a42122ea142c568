"""Fields as a person writes them: read, refused with the line, and written back."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from controlplane.registry.inputs import InteractionInput, ParameterInput
from controlplane.registry.structure import DEEPEST, StructureRefused, read_structure, write_structure

STEPS = """
title: text — what to do
due: string, optional — the day, as 2026-12-01
owner: object
  name: string
  phones: list of list of number
tags: list of string, optional
notes: list of object
  text: text
  at.place: string
"""


def test_fields_are_read_one_a_line_and_nested_by_indenting() -> None:
    found = read_structure("list", STEPS)["items"]
    assert found["type"] == "object"
    title, due, owner, tags, notes = found["fields"]
    assert title == {"name": "title", "type": "text", "description": "what to do"}
    assert due == {
        "name": "due",
        "type": "string",
        "optional": True,
        "description": "the day, as 2026-12-01",
    }
    assert owner["fields"][0] == {"name": "name", "type": "string"}
    number_lists = {"type": "list", "items": {"type": "list", "items": {"type": "number"}}}
    assert owner["fields"][1] == {"name": "phones", **number_lists}
    assert tags == {"name": "tags", "type": "list", "items": {"type": "string"}, "optional": True}
    text, place = notes["items"]["fields"]
    assert text["name"] == "text"
    assert place["fields"] == [{"name": "place", "type": "string"}]


@pytest.mark.parametrize(
    ("kind", "text", "found"),
    [
        ("list", "number", {"items": {"type": "number"}}),
        ("list", " list of text ", {"items": {"type": "list", "items": {"type": "text"}}}),
        ("object", "", {}),
        ("text", "  \n ", {}),
        ("object", "a: list", {"fields": [{"name": "a", "type": "list"}]}),
        ("object", "a: Text , required - said", {"fields": [{"name": "a", "type": "text", "description": "said"}]}),
    ],
)  # fmt: skip
def test_short_forms(kind: str, text: str, found: dict[str, Any]) -> None:
    assert read_structure(kind, text) == found


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("object", "title: text\n\ndue: date", "Line 3: “date” is no type"),
        ("object", "title", "Line 1: write “name: type”"),
        ("object", "title: text\ntitle: number", "Line 2: there is a field title already"),
        ("object", "title: text\n  inner: text", "Line 2: title is a text, which has no fields"),
        ("object", "  a: text\nb: text", "Line 2: this is indented under nothing"),
        ("object", "a: text, perhaps", "Line 1: after the type comes nothing"),
        ("object", "2nd: text", "Line 1: “2nd” is no name of a field"),
        ("object", "a: text said", "Line 1: “text said” is no type"),
        ("list", "date", "Line 1: “date” is no type"),
        ("text", "a: text", "Line 1: a text holds no fields"),
        ("object", "\n".join(f"f{number}: text" for number in range(101)), "Line 101: keep it to 100"),
        ("object", "\n".join("  " * depth + f"f{depth}: object" for depth in range(DEEPEST + 1)), "Line 6: fields stand at most 5 deep"),
    ],
)  # fmt: skip
def test_what_cannot_be_understood_is_refused_with_its_line(kind: str, text: str, said: str) -> None:
    with pytest.raises(StructureRefused) as refused:
        read_structure(kind, text)
    assert str(refused.value).startswith(said)


plain = st.sampled_from(["string", "text", "number", "boolean", "list", "object"]).map(
    lambda kind: {"type": kind}
)
names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)


def _fields(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[list[dict[str, Any]]]:
    marks = st.sampled_from([{}, {"optional": True}, {"description": "said, as 1: 2"}])
    one = st.builds(lambda name, kind, more: {"name": name, **kind, **more}, names, inner, marks)
    return st.lists(one, min_size=1, max_size=3, unique_by=lambda each: each["name"])


kinds = st.recursive(
    plain,
    lambda inner: st.one_of(
        inner.map(lambda each: {"type": "list", "items": each}),
        _fields(inner).map(lambda fields: {"type": "object", "fields": fields}),
    ),
    max_leaves=4,
).filter(lambda kind: _depth(kind) < DEEPEST)


def _depth(kind: dict[str, Any]) -> int:
    inner = [*kind.get("fields", ()), *([kind["items"]] if "items" in kind else ())]
    return max((1 + _depth(each) for each in inner), default=0)


@given(_fields(kinds))
def test_what_is_written_back_is_read_as_the_same(fields: list[dict[str, Any]]) -> None:
    assert read_structure("object", write_structure({"fields": fields})) == {"fields": fields}
    of_list = {"items": {"type": "object", "fields": fields}}
    assert read_structure("list", write_structure(of_list)) == of_list


@given(kinds)
def test_items_that_are_no_objects_are_written_back_too(kind: dict[str, Any]) -> None:
    if "fields" not in kind and "items" not in kind:
        assert read_structure("list", write_structure({"items": kind})) == {"items": kind}


def test_a_parameter_without_declared_fields_is_the_document_it_always_was() -> None:
    found = ParameterInput.model_validate(
        {"name": "goal", "type": "object", "example": {"a": 1}, "structure": ""}
    )
    assert found.model_dump() == {
        "name": "goal",
        "type": "object",
        "required": False,
        "description": "",
        "example": {"a": 1},
    }


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"example": [{"title": 4}]}, "item 1 field title: text is needed, not a number"),
        ({"example": [{}]}, "item 1 field title: it is missing"),
        ({"structure": "title: words"}, "Line 1: “words” is no type"),
    ],
)
def test_an_example_has_to_be_as_declared(change: dict[str, Any], words: str) -> None:
    row = {"name": "steps", "type": "list", "structure": "title: text", "example": [{"title": "A"}]}
    InteractionInput.model_validate({"code": "X", "category": "a", "parameters": [row]})
    with pytest.raises(ValidationError, match=words):
        InteractionInput.model_validate({"code": "X", "category": "a", "parameters": [row | change]})
