"""The values of a call: checked against the interaction's declaration and copied as plain data.

Plain data has no methods of its own and nobody else holds a reference to it: what a prompt sees cannot change while it is
rendered, and leads nowhere.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from controlplane.runtime.entries import Field, Items, Parameter
from controlplane.runtime.errors import ParameterError
from controlplane.runtime.untrusted import defused

MAX_VALUE_BYTES: Final = 32 * 1024
MAX_TOTAL_BYTES: Final = 256 * 1024
_MAX_DEPTH: Final = 20
_LARGEST: Final = 2**63

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "text": (str,),
    "number": (int, float),
    "boolean": (bool,),
    "list": (list, tuple),
    "object": (Mapping,),
}
# What nearly every value is: a look into a set takes a tenth of the time of asking whether it is a Mapping.
_PLAIN: Final[dict[str, frozenset[type]]] = {
    kind: frozenset(types) - {Mapping} | ({dict} if Mapping in types else set())
    for kind, types in _TYPES.items()
}
Declared = Parameter | Field | Items
_NOUNS: Final = {"string": "text", "text": "text", "number": "a number", "boolean": "true or false", "list": "a list", "object": "an object"}  # fmt: skip


def copy_values(given: Mapping[str, object], declared: Sequence[Parameter]) -> dict[str, Any]:
    """Return the declared values, those that are optional and not given as None; raises `ParameterError`."""
    values: dict[str, Any] = {}
    total = 0
    for parameter in declared:
        name = parameter.name
        value = given.get(name)
        if value is None:
            if parameter.required:
                raise ParameterError(name, f"the parameter {name} is required and was not given")
            values[name] = None
            continue
        values[name], left = _checked(parameter, value)
        total += MAX_VALUE_BYTES - left
    if total > MAX_TOTAL_BYTES:
        raise ParameterError("", f"the values have {total:,} bytes together, more than {MAX_TOTAL_BYTES:,}")
    return values


def type_problem(kind: str, value: object) -> str | None:
    """Say what is wrong with a value of a declared type, or None."""
    expected = _TYPES.get(kind)
    if expected is None:
        return f"its type {kind} is not known"
    if isinstance(value, expected) and (kind == "boolean" or not isinstance(value, bool)):
        return None
    return f"{_NOUNS[kind]} is needed, not {_noun(value)}"


def only_required(declared: Sequence[Parameter]) -> dict[str, Any]:
    """Return the least that a call may give: the examples, without whatever is optional, outside and inside."""
    required = (each for each in declared if each.required and each.example is not None)
    return {each.name: _without_optional(each, each.example) for each in required}


def _without_optional(declared: Declared, value: Any) -> Any:
    if isinstance(value, Mapping) and declared.fields:
        known = {each.name: each for each in declared.fields}
        return {
            name: _without_optional(known[name], inner) if name in known else inner
            for name, inner in value.items()
            if name not in known or not known[name].optional
        }
    if isinstance(value, list | tuple) and declared.items is not None:
        return [_without_optional(declared.items, member) for member in value]
    return value


def misfits(declared: Declared, value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield where a value is not what is declared, and in which way; what is not declared may be anything.

    For whoever writes templates and declarations: a call is not refused for what lies inside an object (`copy_values` does
    not ask). A prompt that does without the field works, and one that needs it fails by itself and says where.
    """
    problem = type_problem(declared.type, value)
    if problem:
        yield path, problem
    elif isinstance(value, Mapping):
        yield from _field_misfits(declared.fields, value, path)
    elif isinstance(value, list | tuple) and declared.items is not None:
        for number, member in enumerate(value, start=1):
            yield from misfits(declared.items, member, f"{path} item {number}".strip())


def _field_misfits(fields: Sequence[Field], value: Mapping[Any, Any], path: str) -> Iterator[tuple[str, str]]:
    for declared in fields:
        found = value.get(declared.name)
        where = f"{path} field {declared.name}".strip()
        if found is not None:
            yield from misfits(declared, found, where)
        elif not declared.optional:
            yield where, "it is missing, and not declared as optional"


def _noun(value: object) -> str:
    for kind in ("boolean", "text", "number", "list", "object"):
        if isinstance(value, _TYPES[kind]):
            return _NOUNS[kind]
    return type(value).__name__


