"""What a prompt may do to a value: the whole list, each bounded in what it can make.

Jinja's own filters turn whatever they get into text with `str`, and `str` of ten lists nested in each other ten times is
ten thousand million characters. So the filters here are ours, and everything becomes text through `text`.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from itertools import islice
from typing import Any, Final

import jinja2.filters
import jinja2.tests
from jinja2 import Environment, Undefined, pass_context, pass_environment
from jinja2.runtime import Context

MAX_TEXT: Final = 256 * 1024
MAX_ITEMS: Final = 100_000
MAX_TURNS: Final = 100_000
# A character looked at is one, a member of a list sixteen, an element of a loop's body eight in every turn: together
# some tenths of a second for an ordinary processor.
MAX_WORK: Final = 8_000_000
_MEMBER: Final = 16
_ELEMENT: Final = 8
SMALL: Final = 64
_LARGEST: Final = 2**63
# JSON writes a newline as two signs anyway; these three end a line to some readers as well.
_LINE_ENDS: Final = {"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}


class Refusal(Exception):  # noqa: N818 - never leaves the renderer, which words it as a TemplateRenderError
    """A value cannot be used in this way; the text says why, for the prompt's author."""


class Allowance:
    """What is left of the turns and the work that one render may take."""

    __slots__ = ("turns", "work")

    def __init__(self) -> None:
        self.turns = MAX_TURNS
        self.work = MAX_WORK


ALLOWANCE: Final[ContextVar[Allowance]] = ContextVar("allowance")


def charge(work: int) -> None:
    """Count work; what is small beside the cost of the call itself is let go."""
    if work < SMALL:
        return
    left = ALLOWANCE.get()
    left.work -= work
    if left.work < 0:
        raise Refusal(
            "this prompt takes more work than a prompt may: it goes through long texts or lists too often"
        )


def charge_turns(turns: int, body: int) -> None:
    """Count the turns of a loop, and for each the elements of its body."""
    left = ALLOWANCE.get()
    left.turns -= turns
    if left.turns < 0:
        raise Refusal(f"the loops of this prompt take more than {MAX_TURNS:,} turns")
    charge(turns * body * _ELEMENT)


def weight(value: object) -> None:
    """Charge for a list or an object with all that is in it, as often as it is in it."""
    total = 0
    waiting = [value]
    while waiting:
        item = waiting.pop()
        total += len(item) if isinstance(item, str) else _MEMBER
        if total > MAX_WORK // 8:
            raise Refusal("a list holds too much: lists inside lists multiply")
        if isinstance(item, list | tuple):
            waiting.extend(item)
        elif isinstance(item, dict):
            waiting.extend(item.values())
    charge(total)


def text(value: object, what: str = "a value") -> str:
    """Return what a value looks like in a prompt: text as it is, lists and objects as JSON."""
    if isinstance(value, str):
        charge(len(value))
        return value
    if value is None:
        raise Refusal(f"{what} has no value: give it one, put {{% if %}} around it, or add |default(…)")
    if isinstance(value, bool | int | float):
        return str(value)
    if isinstance(value, list | tuple | dict):
        return json_text(value)
    if isinstance(value, Undefined):
        return str(value)  # raises, with the name
    if callable(value):
        raise Refusal(f"{what} is a method: it needs parentheses, as in .items()")
    if isinstance(value, Iterable):
        raise Refusal(f"{what} is a sequence: add |join(', ') or go through it with {{% for %}}")
    raise Refusal(f"{what} cannot be written as text")


def json_text(value: object, indent: int | None = None) -> str:
    """Return JSON, stopping as soon as it grows too long."""
    encoder = json.JSONEncoder(ensure_ascii=False, indent=indent, allow_nan=False, default=_undefined)
    found = bounded(encoder.iterencode(value))
    charge(len(found))
    return found


def bounded(pieces: Iterable[str], separator: str = "") -> str:
    """Join pieces, stopping as soon as they grow too long."""
    found: list[str] = []
    length = -len(separator)
    for piece in pieces:
        length += len(piece) + len(separator)
        if length > MAX_TEXT:
            raise Refusal(f"this makes more than {MAX_TEXT:,} characters")
        found.append(piece)
    return separator.join(found)


def items_of(value: object) -> list[Any]:
    """Return the members of a list, the keys of an object or what another filter left over; never very many."""
    if isinstance(value, list):
        charge(len(value) * _MEMBER)
        return value
    if value is None:
        raise Refusal("there is no list here: put {% if %} around it, or add |default([])")
    if not isinstance(value, Iterable):
        raise Refusal(f"a list is needed here, not {text(value)[:40]!r}")
    found = list(islice(value, MAX_ITEMS + 1))
    if len(found) > MAX_ITEMS:
        raise Refusal(f"more than {MAX_ITEMS:,} members")
    charge(len(found) * _MEMBER)
    return found


