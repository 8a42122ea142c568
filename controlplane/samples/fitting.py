"""Whether values fit what an interaction declares, by the runtime's own checks. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from controlplane.runtime.entries import Parameter
from controlplane.runtime.errors import ParameterError
from controlplane.runtime.parameters import copy_values
from controlplane.runtime.words import suggestion


def misfits(declared: Sequence[Parameter], values: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong, by parameter; "" for the whole. Nothing is when a call with these values would be taken."""
    found: dict[str, str] = {}
    for parameter in declared:
        try:
            copy_values(values, [parameter])
        except ParameterError as error:
            found[parameter.name] = _sentence(error, parameter)
    if not found:
        try:
            copy_values(values, declared)
        except ParameterError as error:
            found[error.name] = f"{error.message[:1].upper()}{error.message[1:]}."
    return found


def undeclared(declared: Sequence[Parameter], values: Mapping[str, Any]) -> dict[str, str]:
    """Return what names no parameter, each with words about it. A call passes over such values; in a sample they are slips."""
    known = [parameter.name for parameter in declared]
    return {name: _unknown(name, known) for name in values if name not in known}


def all_examples(declared: Sequence[Parameter]) -> dict[str, Any]:
    """Return every declared example."""
    return {parameter.name: parameter.example for parameter in declared if parameter.example is not None}


def _unknown(name: str, known: Sequence[str]) -> str:
    near = suggestion(name, known)
    return f"The interaction declares no {name}{f': did you mean {near}?' if near else '.'}"


def _sentence(error: ParameterError, parameter: Parameter) -> str:
    if "was not given" in error.message:
        return "A call has to give this: it is required."
    # The runtime names the parameter, beside whose field this stands.
    told = error.message.removeprefix(f"the parameter {parameter.name} ")
    return f"{told[:1].upper()}{told[1:]}."
