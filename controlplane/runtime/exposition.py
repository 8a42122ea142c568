"""Figures as Prometheus reads them: the text format, version 0.0.4."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Distribution:
    """How often a measurement fell where: `counts[i]` of them were at most `bounds[i]`, the last one above all."""

    bounds: Sequence[float]
    counts: Sequence[int]
    total: float
    """The sum of all measurements."""

    @property
    def count(self) -> int:
        """How many measurements there were."""
        return sum(self.counts)

    def cumulative(self) -> Iterator[tuple[float, int]]:
        """Each bound with the number of measurements up to it; the last bound is infinite."""
        below = 0
        for bound, count in zip((*self.bounds, math.inf), self.counts, strict=True):
            below += count
            yield bound, below


@dataclass(frozen=True, slots=True)
class Family:
    """All series of one name."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    description: str
    samples: Sequence[tuple[Labels, float | Distribution]]


def prometheus_text(families: Iterable[Family]) -> str:
    """The families as text; those of one name are put together under one heading, as the format demands."""
    headings: dict[str, Family] = {}
    lines: dict[str, list[str]] = {}
    for family in families:
        headings.setdefault(family.name, family)
        for labels, value in family.samples:
            lines.setdefault(family.name, []).extend(_lines(family.name, labels, value))
    return "".join(
        f"# HELP {name} {_escaped(heading.description)}\n# TYPE {name} {heading.kind}\n"
        + "".join(f"{line}\n" for line in lines.get(name, ()))
        for name, heading in headings.items()
    )


def number(value: float) -> str:
    """A value as the format writes it."""
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if math.isnan(value) else repr(value)


def _lines(name: str, labels: Labels, value: float | Distribution) -> Iterator[str]:
    if not isinstance(value, Distribution):
        yield f"{name}{_braces(labels)} {number(value)}"
        return
    for bound, count in value.cumulative():
        yield f"{name}_bucket{_braces((*labels, ('le', number(bound))))} {count}"
    yield f"{name}_sum{_braces(labels)} {number(value.total)}"
    yield f"{name}_count{_braces(labels)} {value.count}"


def _braces(labels: Labels) -> str:
    if not labels:
        return ""
    inside = ",".join(f'{name}="{_escaped(value, quote=True)}"' for name, value in labels)
    return f"{{{inside}}}"


def _escaped(text: str, *, quote: bool = False) -> str:
    escaped = text.replace("\\", r"\\").replace("\n", r"\n")
    return escaped.replace('"', r"\"") if quote else escaped