def number_of(value: object) -> int | float:
    """Return a number; text is not quietly turned into one."""
    if not isinstance(value, int | float):
        raise Refusal(f"a number is needed here, not {text(value)[:40]!r}")
    return value


def within_bounds(value: object) -> object:
    """Return a number that is of a size people write; anything larger is an attempt to keep the machine busy."""
    if isinstance(value, int) and abs(value) >= _LARGEST:
        raise Refusal("a number grew beyond 64 bits")
    if isinstance(value, float) and not math.isfinite(value):
        raise Refusal("a number grew beyond all bounds")
    return value


def default(value: object, default_value: object = "", boolean: bool = False) -> object:  # noqa: FBT001, FBT002 - Jinja's signature
    """Return the value, or the default when there is none; a missing optional parameter (None) counts as none."""
    if value is None or isinstance(value, Undefined) or (boolean and not value):
        return default_value
    return value


def join(value: object, separator: str = "", attribute: str | int | None = None) -> str:
    """Join the members' texts."""
    members = items_of(value)
    if attribute is not None:
        members = [_field(member, attribute) for member in members]
    return bounded((text(member) for member in members), text(separator))


def replace(value: object, old: str, new: str, count: int = -1) -> str:
    """Replace text by text, unless the result would be too long."""
    subject, old, new = text(value), text(old), text(new)
    if len(subject) + (subject.count(old) * max(0, len(new) - len(old))) > MAX_TEXT:
        raise Refusal(f"this makes more than {MAX_TEXT:,} characters")
    return subject.replace(old, new, -1 if count is None else count)


def truncate(value: object, length: int = 255, killwords: bool = False, end: str = "…") -> str:  # noqa: FBT001, FBT002 - Jinja's signature
    """Shorten text to a length, at the end of a word unless told otherwise."""
    subject = text(value)
    if len(subject) <= length:
        return subject
    cut = subject[: max(0, int(length) - len(end))]
    if not killwords and " " in cut:
        cut = cut.rsplit(" ", 1)[0]
    return cut + end


def rounded(value: object, precision: int = 0, method: str = "common") -> float:
    """Round a number to at most ten places; `method` is common, ceil or floor."""
    if not isinstance(precision, int) or not 0 <= precision <= 10:
        raise Refusal("round takes 0 to 10 places")
    number = float(number_of(value))
    if method == "common":
        return round(number, precision)
    if method not in {"ceil", "floor"}:
        raise Refusal("round knows the methods common, ceil and floor")
    step: Callable[[float], int] = math.ceil if method == "ceil" else math.floor
    return float(step(number * 10**precision) / 10**precision)


def whole(value: object, default_value: int = 0) -> int:
    """Return a whole number, or the default where there is none to be had."""
    try:
        return int(str(within_bounds(int(float(text(value))))))
    except (ValueError, OverflowError):
        return default_value


def decimal(value: object, default_value: float = 0.0) -> float:
    """Return a number with decimals, or the default where there is none to be had."""
    try:
        return float(text(value))
    except ValueError:
        return default_value


def tojson(value: object, indent: int | None = None) -> str:
    """Return JSON for a model to read: unlike Jinja's, `<` and `&` stay as they are."""
    if indent is not None and (not isinstance(indent, int) or not 0 <= indent <= 8):
        raise Refusal("tojson takes an indent of 0 to 8")
    return json_text(value, indent)


def data(value: object) -> str:
    """Return a value as JSON on one line, between two lines that it cannot hold: what a model is to read, not to obey.

    The fence's name comes from a hash of the value and not from chance: the same value gives the same text, so that a
    preview shows what production sends, and a provider's cache of prompts goes on matching.
    """
    if value is None:
        return text(value)  # raises, as everywhere
    found = json_text(value)
    for sign, escaped in _LINE_ENDS.items():
        found = found.replace(sign, escaped)
    found = seed = bounded([found])
    while (name := f"data-{_short_hash(seed)}") in found:
        seed = name + seed
    return f"<{name}>\n{found}\n</{name}>"


