"""What an interaction's parameters are: as declared, and where the declaration ends as the samples show them."""

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any, Final

from controlplane.prompts.contract.kinds import (
    ANY,
    NOTHING,
    Absence,
    Kind,
    Reason,
    Value,
    absent,
    join,
    listed,
    obj,
    one,
)
from controlplane.runtime.entries import Field, Parameter
from controlplane.runtime.parameters import Declared, type_problem

_PLAIN: Final = {
    "string": Kind.TEXT,
    "text": Kind.TEXT,
    "number": Kind.NUMBER,
    "boolean": Kind.BOOLEAN,
}
# One of each: joining a value with itself takes no time, and samples hold thousands.
_LEARNT_BOOLEAN: Final = one(Kind.BOOLEAN, is_learnt=True)
_LEARNT_TEXT: Final = one(Kind.TEXT, is_learnt=True)
_LEARNT_NUMBER: Final = one(Kind.NUMBER, is_learnt=True)
_LEARNT_NOTHING: Final = absent(Kind.NONE, Absence(Reason.SOMETIMES, "", is_sure=False))


def values_of(declared: Sequence[Parameter], samples: Sequence[Mapping[str, Any]]) -> dict[str, Value]:
    """Return each parameter's value as a template has to expect it."""
    return {parameter.name: _parameter(parameter, samples) for parameter in declared}


def _parameter(parameter: Parameter, samples: Sequence[Mapping[str, Any]]) -> Value:
    given = [sample[parameter.name] for sample in samples if sample.get(parameter.name) is not None]
    if parameter.example is not None:
        given.append(parameter.example)
    found = _value(parameter, [value for value in given if not type_problem(parameter.type, value)])
    if parameter.required:
        return found
    nothing = absent(Kind.NONE, Absence(Reason.OPTIONAL, parameter.name))
    return Value({**found.shapes, **nothing.shapes})


def _value(declared: Declared, given: Sequence[Any]) -> Value:
    if declared.type in _PLAIN:
        return one(_PLAIN[declared.type])
    if declared.type == "list":
        members = [member for value in given if isinstance(value, list | tuple) for member in value]
        item = _value(declared.items, members) if declared.items else _learnt(members)
        return listed(item, is_learnt=False, is_filled=bool(members))
    if declared.type == "object":
        objects = [value for value in given if isinstance(value, Mapping)]
        return _declared_object(declared.fields, objects) if declared.fields else _learnt_object(objects)
    return ANY


def _declared_object(fields: Sequence[Field], objects: Sequence[Mapping[str, Any]]) -> Value:
    found = {}
    for declared in fields:
        value = _value(declared, [each[declared.name] for each in objects if declared.name in each])
        if declared.optional:
            missing = absent(Kind.MISSING, Absence(Reason.OPTIONAL, declared.name))
            nothing = absent(Kind.NONE, Absence(Reason.OPTIONAL, declared.name))
            value = Value({**value.shapes, **nothing.shapes, **missing.shapes}) if not value.is_any else ANY
        found[declared.name] = value
    return obj(found, is_declared=True)


def _learnt(values: Sequence[Any]) -> Value:
    """Return what all these values are; anything, where there are none."""
    found = reduce(join, map(_learnt_one, values), NOTHING)
    return ANY if found.is_nothing or found.kinds == {Kind.NONE} else found


def _learnt_one(value: Any) -> Value:
    if value is None:
        return _LEARNT_NOTHING
    if isinstance(value, bool):
        return _LEARNT_BOOLEAN
    if isinstance(value, str):
        return _LEARNT_TEXT
    if isinstance(value, int | float):
        return _LEARNT_NUMBER
    if isinstance(value, list | tuple):
        return listed(_learnt(value), is_learnt=True, is_filled=bool(value))
    return _learnt_object([value]) if isinstance(value, Mapping) else ANY


def _learnt_object(objects: Sequence[Mapping[str, Any]]) -> Value:
    """Return an object with the fields that such objects have; one that some lack may be missing."""
    if not objects:
        return obj(None)
    names = dict.fromkeys(name for each in objects for name in each)
    found = {}
    for name in names:
        value = _learnt([each[name] for each in objects if name in each])
        lacking = any(name not in each for each in objects)
        missing = absent(Kind.MISSING, Absence(Reason.SOMETIMES, name, is_sure=False))
        found[name] = Value({**value.shapes, **missing.shapes}) if lacking and not value.is_any else value
    return obj(found, is_learnt=True)
