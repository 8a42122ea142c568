import datetime as dt
import enum
from decimal import Decimal
from typing import Annotated, Literal, Self

import pytest
from pydantic import AwareDatetime, BaseModel, Field, model_validator
from werkzeug.datastructures import MultiDict

from controlplane.errors import FieldError, Refused
from controlplane.web.forms import fill, parse


class Colour(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


class Row(BaseModel):
    name: str
    size: int | None = None


class Everything(BaseModel):
    text: Annotated[str, Field(min_length=2, max_length=5)] = "abc"
    code: Annotated[str, Field(pattern="^[A-Z]+$")] = "A"
    whole: int | None = None
    number: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    price: Annotated[Decimal, Field(max_digits=8, decimal_places=2, gt=0)] | None = None
    colour: Colour | None = None
    kind: Literal["a", "b"] | None = None
    moment: AwareDatetime | None = None
    day: dt.date | None = None
    ticked: bool = False
    many: list[str] = []
    rows: list[Row] = []

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.whole == 13:
            raise FieldError("number", "Thirteen needs a number.")
        if self.whole == 14:
            raise ValueError("Not fourteen.")
        return self


def sent(*pairs: tuple[str, str]) -> MultiDict[str, str]:
    return MultiDict(list(pairs))


@pytest.mark.parametrize(
    ("name", "typed", "message"),
    [
        ("text", "a", "Use at least 2 characters."),
        ("text", "abcdef", "Use at most 5 characters."),
        ("text", "", "This is needed."),
        ("code", "a1", "This is not written the way it has to be."),
        ("whole", "1.5", "Enter a whole number."),
        ("whole", "abc", "Enter a whole number."),
        ("whole", "9" * 5000, "This number is too large."),
        ("number", "abc", "Enter a number."),
        ("number", "2.01", "Enter 2 or less."),
        ("number", "-0.1", "Enter 0 or more."),
        ("number", "NaN", "Enter an ordinary number."),
        ("price", "1.999", "Use at most 2 decimal places."),
        ("price", "0", "Enter a number above 0."),
        ("price", "x", "Enter a number."),
        ("colour", "green", "Choose one of 'red' or 'blue'."),
        ("kind", "c", "Choose one of 'a' or 'b'."),
        ("moment", "tomorrow", "Enter a date and a time, such as 2026-12-01T09:00Z."),
        ("moment", "2026-12-01T09:00", "Say which time zone is meant: end it with Z for UTC."),
        ("day", "01.12.2026", "Enter a date, such as 2026-12-01."),
        ("ticked", "perhaps", "Choose yes or no."),
        ("rows.3.size", "x", "Enter a whole number."),
    ],
)
def test_what_is_wrong_is_said_in_plain_words(name: str, typed: str, message: str) -> None:
    form = parse(Everything, sent((name, typed), ("rows.3.name", "n")))
    assert form.value is None
    assert form.errors == {name: message}
    assert form[name].value == typed


def test_all_errors_come_at_once() -> None:
    form = parse(Everything, sent(("text", "a"), ("whole", "x"), ("colour", "x")))
    assert list(form.errors) == ["text", "whole", "colour"]


def test_blank_means_nothing_was_given() -> None:
    form = parse(Everything, sent(("whole", " "), ("number", ""), ("colour", "")))
    assert form.value is not None
    assert (form.value.whole, form.value.number, form.value.colour) == (None, None, None)


def test_lists_take_all_values_and_leave_blank_ones_out() -> None:
    form = parse(Everything, sent(("many", "a"), ("many", ""), ("many", "b")))
    assert form.value is not None
    assert form.value.many == ["a", "b"]
    assert [form["many"].at(index).value for index in range(4)] == ["a", "", "b", ""]
    assert len({form["many"].at(index).id for index in range(4)}) == 4


def test_rows_keep_their_numbers_over_gaps() -> None:
    form = parse(Everything, sent(("rows.2.name", "b"), ("rows.0.name", "a"), ("rows.7.size", "1")))
    assert form.errors == {"rows.7.name": "This is needed."}
    assert form.indexes("rows") == [0, 2, 7]
    good = parse(Everything, sent(("rows.2.name", "b"), ("rows.0.name", "a")))
    assert good.value is not None
    assert [row.name for row in good.value.rows] == ["a", "b"]


def test_a_mistake_of_the_whole_stands_beside_the_field_it_names_or_above_all() -> None:
    assert parse(Everything, sent(("whole", "13"))).errors == {"number": "Thirteen needs a number."}
    assert parse(Everything, sent(("whole", "14"))).errors == {"": "Not fourteen."}


def test_what_a_service_refuses_joins_the_form_as_typed() -> None:
    form = parse(Everything, sent(("text", " ok "))).refused(Refused({"text": "Taken.", "": "Sorry."}))
    assert form.value is None
    assert form.errors == {"text": "Taken.", "": "Sorry."}
    assert form["text"].value == " ok "
    assert form["text"].error == "Taken."


def test_a_form_is_filled_with_what_is_there() -> None:
    form = fill(
        {
            "number": 0.7,
            "price": Decimal("2.50"),
            "none": None,
            "ticked": True,
            "unticked": False,
            "many": ["a", "b"],
            "moment": dt.datetime(2026, 12, 1, 9, tzinfo=dt.UTC),
            "rows": [{"name": "x", "size": 1}],
        }
    )
    assert form["number"].value == "0.7"
    assert form["price"].value == "2.5"
    assert form["none"].values == []
    assert form["ticked"].has("true")
    assert form["unticked"].values == []
    assert form["many"].has("b")
    assert form["moment"].value == "2026-12-01T09:00:00+00:00"
    assert form["rows.0.size"].value == "1"
    assert form.errors == {}


def test_names_are_said_as_words_in_the_summary() -> None:
    form = fill({})
    assert form["max_tokens"].words == "Max tokens"
    assert form["parameters.0.name"].words == "Parameters 1 name"
    assert form["parameters.0.name"].id == "f-parameters-0-name"
