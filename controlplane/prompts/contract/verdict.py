"""One thing that was found in a template without rendering it."""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

ERROR: Final = "error"
WARNING: Final = "warning"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong, in words for whoever writes the template, and where; without a line it is about the whole text."""

    severity: Literal["error", "warning"]
    code: str
    """The kind of finding, for tests and for grouping: `unknown-name`, `optional-unguarded` …"""
    message: str
    line: int | None = None
    column: int | None = None
    """Counted from 1, in characters."""
    length: int = 1
    """How many characters to mark; never beyond the end of the line."""

    @property
    def is_error(self) -> bool:
        """Whether the text may not be saved with it."""
        return self.severity == ERROR


def summary(verdicts: Sequence[Verdict]) -> str:
    """Say how many there are of each kind: "1 error, 2 warnings"."""
    errors = sum(verdict.is_error for verdict in verdicts)
    told = ((errors, "error"), (len(verdicts) - errors, "warning"))
    return ", ".join(f"{count} {word}{'s' if count != 1 else ''}" for count, word in told if count)
