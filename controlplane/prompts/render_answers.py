"""What passes between the site and its render workers, understood: values that can be handed over, answers, and endings in words."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from controlplane.prompts.contract import Verdict
from controlplane.prompts.render_jobs import JOB_BYTES, UNIT, Outcome
from controlplane.runtime.renderer import Preview, Problem
from controlplane.runtime.validate import Body

PREVIEW: Final = msgspec.json.Decoder(Preview)
VERDICTS: Final = msgspec.json.Decoder(list[Verdict])
BODY: Final = msgspec.json.Decoder(Body)
NOT_JSON: Final = "the text or a value holds something that cannot be written as UTF-8 JSON"

_ENDINGS = {
    Outcome.TOO_SLOW: "This template took longer than 1 second. Shorten its loops, or give it less to go through.",
    Outcome.TOO_MUCH_MEMORY: "This template needs more memory than a prompt may take. Make its text shorter.",
    Outcome.TOO_LONG: "This template makes a longer text than a prompt may be.",
    Outcome.DIED: "This template brought its worker down. Undo the last change, or make it simpler.",
    Outcome.NOT_STARTED: "The worker that renders templates could not be started. Whoever runs this site finds why in its log.",
}


_AMONG_OTHERS = {
    Outcome.TOO_SLOW: "There was no time left for this: one template and all that it is tried with may take 1 second together.",
    Outcome.TOO_LONG: "There was no room left for this text: all texts of one template together are too long to show. Look at it alone.",
}


def handed_over(
    value_sets: Sequence[Mapping[str, Any]], most: int = JOB_BYTES // 2
) -> tuple[dict[int, dict[str, Any]], dict[int, Preview | Problem]]:
    """Return the sets of values that can be handed over, by their place, and why the others cannot."""
    written: dict[int, dict[str, Any]] = {}
    refused: dict[int, Preview | Problem] = {}
    left = most
    for index, values in enumerate(value_sets):
        try:
            size = len(msgspec.json.encode(values))
        except (UnicodeEncodeError, ValueError, RecursionError, TypeError):
            refused[index] = Problem(NOT_JSON)
            continue
        if size > left:
            refused[index] = Problem("these values are too large, or too large together with the others")
            continue
        left -= size
        written[index] = dict(values)
    return written, refused


def cut(answer: bytes, units: int) -> list[bytes] | None:
    """Return the units' answers out of a worker's; None when it is not made of so many."""
    found, start = [], 0
    while start + UNIT.size <= len(answer):
        end = start + UNIT.size + UNIT.unpack_from(answer, start)[0]
        found.append(answer[start + UNIT.size : end])
        start = end
    return found if len(found) == units and start == len(answer) else None


def read(answer: bytes, decoder: msgspec.json.Decoder[Any], *, alone: bool) -> Any:
    """Understand one answer. It comes from a process that ran a stranger's text, so nothing in it is believed."""
    try:
        outcome = Outcome(answer[:1])
        if outcome is Outcome.ANSWERED:
            return decoder.decode(answer[1:])
    except ValueError:  # msgspec's ValidationError is one
        outcome = Outcome.DIED
    return Problem(_ENDINGS[outcome] if alone else _AMONG_OTHERS.get(outcome, _ENDINGS[outcome]))


def ending_of(outcome: Outcome) -> Problem:
    """Return how a job as a whole ended, in words."""
    return Problem(_ENDINGS[outcome])
