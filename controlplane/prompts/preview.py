"""The preview beside the editor: what the runtime's renderer said, prepared for the page."""

import datetime as dt
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

from controlplane.db import now
from controlplane.prompts import tokens
from controlplane.prompts.contract import ERROR, Verdict, summary
from controlplane.prompts.render_pool import Examined
from controlplane.runtime.entries import Parameter
from controlplane.runtime.profile import normalise
from controlplane.runtime.renderer import Preview, Problem
from controlplane.samples import values

# More than this is folded away, so that a long text does not hold up the typing; all of it is on the page.
SHOWN: Final = 64 * 1024
# What may have to be marked: most of what lies beyond ASCII can be printed, and is not.
_ODD: Final = re.compile(r"[^ -~\n\t]")
_ODD_OR_WHITE: Final = re.compile(r" +|\t+|\n|[^ -~\n\t]")


class Previewing(Protocol):
    """A render pool, or one that puts snippets in first."""

    def examine(
        self,
        source: str,
        values: Mapping[str, Any],
        declared: Sequence[Parameter],
        *,
        samples: Sequence[Mapping[str, Any]] = (),
    ) -> Examined:
        """Render `source` as the runtime would, and hold it against the declaration; raises only `RenderBusy`."""

    def render_all(
        self, source: str, declared: Sequence[Parameter], value_sets: Sequence[Mapping[str, Any]]
    ) -> list[Preview] | Problem:
        """Render `source` once with each set of values; raises only `RenderBusy`."""


class Run(NamedTuple):
    """Characters of the text; `mark` names one that cannot be seen, and which pasting brings in.

    `white` is the class of white space, where that is to be shown.
    """

    text: str
    mark: str | None = None
    white: str | None = None


@dataclass(frozen=True)
class Panel:
    """The preview of one text with one set of values."""

    preview: Preview
    value_errors: Mapping[str, str]
    declared: tuple[Parameter, ...] = ()
    found: tuple[Verdict, ...] = ()
    """What the analysis of the text found, in the order of its lines."""
    shows_spaces: bool = False
    at: dt.datetime = field(default_factory=now)
    """When it was rendered."""

    @property
    def state(self) -> str:
        """Either "good", or "problem": then the last good text stays on the page, dimmed."""
        return "good" if self.preview.text is not None else "problem"

    @property
    def problem(self) -> Problem | None:
        """What is wrong with the text; not the want of a value that was given but could not be read."""
        found = self.preview.problem
        return None if found is None or (self.value_errors and found.line is None) else found

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """What the analysis found, and first what this render ran into, unless that is the same: for list and gutter."""
        problem = self.problem
        if problem is None:
            return self.found
        beside = [
            each
            for each in self.found
            if each.message == problem.message or (problem.line is not None and each.line == problem.line)
        ]
        if any(each.is_error for each in beside):
            return self.found
        # Jinja tells the line of what failed; what the analysis has against that line is most likely it.
        column = problem.column or next((each.column for each in beside), None)
        ran_into = Verdict(
            severity=ERROR, code="render", message=problem.message, line=problem.line, column=column
        )
        return (ran_into, *self.found)

    @property
    def summary(self) -> str:
        """How many there are of each kind: "1 error, 2 warnings"."""
        return summary(self.verdicts)

    @property
    def shown(self) -> list[Run]:
        """The text up to a length that any browser shows at once."""
        return list(runs((self.preview.text or "")[:SHOWN], spaces=self.shows_spaces))

    @property
    def rest(self) -> str:
        """What is folded away."""
        return (self.preview.text or "")[SHOWN:]

    @property
    def size(self) -> str:
        """How long the text is, in characters and about how many tokens."""
        return size_of(self.preview.text or "")

    @property
    def bad_values(self) -> list[tuple[str, str]]:
        """Parameters whose value cannot be read, with why."""
        return [(name.removeprefix(values.PREFIX), message) for name, message in self.value_errors.items()]


def size_of(text: str) -> str:
    """Say how long a text is, in characters and about how many tokens."""
    length, count = len(text), tokens.estimate(text)
    return (
        f"{length:,} character{'s' if length != 1 else ''}, about {count:,} token{'s' if count != 1 else ''}"
    )


def panel(
    pool: Previewing,
    body: str,
    typed: Mapping[str, str],
    declared: Sequence[Parameter],
    *,
    samples: Sequence[Mapping[str, Any]] = (),
    spaces: bool = False,
) -> Panel:
    """Render the text with the values as typed; raises `RenderBusy`. `samples` are values the interaction is known by."""
    read = values.read(declared, typed)
    answer = pool.examine(normalise(body), read.given, declared, samples=samples)
    found = answer.previews[0]
    if read.errors:
        # Rendered without it the text would be another one than asked for, and look as if it were right.
        unreadable = {name.removeprefix(values.PREFIX) for name in read.errors}
        missing = tuple(name for name in found.missing if name not in unreadable)
        found = Preview(None, missing, found.unused, found.undeclared, found.suggestions, found.problem)
    return Panel(found, read.errors, tuple(declared), tuple(answer.verdicts), spaces)


def runs(text: str, *, spaces: bool = False) -> Iterator[Run]:
    """Cut the text where something stands that cannot be seen, or, where asked for, white space."""
    start = 0
    for found in (_ODD_OR_WHITE if spaces else _ODD).finditer(text):
        if found[0].isprintable() and not found[0].isspace():
            continue
        if start < found.start():
            yield Run(text[start : found.start()])
        yield _run(found[0])
        start = found.end()
    if start < len(text):
        yield Run(text[start:])


def _run(found: str) -> Run:
    kind = {" ": "ws", "\t": "wt", "\n": "wn"}.get(found[0])
    if kind:
        return Run(found, white=kind)
    return Run(found, unicodedata.name(found, f"U+{ord(found):04X}").lower())
