"""Reading a model's answer as JSON: forgiving about what stands around it, strict about the JSON itself."""

import re
from dataclasses import dataclass
from typing import Final

import msgspec

Parsed = dict[str, object] | list[object]

_FENCED: Final = re.compile(r"```[ \t]*\w*[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL)
_BRACKETS: Final = (("{", "}"), ("[", "]"))


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer says as data; exactly one of the two is None."""

    parsed: Parsed | None = None
    error: str | None = None


def asks_for_json(prompt: str) -> bool:
    """Whether a prompt's own words (not the values in it) ask for JSON: then a program reads the answer."""
    return "JSON" in prompt


def read_json(text: str) -> Reading:
    """The object or list in an answer: the whole of it, its only fenced block, or what stands between words of politeness.

    Nothing is mended and nothing guessed: what cannot be read so is an error that says where the reading stopped.
    """
    whole = text.strip().removeprefix("\ufeff")
    if not whole:
        return Reading(error="the answer is empty")
    reading = _decode(whole)
    for candidate in _inner(whole):
        if reading.parsed is not None:
            break
        inner = _decode(candidate)
        reading = inner if inner.parsed is not None else reading
    return reading


def _inner(text: str) -> list[str]:
    """The parts of an answer that may be its JSON, the likeliest first."""
    fenced = _FENCED.findall(text)
    parts = fenced if len(fenced) == 1 else []
    spans = sorted((text.find(opening), text.rfind(closing)) for opening, closing in _BRACKETS)
    # The bracket that opens first is the outer one; two objects one after the other do not decode as one.
    parts.extend(text[start : end + 1] for start, end in spans if 0 <= start < end)
    return parts[:2]


def _decode(text: str) -> Reading:
    try:
        found = msgspec.json.decode(text)
    except (ValueError, RecursionError) as problem:
        return Reading(error=f"the answer is not JSON: {problem}")
    if not isinstance(found, dict | list):
        return Reading(error=f"the answer is no JSON object or list, but {type(found).__name__}")
    return Reading(parsed=found)
