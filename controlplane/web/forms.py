"""From what a form sent to a checked value, or to words beside each field.

form = parse(ReasonInput, request.form)
form.value      the pydantic model, or None when something is wrong
form.errors     field name -> what to do about it ("" is the form as a whole)
form["reason"]  the Field a template macro takes: as typed, with its error
"""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from types import UnionType
from typing import Any, Final, Generic, NamedTuple, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from werkzeug.datastructures import MultiDict

from controlplane.errors import FieldError, Refused

M = TypeVar("M", bound=BaseModel)
# Fields that go by another name on the page.
_CALLED: Final = {"body": "Text", "value-JSON": "Values"}

Raw = dict[str, list[str]]


class Option(NamedTuple):
    """One choice of a select, of radios or of tick boxes."""

    value: str
    label: str
    disabled: bool = False


@dataclass(frozen=True)
class Field:
    """One named control: its id, what was typed into it, and what is wrong with that."""

    name: str
    values: list[str]
    error: str | None = None
    index: int | None = None

    @property
    def id(self) -> str:
        """The id in the page; stable, so that focus survives a swap."""
        stem = "f-" + re.sub(r"[^A-Za-z0-9_-]+", "-", self.name)
        return stem if self.index is None else f"{stem}-{self.index}"

    @property
    def value(self) -> str:
        """The first value, as typed."""
        return self.values[0] if self.values else ""

    @property
    def words(self) -> str:
        """The name as the error summary says it: "max_tokens" is "Max tokens", row 0 is 1."""
        if self.name in _CALLED:
            return _CALLED[self.name]
        parts = [str(int(part) + 1) if part.isdigit() else part for part in re.split(r"[._-]", self.name)]
        return " ".join(parts).capitalize()

    def has(self, value: object) -> bool:
        """Whether this value was chosen."""
        return str(value) in self.values

    def at(self, index: int) -> "Field":
        """One of several controls of the same name; only the first carries the error."""
        values = self.values[index : index + 1]
        return replace(self, values=values, index=index or None, error=self.error if index == 0 else None)


@dataclass(frozen=True)
class Parsed(Generic[M]):
    """What came of a form."""

    value: M | None = None
    errors: dict[str, str] = field(default_factory=dict)
    raw: Raw = field(default_factory=dict)

    def __getitem__(self, name: str) -> Field:
        """The field of this name, known to the form or not."""
        return Field(name, self.raw.get(name, []), self.errors.get(name))

    def refused(self, refusal: Refused) -> "Parsed[M]":
        """The same form, as typed, with what a service said against it."""
        return replace(self, value=None, errors={**self.errors, **refusal.errors})

    def indexes(self, name: str) -> list[int]:
        """The row numbers present of a repeated group: `name.0.…`, `name.1.…`."""
        found = {int(key.split(".")[1]) for key in self.raw if re.match(rf"{re.escape(name)}\.\d+\.", key)}
        return sorted(found)


def parse(model: type[M], sent: MultiDict[str, str]) -> Parsed[M]:
    """Check what was sent; every error at once, in words."""
    raw = {name: sent.getlist(name) for name in sent}
    data, rows = _gather(model, raw)
    try:
        return Parsed(model.model_validate(data), {}, raw)
    except ValidationError as problem:
        return Parsed(None, _messages(problem, rows), raw)


def fill(values: Mapping[str, Any]) -> Parsed[BaseModel]:
    """A form to be shown for the first time, filled with what is there."""
    raw: Raw = {}
    for name, value in values.items():
        _spread(raw, name, value)
    return Parsed(None, {}, raw)


def without_blank_rows(sent: MultiDict[str, str], name: str, field: str) -> MultiDict[str, str]:
    """What was sent without the rows of a group in which this field is blank, and the others numbered from 0.

    So that a service which names a row by its place in the list means the row that the page shows there.
    """
    rows: dict[int, list[tuple[str, str]]] = {}
    kept: MultiDict[str, str] = MultiDict()
    for key, value in sent.items(multi=True):
        match = re.fullmatch(rf"{re.escape(name)}\.(\d{{1,4}})\.([^.]+)", key)
        if match:
            rows.setdefault(int(match[1]), []).append((match[2], value))
        else:
            kept.add(key, value)
    filled = [row for _, row in sorted(rows.items()) if dict(row).get(field, "").strip()]
    for index, row in enumerate(filled):
        for key, value in row:
            kept.add(f"{name}.{index}.{key}", value)
    return kept


def _spread(raw: Raw, name: str, value: Any) -> None:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _spread(raw, f"{name}.{key}", inner)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        if any(isinstance(item, Mapping) for item in value):
            for index, item in enumerate(value):
                _spread(raw, f"{name}.{index}", item)
        else:
            raw[name] = [_text(item) for item in value]
    else:
        raw[name] = [] if value is None or value is False else [_text(value)]


def _text(value: Any) -> str:
    if value is True:
        return "true"
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, float):
        return f"{value:.10g}"
    return str(value)


