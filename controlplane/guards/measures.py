"""What a guard may watch: each measure with its words, what difference matters, and how it is taken from counts. Pure."""

import enum
from typing import Final

from controlplane.guards.evidence import Arm
from controlplane.health.reading import Counts
from controlplane.runtime.metrics import LONG_BOUNDS

LEAST_IN_MEAN: Final = 5
"""A mean of fewer calls than this is not compared."""


class Measure(enum.StrEnum):
    """What is compared between a version and the baseline."""

    ERRORS = "errors"
    FALLBACKS = "fallbacks"
    SLOW = "slow"
    UNUSABLE = "unusable"
    LENGTH = "length"
    COST = "cost"

    @property
    def label(self) -> str:
        """As a row's heading."""
        return _LABELS[self]

    @property
    def help(self) -> str:
        """What is counted, in one sentence."""
        return _HELP[self]

    @property
    def is_rate(self) -> bool:
        """Whether it is a share of calls; else a mean."""
        return self not in {Measure.LENGTH, Measure.COST}

    @property
    def usual_tolerance(self) -> float:
        """The smallest difference that matters, where nobody has said another: points of per cent, or per cent of a mean."""
        return _TOLERANCES[self]

    @property
    def unit(self) -> str:
        """What its tolerance is counted in."""
        return "points" if self.is_rate else "%"


USUAL: Final = (Measure.ERRORS, Measure.FALLBACKS, Measure.SLOW, Measure.UNUSABLE)
"""Watched where nobody has said otherwise. Length and cost often differ because they were meant to."""

_LABELS: Final = {
    Measure.ERRORS: "Errors",
    Measure.FALLBACKS: "Steps down",
    Measure.SLOW: "Slow answers",
    Measure.UNUSABLE: "Unusable answers",
    Measure.LENGTH: "Length of answers",
    Measure.COST: "Cost per call",
}
_HELP: Final = {
    Measure.ERRORS: "Calls that ended without an answer.",
    Measure.FALLBACKS: "Calls that another model or an older template had to answer.",
    Measure.SLOW: "Answers that took longer than 95 % of the baseline's do.",
    Measure.UNUSABLE: "Refusals, and answers that could not be read as the JSON they should be.",
    Measure.LENGTH: "Tokens of an answer, on average.",
    Measure.COST: "What a call costs, on average, as far as prices are known.",
}
_TOLERANCES: Final = {
    Measure.ERRORS: 1.0,
    Measure.FALLBACKS: 2.0,
    Measure.SLOW: 5.0,
    Measure.UNUSABLE: 2.0,
    Measure.LENGTH: 25.0,
    Measure.COST: 25.0,
}


def slow_bound(baseline: tuple[float, ...]) -> int:
    """The place in `LONG_BOUNDS` of the baseline's p95: the first bound that at most one in twenty of its answers exceeds."""
    total = sum(baseline)
    above = total
    for place in range(len(LONG_BOUNDS)):
        above -= baseline[place]
        if above <= total / 20:
            return place
    return len(LONG_BOUNDS) - 1


def arm_of(measure: Measure, counts: Counts, *, bound: int) -> Arm:
    """The calls and the bad ones among them; `bound` is what counts as slow."""
    if measure is Measure.SLOW:
        return Arm(sum(counts.times), sum(counts.times[bound + 1 :]))
    bad = {
        Measure.ERRORS: counts.failed,
        Measure.FALLBACKS: counts.fallbacks,
        Measure.UNUSABLE: counts.unusable,
    }[measure]
    return Arm(counts.asked, min(bad, counts.asked))


def mean_of(measure: Measure, counts: Counts) -> float | None:
    """The mean of an answer; None of too few."""
    if measure is Measure.COST:
        priced = counts.answered - counts.unpriced
        return counts.cost / priced if priced >= LEAST_IN_MEAN else None
    return counts.output_tokens / counts.answered if counts.answered >= LEAST_IN_MEAN else None
