"""Small charts as SVG attributes: no script, no style, and the same in print. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 200
HEIGHT: Final = 40
_EDGE: Final = 3


@dataclass(frozen=True)
class Line:
    """One series: the points of each unbroken run, and single points that no line reaches."""

    runs: tuple[str, ...]
    dots: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Chart:
    """Some series on one scale; where the threshold lies, and where something was done."""

    lines: tuple[Line, ...]
    threshold: float | None
    marks: tuple[float, ...]
    width: int = WIDTH
    height: int = HEIGHT


def draw(
    series: Sequence[Sequence[float | None]],
    *,
    threshold: float | None = None,
    marks: Sequence[float] = (),
    least_top: float = 0.0,
) -> Chart | None:
    """A chart of series that are equally long; None when nothing of them is known.

    `marks` are places between the first value (0) and the last (1). `least_top` keeps a scale from being smaller than that:
    a line that trembles by nothing should look still.
    """
    known = [value for one in series for value in one if value is not None]
    if not known:
        return None
    top = max(*known, threshold or 0.0, least_top, 1e-12) * 1.08
    return Chart(
        tuple(_line(one, top) for one in series),
        _height(threshold, top) if threshold is not None else None,
        tuple(round(_EDGE + place * (WIDTH - 2 * _EDGE), 1) for place in marks if 0 <= place <= 1),
    )


def _line(values: Sequence[float | None], top: float) -> Line:
    runs: list[list[tuple[float, float]]] = [[]]
    step = (WIDTH - 2 * _EDGE) / max(1, len(values) - 1)
    for place, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((round(_EDGE + place * step, 1), _height(value, top)))
    return Line(
        tuple(" ".join(f"{x},{y}" for x, y in run) for run in runs if len(run) > 1),
        tuple(run[0] for run in runs if len(run) == 1),
    )


def _height(value: float, top: float) -> float:
    return round(HEIGHT - _EDGE - max(0.0, value) / top * (HEIGHT - 2 * _EDGE), 1)