def _checked(parameter: Parameter, value: object) -> tuple[Any, int]:
    """Return a copy of one value and how many bytes it leaves of those it may have."""
    name, kind = parameter.name, type(value)
    if kind not in _PLAIN.get(parameter.type, ()):
        problem = type_problem(parameter.type, value)
        if problem:
            raise ParameterError(name, f"the parameter {name} does not fit: {problem}")
    try:
        copied, left = (_COPIERS.get(kind) or _copier_of(kind))(value, _MAX_DEPTH, MAX_VALUE_BYTES)
        if parameter.untrusted and left >= 0:
            # Counted once more: a mark that was made a word can be a letter longer.
            cleaned = defused(copied)
            copied, left = _COPIERS[type(cleaned)](cleaned, _MAX_DEPTH, MAX_VALUE_BYTES)
        if left < 0:
            raise _too_large()
    except ValueError as error:
        raise ParameterError(name, f"the parameter {name} cannot be used: {error}") from None
    return copied, left


# Each copier takes a value, how deep it may still be nested and how many bytes are left, and returns the copy and what is
# left then. It stops inside a list or an object that is too large, so that nothing is copied that will be refused. Text,
# which is most of what comes, is copied on the spot: a call for each would cost more than the copy.


def _copy_list(value: Iterable[Any], depth: int, left: int) -> tuple[list[Any], int]:
    if depth == 0:
        raise ValueError("it is nested too deeply")
    left -= 2
    copied: list[Any] = []
    for item in value:
        kind = type(item)
        if kind is str:
            left -= (len(item) if item.isascii() else _size(item)) + 1
            copied.append(item)
        else:
            plain, left = (_COPIERS.get(kind) or _copier_of(kind))(item, depth - 1, left)
            copied.append(plain)
        if left < 0:
            raise _too_large()
    return copied, left


def _copy_object(value: Mapping[Any, Any], depth: int, left: int) -> tuple[dict[str, Any], int]:
    if depth == 0:
        raise ValueError("it is nested too deeply")
    left -= 2
    copied: dict[str, Any] = {}
    for name, item in value.items():
        key = name if type(name) is str else _plain_name(name)
        left -= (len(key) if key.isascii() else _size(key)) + 1
        kind = type(item)
        if kind is str:
            left -= (len(item) if item.isascii() else _size(item)) + 1
            copied[key] = item
        else:
            copied[key], left = (_COPIERS.get(kind) or _copier_of(kind))(item, depth - 1, left)
        if left < 0:
            raise _too_large()
    return copied, left


def _too_large() -> ValueError:
    return ValueError(f"it has more than {MAX_VALUE_BYTES:,} bytes")


def _plain_name(name: object) -> str:
    if not isinstance(name, str):
        raise ValueError(f"a field's name is text, not {name!r}")
    return str.__str__(name)


def _copy_text(value: str, _depth: int, left: int) -> tuple[str, int]:
    # A subclass (Markup, for one) brings methods of its own; str() of it may be overridden, this is not.
    plain = value if type(value) is str else str.__str__(value)
    return plain, left - _size(plain) - 1


def _size(value: str) -> int:
    try:
        return len(value) if value.isascii() else len(value.encode())
    except UnicodeEncodeError:
        raise ValueError("it holds a broken character (half of a surrogate pair)") from None


def _copy_whole(value: int, _depth: int, left: int) -> tuple[int, int]:
    plain = int.__int__(value)
    if not -_LARGEST < plain < _LARGEST:
        raise ValueError("a whole number has more than 64 bits")
    return plain, left - 8


def _copy_decimal(value: float, _depth: int, left: int) -> tuple[float, int]:
    plain = float.__float__(value)
    if not math.isfinite(plain):
        raise ValueError("a number is not finite")
    return plain, left - 8


def _copy_constant(value: object, _depth: int, left: int) -> tuple[object, int]:
    return value, left - 4


_Copier = Callable[[Any, int, int], tuple[Any, int]]
_COPIERS: Final[dict[type, _Copier]] = {
    str: _copy_text,
    bool: _copy_constant,
    type(None): _copy_constant,
    int: _copy_whole,
    float: _copy_decimal,
    dict: _copy_object,
    Mapping: _copy_object,
    list: _copy_list,
    tuple: _copy_list,
}


def _copier_of(kind: type) -> _Copier:
    """Return what copies values of a subclass, as the plain data that they are underneath."""
    for base, copier in _COPIERS.items():
        if issubclass(kind, base):
            return copier
    raise ValueError(f"{kind.__name__} is not plain data")