def _short_hash(seed: str) -> str:
    return hashlib.blake2b(seed.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def pairs(value: object) -> list[tuple[object, object]]:
    """Return the fields of an object as pairs of name and value."""
    if not isinstance(value, Mapping):
        raise Refusal("items needs an object")
    return list(value.items())


def _sum(value: object, attribute: str | int | None = None, start: int = 0) -> object:
    members = items_of(value)
    if attribute is not None:
        members = [_field(member, attribute) for member in members]
    return within_bounds(sum((number_of(member) for member in members), number_of(start)))


def _length(value: object) -> int:
    return len(value) if isinstance(value, str | list | dict | tuple) else len(items_of(value))


def _reverse(value: object) -> object:
    return value[::-1] if isinstance(value, str) else items_of(value)[::-1]


def _field(member: object, name: str | int) -> object:
    if isinstance(member, Mapping) and name in member:
        return member[name]
    if isinstance(member, list) and isinstance(name, int) and -len(member) <= name < len(member):
        return member[name]
    raise Refusal(f"a member of the list has no field {text(name)!r}")


def _undefined(value: object) -> object:
    # Raises with the name when it is undefined, with words when it is anything else that JSON does not have.
    return text(value)


def _on_text(method: Callable[..., str]) -> Callable[..., str]:
    def filtered(value: object, *args: Any) -> str:
        return method(value if value.__class__ is str and len(value) < SMALL else text(value), *args)

    return filtered


def _of_members(function: Callable[..., Any]) -> Callable[..., list[Any]]:
    """Return Jinja's filter with a list going in and a list coming out: its generators are true even when empty."""

    @pass_context
    def filtered(context: Context, value: object, *args: Any, **kwargs: Any) -> list[Any]:
        return items_of(function(context, items_of(value), *args, **kwargs))

    return filtered


@pass_environment
def _max(environment: Environment, value: object, *args: Any, **kwargs: Any) -> object:
    return jinja2.filters.do_max(environment, items_of(value), *args, **kwargs)


@pass_environment
def _min(environment: Environment, value: object, *args: Any, **kwargs: Any) -> object:
    return jinja2.filters.do_min(environment, items_of(value), *args, **kwargs)


@pass_environment
def _first(environment: Environment, value: object) -> object:
    members = value if isinstance(value, str) else items_of(value)
    return members[0] if members else environment.undefined("the list is empty: there is no first member")


@pass_environment
def _last(environment: Environment, value: object) -> object:
    members = value if isinstance(value, str) else items_of(value)
    return members[-1] if members else environment.undefined("the list is empty: there is no last member")


@pass_environment
def _sort(
    environment: Environment,
    value: object,
    reverse: bool = False,  # noqa: FBT001, FBT002 - Jinja's signature
    case_sensitive: bool = False,  # noqa: FBT001, FBT002 - as above
    attribute: str | int | None = None,
) -> list[Any]:
    return jinja2.filters.do_sort(environment, items_of(value), reverse, case_sensitive, attribute)


@pass_environment
def _unique(
    environment: Environment,
    value: object,
    case_sensitive: bool = False,  # noqa: FBT001, FBT002 - Jinja's signature
    attribute: str | int | None = None,
) -> list[Any]:
    return list(jinja2.filters.do_unique(environment, items_of(value), case_sensitive, attribute))


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "abs": lambda value: abs(number_of(value)),
    "capitalize": _on_text(str.capitalize),
    "count": _length,
    "d": default,
    "data": data,
    "default": default,
    "dictsort": lambda value: sorted(pairs(value), key=lambda pair: text(pair[0]).lower()),
    "first": _first,
    "float": decimal,
    "int": whole,
    "items": pairs,
    "join": join,
    "last": _last,
    "length": _length,
    "list": lambda value: list(items_of(value)),
    "lower": _on_text(str.lower),
    "map": _of_members(jinja2.filters.sync_do_map),
    "max": _max,
    "min": _min,
    "reject": _of_members(jinja2.filters.sync_do_reject),
    "rejectattr": _of_members(jinja2.filters.sync_do_rejectattr),
    "replace": replace,
    "reverse": _reverse,
    "round": rounded,
    "select": _of_members(jinja2.filters.sync_do_select),
    "selectattr": _of_members(jinja2.filters.sync_do_selectattr),
    "sort": _sort,
    "string": text,
    "sum": _sum,
    "title": _on_text(jinja2.filters.do_title),
    "tojson": tojson,
    "trim": _on_text(str.strip),
    "truncate": truncate,
    "unique": _unique,
    "upper": _on_text(str.upper),
    "wordcount": lambda value: len(text(value).split()),
}


def is_defined(value: object) -> bool:
    """Say whether there is a value; a missing optional parameter (None) is not defined."""
    return value is not None and not isinstance(value, Undefined)


_JINJA_TESTS: Final = (
    "none string number integer float boolean true false mapping sequence iterable in "
    "eq equalto == ne != lt lessthan < le <= gt greaterthan > ge >= even odd divisibleby lower upper"
)

TESTS: Final[dict[str, Callable[..., Any]]] = {
    "defined": is_defined,
    "undefined": lambda value: not is_defined(value),
    **dict[str, Any]({name: jinja2.tests.TESTS[name] for name in _JINJA_TESTS.split()}),
}
