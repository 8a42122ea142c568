"""The preview's parameter form: from a declaration to fields, from what was typed to values. Pure.

A list of plain texts is typed one item a line; a list of anything else, and an object, as JSON. A blank field means that
the parameter is not given, which is how an application leaves out an optional one.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from controlplane.runtime import canonical
from controlplane.runtime.entries import Parameter

PREFIX: Final = "value-"
YES: Final = "yes"
NO: Final = "no"


@dataclass(frozen=True)
class ValueField:
    """One parameter in the form. `kind` is how it is typed: string, text, number, boolean, lines or json."""

    parameter: Parameter
    kind: str

    @property
    def name(self) -> str:
        """The name of the form field; the prefix keeps parameters clear of the form's own fields."""
        return PREFIX + self.parameter.name

    @property
    def hint(self) -> str:
        """What the parameter is, and how to type it."""
        how = {"lines": "One item per line.", "json": f"JSON, {self._shape()}.", "number": "A number."}.get(
            self.kind
        )
        return " ".join(filter(None, (self._described(), how)))

    @property
    def choices(self) -> list[tuple[str, str]]:
        """For a boolean: what may be chosen."""
        yes_or_no = [(YES, "Yes"), (NO, "No")]
        return yes_or_no if self.parameter.required else [("", "Not given"), *yes_or_no]

    @property
    def rows(self) -> int:
        """The height of its text area, from the example."""
        example = write(self.parameter, self.parameter.example)
        return min(8, max(2, example.count("\n") + 1))

    def _described(self) -> str:
        text = self.parameter.description.strip()
        return text if not text or text.endswith((".", "!", "?")) else f"{text}."

    def _shape(self) -> str:
        return "a list in [ ]" if self.parameter.type == "list" else "an object in { }"


@dataclass(frozen=True)
class Values:
    """What was typed, understood: values by parameter, and what could not be understood, by form field."""

    given: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


def fields(declared: Sequence[Parameter]) -> list[ValueField]:
    """Return the form's fields in the order of the declaration."""
    return [ValueField(parameter, _kind(parameter)) for parameter in declared]


def examples(declared: Sequence[Parameter]) -> dict[str, str]:
    """Return what each form field holds at first: the declaration's examples, as one would type them."""
    return {item.name: write(item.parameter, item.parameter.example) for item in fields(declared)}


def write(parameter: Parameter, value: object) -> str:
    """Return the value as one would type it."""
    if value is None:
        return ""
    kind = _kind(parameter)
    if kind == "lines":
        return "\n".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    if kind == "boolean":
        return YES if value else NO
    if kind == "json" or not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False, indent=2)
    return value


def read(declared: Sequence[Parameter], typed: Mapping[str, str]) -> Values:
    """Understand what was typed, as far as it can be understood; blank fields give no value."""
    found = Values()
    for item in fields(declared):
        text = typed.get(item.name, "").replace("\r\n", "\n")
        if not text.strip():
            continue
        try:
            found.given[item.parameter.name] = _READERS[item.kind](item.parameter, text)
        except ValueError as error:
            found.errors[item.name] = str(error)
    return found


def _kind(parameter: Parameter) -> str:
    if parameter.type == "list":
        example = parameter.example
        plain = not isinstance(example, list | tuple) or all(_one_line(part) for part in example)
        return "lines" if plain else "json"
    return "json" if parameter.type == "object" else parameter.type


def _one_line(item: object) -> bool:
    return isinstance(item, str) and "\n" not in item and bool(item.strip())


def _read_text(_: Parameter, text: str) -> str:
    return text


def _read_number(_: Parameter, text: str) -> int | float:
    try:
        # Not float(): it also takes "nan", "1_000" and digits of other scripts, which JSON has not.
        number = canonical.loads(text.strip())
    except ValueError:
        number = None
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise ValueError("Enter a number, such as 72 or 0.5.")
    return number


def _read_boolean(_: Parameter, text: str) -> bool:
    if text not in {YES, NO}:
        raise ValueError("Choose yes or no.")
    return text == YES


def _read_lines(_: Parameter, text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.strip()]


def _read_json(parameter: Parameter, text: str) -> Any:
    try:
        value = canonical.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"This is not JSON: line {error.lineno}, column {error.colno}: {error.msg}."
        ) from None
    except ValueError as error:
        raise ValueError(f"This JSON cannot be used: {error}.") from None
    wanted, words = (list, "a list, in [ ]") if parameter.type == "list" else (dict, "an object, in { }")
    if not isinstance(value, wanted):
        raise ValueError(f"This must be {words}.")
    return value


_READERS: Final = {
    "string": _read_text,
    "text": _read_text,
    "number": _read_number,
    "boolean": _read_boolean,
    "lines": _read_lines,
    "json": _read_json,
}
