"""The form of an interaction's values: from a declaration to fields, from what was typed to values, and back. Pure.

A list of plain texts is typed one item a line; a list of anything else, and an object, as JSON. A blank field means that
the parameter is not given, which is how an application leaves out an optional one; a tick beside it says that it is given,
and empty. All values may be typed as one JSON object instead: so they come out of a log, and so stand those that no
field can hold, such as a line break inside an item of a list.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from controlplane.runtime import canonical
from controlplane.runtime.entries import Parameter
from controlplane.runtime.parameters import type_problem
from controlplane.samples.fitting import undeclared

# What the names of the form's fields begin with. Parameters are written small, so that what is not is never one.
PREFIX: Final = "value-"
AS: Final = PREFIX + "AS"
JSON: Final = PREFIX + "JSON"
EMPTY: Final = PREFIX + "EMPTY-"
AS_JSON: Final = "json"
AS_FORM: Final = "form"
TICKED: Final = "true"
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
    def empty_name(self) -> str | None:
        """The name of the tick that says "given, and empty"; None where one can type that."""
        return EMPTY + self.parameter.name if self.kind in _EMPTIES else None

    @property
    def empty_words(self) -> str:
        """What that tick says."""
        return "Give it, as an empty list" if self.kind == "lines" else "Give it, as an empty text"

    @property
    def choices(self) -> list[tuple[str, str]]:
        """For a boolean: what may be chosen."""
        return [("", "Not given"), (YES, "Yes"), (NO, "No")]

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
    """Return what the form holds at first: the declaration's examples."""
    return typed(declared, {item.name: item.example for item in declared})


def typed(declared: Sequence[Parameter], given: Mapping[str, object]) -> dict[str, str]:
    """Return what the form holds for these values, as JSON where its fields would lose something of them."""
    kept = {name: value for name, value in given.items() if value is not None}
    form = _as_form(declared, kept)
    back = read(declared, form)
    is_kept = not back.errors and as_json(back.given, sort=True) == as_json(kept, sort=True)
    # Browsers make one kind of line end of all, and cannot send a NUL.
    is_sent = not any("\r" in text or "\x00" in text for text in form.values())
    return form if is_kept and is_sent else typed_as_json(kept)


def typed_as_json(given: Mapping[str, object]) -> dict[str, str]:
    """Return what the form holds for these values when they are typed as JSON."""
    return {AS: AS_JSON, JSON: as_json(given, indent=2)}


def switched(
    declared: Sequence[Parameter], sent: Mapping[str, str], *, to: str
) -> tuple[dict[str, str], dict[str, str]]:
    """Turn what was typed in fields into JSON or back; with what stands against it, when it has to stay as it is."""
    found = read(declared, sent)
    if found.errors:
        return of_form(sent), found.errors
    if to == AS_JSON:
        return typed_as_json(found.given), {}
    form = typed(declared, found.given)
    if form.get(AS) == AS_JSON:
        return of_form(sent), {
            JSON: "One of these values cannot be typed into a field without being changed, so they stay JSON."
        }
    return form, {}


def of_form(sent: Mapping[str, str]) -> dict[str, str]:
    """Return the values' part of what a form sent."""
    return {name: text for name, text in sent.items() if name.startswith(PREFIX)}


def as_json(value: object, *, indent: int | None = None, sort: bool = False) -> str:
    """Return plain data as JSON a person can read; numbers and the order of fields stay as they are."""
    return json.dumps(value, ensure_ascii=False, indent=indent, sort_keys=sort)


def _as_form(declared: Sequence[Parameter], given: Mapping[str, object]) -> dict[str, str]:
    form = {}
    for item in fields(declared):
        value = given.get(item.parameter.name)
        form[item.name] = write(item.parameter, value)
        if item.empty_name and value is not None and not form[item.name]:
            form[item.empty_name] = TICKED
    return form


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
        return as_json(value, indent=2)
    return value


def read(declared: Sequence[Parameter], typed: Mapping[str, str]) -> Values:
    """Understand what was typed, as far as it can be understood; blank fields give no value."""
    if typed.get(AS) == AS_JSON:
        return _read_all(declared, typed.get(JSON, ""))
    found = Values()
    for item in fields(declared):
        text = typed.get(item.name, "").replace("\r\n", "\n")
        if not text.strip():
            if item.empty_name and typed.get(item.empty_name):
                found.given[item.parameter.name] = _EMPTIES[item.kind]()
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


def _read_all(declared: Sequence[Parameter], text: str) -> Values:
    """Understand one JSON object with all values in it; each is told of by itself."""
    if not text.strip():
        return Values()
    try:
        everything = _from_json(text)
        if not isinstance(everything, dict):
            raise ValueError("This must be an object, in { }, with a value for each parameter.")
    except ValueError as error:
        return Values(errors={JSON: str(error)})
    given = {name: value for name, value in everything.items() if value is not None}
    wrong = undeclared(declared, given)
    for parameter in declared:
        problem = type_problem(parameter.type, given[parameter.name]) if parameter.name in given else None
        if problem:
            wrong[parameter.name] = f"{problem[:1].upper()}{problem[1:]}."
    return Values(
        {name: value for name, value in given.items() if name not in wrong},
        {PREFIX + name: words for name, words in wrong.items()},
    )


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


def _from_json(text: str) -> Any:
    try:
        return canonical.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"This is not JSON: line {error.lineno}, column {error.colno}: {error.msg}."
        ) from None
    except ValueError as error:
        raise ValueError(f"This JSON cannot be used: {error}.") from None


def _read_json(parameter: Parameter, text: str) -> Any:
    value = _from_json(text)
    wanted, words = (list, "a list, in [ ]") if parameter.type == "list" else (dict, "an object, in { }")
    if not isinstance(value, wanted):
        raise ValueError(f"This must be {words}.")
    return value


_EMPTIES: Final[dict[str, Callable[[], Any]]] = {"string": str, "text": str, "lines": list}
_READERS: Final = {
    "string": _read_text,
    "text": _read_text,
    "number": _read_number,
    "boolean": _read_boolean,
    "lines": _read_lines,
    "json": _read_json,
}
