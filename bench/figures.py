"""What a benchmark hands back: figures beside their floors and limits, and how they are printed."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Limit:
    """What a figure must keep: its ratio or the figure itself, at most (or at least) this much."""

    value: float
    of: Literal["ratio", "here"] = "ratio"
    at_least: bool = False

    def kept(self, figure: "Figure") -> bool:
        """Say whether the figure keeps it."""
        found = figure.ratio if self.of == "ratio" else figure.here
        if found is None:
            raise ValueError(f"{figure.name} has a limit on a ratio, but no floor")
        return found >= self.value if self.at_least else found <= self.value


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. `here` and `floor` are in `unit`; without a floor there is no ratio."""

    name: str
    here: float
    unit: str
    floor: float | None = None
    ratio: float | None = None
    limit: Limit | None = None

    def cells(self) -> tuple[str, ...]:
        """Return the line as text."""
        return (
            self.name,
            f"{_short(self.here)} {self.unit}".rstrip(),
            "" if self.floor is None else f"{_short(self.floor)} {self.unit}".rstrip(),
            "" if self.ratio is None else f"{self.ratio:.2f} ×",
            self._limit(),
        )

    def _limit(self) -> str:
        if self.limit is None:
            return ""
        sign = "≥" if self.limit.at_least else "≤"
        unit = "×" if self.limit.of == "ratio" else self.unit
        verdict = "" if self.limit.kept(self) else "  over" if not self.limit.at_least else "  under"
        return f"{sign} {self.limit.value:g} {unit}".rstrip() + verdict


def table(figures: Iterable[Figure]) -> str:
    """Return the figures as an aligned table; a limit that is not kept says "over" or "under"."""
    rows = [("figure", "here", "floor", "ratio", "limit"), *(figure.cells() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:4], widths[1:4]), row[4]]).rstrip()
        for row in rows
    )


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
