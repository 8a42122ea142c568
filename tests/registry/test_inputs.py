from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from werkzeug.datastructures import MultiDict

from controlplane.registry.inputs import (
    EnvironmentInput,
    InteractionInput,
    ModelInput,
    ParameterInput,
    TierInput,
)
from controlplane.web.forms import parse

MODEL = {
    "code": "GPT_9",
    "provider": "openai",
    "provider_model_id": "gpt-9",
    "context_window": "1000",
    "max_output_tokens": "100",
}
PARAMETER = {"name": "goal", "type": "text", "required": True, "example": "Grow"}


@pytest.mark.parametrize(
    ("model", "given", "field", "words"),
    [
        (TierInput, {"code": "Premium", "name": "P", "rank": "1"}, "code", "small letters"),
        (TierInput, {"code": "default", "name": "P", "rank": "1"}, "code", "“default” cannot be taken"),
        (TierInput, {"code": "gold-plus", "name": "P", "rank": "1"}, "code", "digits and underscores"),
        (TierInput, {"code": "a", "name": "P", "rank": "-1"}, "rank", "0 or more"),
        (TierInput, {"code": "a", "name": "P", "rank": "one"}, "rank", "whole number"),
        (TierInput, {"code": "a", "name": "", "rank": "1"}, "name", "needed"),
        (TierInput, {"code": "a", "name": "x" * 81, "rank": "1"}, "name", "80 characters"),
        (EnvironmentInput, {"code": "models", "name": "M"}, "code", "a page of this site begins with it"),
        (ModelInput, MODEL | {"code": "gpt-9"}, "code", "capital letters"),
        (ModelInput, MODEL | {"input_price_per_million": "-1"}, "input_price_per_million", "0 or more"),
        (
            ModelInput,
            MODEL | {"input_price_per_million": "NaN"},
            "input_price_per_million",
            "ordinary number",
        ),
        (
            ModelInput,
            MODEL | {"max_output_tokens": "2000"},
            "max_output_tokens",
            "more than its context window",
        ),
        (ModelInput, MODEL | {"context_window": "0"}, "context_window", "1 or more"),
        (ModelInput, MODEL | {"parameters": "sorcery"}, "parameters", "sorcery"),
        (InteractionInput, {"code": "lower", "category": "a"}, "code", "capital letters"),
    ],
)
def test_a_wrong_value_is_told_in_words_beside_its_field(
    model: type[BaseModel], given: dict[str, str], field: str, words: str
) -> None:
    form = parse(model, MultiDict(given))
    assert form.value is None
    assert words in form.errors[field]


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"name": "Goal"}, "name", "small letters"),
        ({"name": "for"}, "name", "a word of the template language"),
        ({"name": "_goal"}, "name", "small letters"),
        ({"type": "number", "example": "1e999"}, "example", "not a finite number"),
        ({"type": "number", "example": "NaN"}, "example", "as JSON"),
        ({"type": "list", "example": r'["\u0000"]'}, "example", "cannot be stored"),
        ({"type": "number", "example": "many"}, "example", "as JSON"),
        ({"type": "list", "example": '{"a": 1}'}, "example", "not a list"),
        ({"type": "boolean", "example": "1"}, "example", "not a boolean"),
        ({"type": "colour"}, "type", "Choose one of"),
        ({"example": None}, "example", "Give an example"),
    ],
)
def test_a_wrong_parameter_row_is_told_beside_the_field_of_that_row(
    change: dict[str, Any], field: str, words: str
) -> None:
    row = PARAMETER | change
    given = {"code": "X", "category": "a"} | {
        f"parameters.4.{name}": str(value or "") for name, value in row.items()
    }
    form = parse(InteractionInput, MultiDict(given))
    assert words in form.errors[f"parameters.4.{field}"]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("string", "72", "72"),
        ("text", "[1]", "[1]"),
        ("number", "72", 72),
        ("boolean", "false", False),
        ("list", '["a"]', ["a"]),
        ("object", '{"a": null}', {"a": None}),
    ],
)
def test_an_example_from_a_form_gets_the_type_that_is_declared(kind: str, text: str, value: object) -> None:
    assert ParameterInput.model_validate({"name": "x", "type": kind, "example": text}).example == value


def test_two_parameters_of_one_name_are_refused() -> None:
    with pytest.raises(ValidationError, match="Two parameters are called goal"):
        InteractionInput.model_validate({"code": "X", "category": "a", "parameters": [PARAMETER, PARAMETER]})


def test_an_unknown_field_is_refused_and_not_assigned() -> None:
    with pytest.raises(ValidationError):
        TierInput.model_validate({"code": "a", "name": "A", "rank": 1, "archived_at": None})


def test_an_empty_position_means_the_first() -> None:
    form = parse(EnvironmentInput, MultiDict({"code": "canary", "name": "Canary", "position": ""}))
    assert form.value is not None
    assert form.value.position == 0