def _gather(model: type[BaseModel], raw: Raw) -> tuple[dict[str, Any], dict[str, list[int]]]:
    """Blank means None; lists take all values; `rows.0.name` becomes a list of mappings, gaps closed.

    The second value says which row number each element of such a list had, so that errors find their field again.
    """
    data: dict[str, Any] = {}
    rows: dict[str, list[int]] = {}
    for name, info in model.model_fields.items():
        key = info.alias or name
        grouped = _rows_of(raw, key)
        if grouped:
            rows[key] = sorted(grouped)
            data[key] = [grouped[index] for index in rows[key]]
        elif _takes_many(info.annotation):
            data[key] = [value for value in raw.get(key, []) if value.strip()]
        elif key in raw:
            data[key] = _blank_is_none(raw[key])
    return data, rows


def _rows_of(raw: Raw, name: str) -> dict[int, dict[str, Any]]:
    grouped: dict[int, dict[str, Any]] = {}
    for key, values in raw.items():
        match = re.fullmatch(rf"{re.escape(name)}\.(\d{{1,4}})\.([^.]+)", key)
        if match:
            grouped.setdefault(int(match[1]), {})[match[2]] = _blank_is_none(values)
    return grouped


def _blank_is_none(values: list[str]) -> str | None:
    return values[0] if values and values[0].strip() else None


def _takes_many(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin in {Union, UnionType}:
        return any(_takes_many(each) for each in get_args(annotation))
    return origin in {list, tuple, set, frozenset} or annotation in {list, tuple, set, frozenset}


def messages_by_path(problem: ValidationError) -> dict[str, str]:
    """What is wrong with a document, in the same words: each under the path to it, with dots."""
    errors: dict[str, str] = {}
    for error in problem.errors(include_url=False):
        own = error.get("ctx", {}).get("error")
        path = (*error["loc"], own.field) if isinstance(own, FieldError) else error["loc"]
        errors.setdefault(".".join(map(str, path)), _IN_A_DOCUMENT.get(error["type"]) or _words(error))
    return errors


def _messages(problem: ValidationError, rows: Mapping[str, list[int]]) -> dict[str, str]:
    errors: dict[str, str] = {}
    for error in problem.errors(include_url=False):
        errors.setdefault(_name_of(error, rows), _words(error))
    return errors


def _name_of(error: ErrorDetails, rows: Mapping[str, list[int]]) -> str:
    own = error.get("ctx", {}).get("error")
    # A rule over several fields of one row says only the field: where the row stands is in the location.
    location = (*error["loc"], own.field) if isinstance(own, FieldError) else error["loc"]
    if not location:
        return ""
    name = str(location[0])
    if name in rows and len(location) > 2 and isinstance(location[1], int):
        return f"{name}.{rows[name][location[1]]}.{location[2]}"
    return name


# pydantic's types of error, in the words of a person who fills in a form.
_WORDS = {
    "missing": "This is needed.",
    "string_too_short": "Use at least {min_length} characters.",
    "string_too_long": "Use at most {max_length} characters.",
    "string_pattern_mismatch": "This is not written the way it has to be.",
    "int_parsing": "Enter a whole number.",
    "int_parsing_size": "This number is too large.",
    "int_from_float": "Enter a whole number.",
    "int_type": "Enter a whole number.",
    "float_parsing": "Enter a number.",
    "float_type": "Enter a number.",
    "decimal_parsing": "Enter a number.",
    "decimal_type": "Enter a number.",
    "decimal_max_places": "Use at most {decimal_places} decimal places.",
    "decimal_max_digits": "This number has too many digits.",
    "decimal_whole_digits": "This number is too large.",
    "finite_number": "Enter an ordinary number.",
    "greater_than": "Enter a number above {gt}.",
    "greater_than_equal": "Enter {ge} or more.",
    "less_than": "Enter a number below {lt}.",
    "less_than_equal": "Enter {le} or less.",
    "multiple_of": "Use steps of {multiple_of}.",
    "bool_parsing": "Choose yes or no.",
    "bool_type": "Choose yes or no.",
    "enum": "Choose one of {expected}.",
    "literal_error": "Choose one of {expected}.",
    "datetime_parsing": "Enter a date and a time, such as 2026-12-01T09:00Z.",
    "datetime_from_date_parsing": "Enter a date and a time, such as 2026-12-01T09:00Z.",
    "datetime_type": "Enter a date and a time, such as 2026-12-01T09:00Z.",
    "datetime_object_invalid": "There is no such date.",
    "timezone_aware": "Say which time zone is meant: end it with Z for UTC.",
    "date_parsing": "Enter a date, such as 2026-12-01.",
    "date_from_datetime_parsing": "Enter a date, such as 2026-12-01.",
    "json_invalid": "This is not valid JSON.",
    "too_short": "Choose at least {min_length}.",
    "too_long": "Choose at most {max_length}.",
    "uuid_parsing": "Choose one of the list.",
    "extra_forbidden": "This form has no such field.",
}

# Of a document there is more to say than of a form: it has types, and names that nobody drew.
_IN_A_DOCUMENT = {
    "extra_forbidden": "There is no such field.",
    "string_type": "This has to be text.",
    "int_type": "This has to be a whole number.",
    "bool_type": "This has to be true or false.",
}


def _words(error: ErrorDetails) -> str:
    own = error.get("ctx", {}).get("error")
    if isinstance(own, ValueError):
        return str(own)
    if error["input"] is None:
        return _WORDS["missing"]
    bounds = {name: _text(bound) for name, bound in error.get("ctx", {}).items()}
    return _WORDS.get(error["type"], "This value cannot be used.").format(**bounds)
