"""The preview beside the editor: what the runtime's renderer said, prepared for the page."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from controlplane.prompts import values
from controlplane.prompts.contract import ERROR, Verdict
from controlplane.prompts.render_pool import RenderPool
from controlplane.runtime.entries import Parameter
from controlplane.runtime.profile import normalise
from controlplane.runtime.renderer import Preview, Problem

# More than this is folded away, so that a long text does not hold up the typing; all of it is on the page.
SHOWN: Final = 64 * 1024
# A rule of thumb for English text; the word "about" stands beside it.
CHARACTERS_PER_TOKEN: Final = 4


class Run(NamedTuple):
    """Characters of the text; `mark` names one that cannot be seen, and which pasting brings in."""

    text: str
    mark: str | None = None


@dataclass(frozen=True)
class Panel:
    """The preview of one text with one set of values."""

    preview: Preview
    value_errors: Mapping[str, str]
    declared: tuple[Parameter, ...] = ()
    found: tuple[Verdict, ...] = ()
    """What the analysis of the text found, in the order of its lines."""

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
        beside = [each for each in self.found if problem.line is not None and each.line == problem.line]
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
        errors = sum(verdict.is_error for verdict in self.verdicts)
        told = ((errors, "error"), (len(self.verdicts) - errors, "warning"))
        return ", ".join(f"{count} {word}{'s' if count != 1 else ''}" for count, word in told if count)

    @property
    def shown(self) -> list[Run]:
        """The text up to a length that any browser shows at once."""
        return list(_runs((self.preview.text or "")[:SHOWN]))

    @property
    def rest(self) -> str:
        """What is folded away."""
        return (self.preview.text or "")[SHOWN:]

    @property
    def size(self) -> str:
        """How long the text is, in characters and about how many tokens."""
        length = len(self.preview.text or "")
        tokens = -(-length // CHARACTERS_PER_TOKEN)
        return f"{length:,} character{'s' if length != 1 else ''}, about {tokens:,} token{'s' if tokens != 1 else ''}"

    @property
    def bad_values(self) -> list[tuple[str, str]]:
        """Parameters whose value cannot be read, with why."""
        return [(name.removeprefix(values.PREFIX), message) for name, message in self.value_errors.items()]

    @property
    def undeclared(self) -> list[tuple[str, str | None]]:
        """Names that the interaction does not declare, each with the one it may have been meant to be.

        The problem names them too when nothing else is wrong; then they are not said twice.
        """
        names = self.preview.undeclared
        if self.problem and all(name in self.problem.message for name in names):
            return []
        return [(name, self.preview.suggestions.get(name)) for name in names]


def panel(pool: RenderPool, body: str, typed: Mapping[str, str], declared: Sequence[Parameter]) -> Panel:
    """Render the text with the values as typed; raises `RenderBusy`."""
    read = values.read(declared, typed)
    answer = pool.examine(normalise(body), read.given, declared)
    found = answer.previews[0]
    if read.errors:
        # Rendered without it the text would be another one than asked for, and look as if it were right.
        unreadable = {name.removeprefix(values.PREFIX) for name in read.errors}
        missing = tuple(name for name in found.missing if name not in unreadable)
        found = Preview(None, missing, found.unused, found.undeclared, found.suggestions, found.problem)
    return Panel(found, read.errors, tuple(declared), tuple(answer.verdicts))


def _runs(text: str) -> Iterator[Run]:
    start = 0
    for index, character in enumerate(text):
        if character in "\n\t" or character.isprintable():
            continue
        if start < index:
            yield Run(text[start:index])
        yield Run(character, unicodedata.name(character, f"U+{ord(character):04X}").lower())
        start = index + 1
    if start < len(text):
        yield Run(text[start:])
