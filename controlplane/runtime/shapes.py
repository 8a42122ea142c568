"""Every type error of a document at once. The decoder stops at the first, and a form wants one beside each field."""

from collections.abc import Iterator
from typing import Any, get_args, get_origin

import msgspec

from controlplane.runtime.entries import split_error


def type_problems(kind: type[msgspec.Struct], value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield (field path, message) for each field of a document that is missing or of the wrong type."""
    if not isinstance(value, dict):
        yield path, "an object is needed"
        return
    for field in msgspec.structs.fields(kind):
        where = f"{path}.{field.name}" if path else field.name
        if field.name in value:
            yield from _field_problems(field.type, value[field.name], where)
        elif field.required:
            yield where, "is missing"


def _field_problems(kind: Any, value: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield from type_problems(kind, value, path)
        return
    member = _member(kind)
    if member is not None and isinstance(value, list | tuple):
        for place, item in enumerate(value):
            yield from type_problems(member, item, f"{path}[{place}]")
        return
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        inner, message = split_error(error)
        joint = "" if not inner or inner.startswith("[") else "."
        yield f"{path}{joint}{inner}", in_words(message)


def in_words(message: str) -> str:
    """Return a decoder's message without its code: "Expected `int | null`, got `str`" is not for people."""
    if "timezone" in message:
        return "the moment needs a time zone, as in 2026-01-31T09:00:00Z"
    if "Invalid RFC3339" in message:
        return "this is not a moment, as in 2026-01-31T09:00:00Z"
    expected, _, got = message.removeprefix("Expected ").partition(", got ")
    return f"{_NOUNS.get(expected.strip('`').removesuffix(' | null'), expected)} is needed, not {_noun(got)}"


_NOUNS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "datetime": "a moment",
    "null": "nothing",
}


def _noun(name: str) -> str:
    return _NOUNS.get(name.strip("`"), name.strip("`"))


def _member(kind: Any) -> type[msgspec.Struct] | None:
    if get_origin(kind) is not tuple:
        return None
    first = get_args(kind)[0]
    return first if isinstance(first, type) and issubclass(first, msgspec.Struct) else None
