"""The values of a call: checked against the interaction's declaration and copied as plain data.

Plain data has no methods of its own and nobody else holds a reference to it: what a prompt sees cannot change while it is
rendered, and leads nowhere.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from controlplane.runtime.entries import Parameter
from controlplane.runtime.errors import ParameterError

MAX_VALUE_BYTES: Final = 32 * 1024
MAX_TOTAL_BYTES: Final = 256 * 1024
_MAX_DEPTH: Final = 20

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "text": (str,),
    "number": (int, float),
    "boolean": (bool,),
    "list": (list, tuple),
    "object": (Mapping,),
}
_NOUNS: Final = {"string": "text", "text": "text", "number": "a number", "boolean": "true or false", "list": "a list", "object": "an object"}  # fmt: skip


def copy_values(given: Mapping[str, object], declared: Sequence[Parameter]) -> dict[str, Any]:
    """Return the declared values, those that are optional and not given as None; raises `ParameterError`."""
    values: dict[str, Any] = {}
    total = 0
    for parameter in declared:
        value = given.get(parameter.name)
        if value is None:
            if parameter.required:
                raise ParameterError(
                    parameter.name, f"the parameter {parameter.name} is required and was not given"
                )
            values[parameter.name] = None
            continue
        values[parameter.name], size = _checked(parameter, value)
        total += size
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


def _checked(parameter: Parameter, value: object) -> tuple[Any, int]:
    name = parameter.name
    problem = type_problem(parameter.type, value)
    if problem:
        raise ParameterError(name, f"the parameter {name} does not fit: {problem}")
    copier = _Copier()
    try:
        copied = copier.copy(value, _MAX_DEPTH)
    except ValueError as error:
        raise ParameterError(name, f"the parameter {name} cannot be used: {error}") from None
    return copied, copier.size


class _Copier:
    """Copies one value and counts its bytes while it does, so that what is too large is not copied to its end."""

    __slots__ = ("size",)

    def __init__(self) -> None:
        self.size = 0

    def copy(self, value: object, depth: int) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if value is None or isinstance(value, bool):
            return self._counted(value, 4)
        if isinstance(value, int | float):
            return self._number(value)
        if depth == 0:
            raise ValueError("it is nested too deeply")
        if isinstance(value, Mapping):
            self._counted(None, 2)
            return {self._key(key): self.copy(item, depth - 1) for key, item in value.items()}
        if isinstance(value, list | tuple):
            self._counted(None, 2)
            return [self.copy(item, depth - 1) for item in value]
        raise ValueError(f"{type(value).__name__} is not plain data")

    def _text(self, value: str) -> str:
        try:
            size = len(value) if value.isascii() else len(value.encode())
        except UnicodeEncodeError:
            raise ValueError("it holds a broken character (half of a surrogate pair)") from None
        # A subclass (Markup, for one) brings methods of its own; str() of it may be overridden, this is not.
        plain: str = self._counted(value if type(value) is str else str.__str__(value), size + 1)
        return plain

    def _number(self, value: float) -> float:
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError("a number is not finite")
        if isinstance(value, int) and abs(value) >= 2**63:
            raise ValueError("a whole number has more than 64 bits")
        plain: float = self._counted(float(value) if isinstance(value, float) else int(value), 8)
        return plain

    def _key(self, key: object) -> str:
        if not isinstance(key, str):
            raise ValueError(f"a field's name is text, not {key!r}")
        return self._text(key)

    def _counted(self, value: Any, size: int) -> Any:
        self.size += size
        if self.size > MAX_VALUE_BYTES:
            raise ValueError(f"it has more than {MAX_VALUE_BYTES:,} bytes")
        return value


def _noun(value: object) -> str:
    for kind in ("boolean", "text", "number", "list", "object"):
        if isinstance(value, _TYPES[kind]):
            return _NOUNS[kind]
    return type(value).__name__
