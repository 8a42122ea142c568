"""From minutes of counts to what is known of a rollout's version, one minute after the other. Pure.

Minutes are put together into blocks until both the baseline and the version have `LEAST_IN_BLOCK` calls: how many calls come
says nothing of how they go, so this may be decided as they come. Calls are compared with calls of the same minute only: a bad
hour in which the version had all of them, or hardly any, is nothing against it. So each minute of a block is worth something of
its own, by the same guesses, and one in which only one of the two was called is no part of any block. What is known is a value
that can be kept as JSON and gone on with, minute by minute; nothing is ever worked out from the beginning again.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from controlplane.guards.evidence import Arm, Evidence, MeanEvidence, block
from controlplane.guards.measures import Measure, arm_of, mean_of, slow_bound
from controlplane.health.reading import Counts
from controlplane.runtime.metrics import LONG_BOUNDS

LEAST_IN_BLOCK: Final = 5
ALARMS: Final = 0.05
"""The chance that any guard of a rollout is ever set off by chance alone is at most this."""
SOME: Final = math.log(10)
_FADING: Final = 0.5 ** (1 / 10)
"""Of what blocks before say of a rate, half is forgotten after ten: one that turns bad is found as soon as one that begins so."""

Pair = tuple[Counts, Counts]
"""Counts of the baseline and of the version that is held against it."""


class Watched(msgspec.Struct):
    """One measure: the evidence against the version, and the most of it while the difference mattered."""

    rate: Evidence = msgspec.field(default_factory=Evidence)
    mean: MeanEvidence = msgspec.field(default_factory=MeanEvidence)
    peak: float = 0.0


class Known(msgspec.Struct):
    """All that is known of one version: the block that is being filled, all since the beginning, of late, and the evidence.

    `worth` is what the minutes of the block have been worth so far, by measure, as logarithms. `told_while_held`: somebody
    held the rollout already when a guard was set off.
    """

    block: Pair = (Counts(), Counts())
    worth: dict[str, float] = {}
    total: Pair = (Counts(), Counts())
    late: Pair = (Counts(), Counts())
    measures: dict[str, Watched] = {}
    told_while_held: bool = False


@dataclass(frozen=True)
class Settings:
    """What is watched, with the smallest difference that matters of each; and the fewest calls to say anything about."""

    tolerances: Mapping[Measure, float]
    least_calls: int


@dataclass(frozen=True)
class Finding:
    """How the version stands in one measure. `baseline` and `variant` are rates or means, None where there is none.

    `evidence` is the natural logarithm of the most that ever spoke against the version, `needed` what sets the guard off.
    """

    measure: Measure
    baseline: float | None
    variant: float | None
    late: tuple[float | None, float | None]  # the same of both, where older calls weigh less
    evidence: float
    needed: float
    calls: tuple[int, int]
    enough: bool

    @property
    def is_breach(self) -> bool:
        """Whether the guard is set off."""
        return self.enough and self.evidence >= self.needed


def known_from(kept: Any) -> Known:
    """What was kept as JSON; anything else is a beginning."""
    try:
        return msgspec.convert(kept, Known, strict=False)
    except msgspec.ValidationError:
        return Known()


def to_keep(known: Known) -> Any:
    """What is known, as JSON."""
    return msgspec.to_builtins(known)


def learn(known: Known, minutes: Iterable[Pair], *, settings: Settings) -> None:
    """Go on with these minutes, in their order."""
    for minute in minutes:
        if not all(each.asked for each in minute):
            known.total = _together(known.total, minute)
            continue
        _weigh(known, minute, settings)
        known.block = _together(known.block, minute)
        if min(each.asked for each in known.block) >= LEAST_IN_BLOCK:
            filled, known.block = known.block, (Counts(), Counts())
            _learn_block(known, filled, settings)


def findings(known: Known, *, settings: Settings) -> list[Finding]:
    """How the version stands in each measure that is watched."""
    needed = math.log(max(1, len(settings.tolerances)) / ALARMS)
    return [_finding(known, measure, needed, settings) for measure in settings.tolerances]


def _weigh(known: Known, minute: Pair, settings: Settings) -> None:
    """Add what a minute is worth to its block, by guesses from the blocks before; what counts as slow is known by then, too."""
    bound = slow_bound(known.late[0].times)
    for measure, tolerance in settings.tolerances.items():
        if not measure.is_rate:
            continue
        own, before = (
            tuple(arm_of(measure, counts, bound=bound) for counts in pair) for pair in (minute, known.late)
        )
        value = block(own[0], own[1], before=(before[0], before[1]), difference=tolerance / 100)
        known.worth[measure.value] = known.worth.get(measure.value, 0.0) + value


def _learn_block(known: Known, filled: Pair, settings: Settings) -> None:
    bound = slow_bound(known.late[0].times)
    known.late = _later(known.late[0], filled[0]), _later(known.late[1], filled[1])
    known.total = _together(known.total, filled)
    worth, known.worth = known.worth, {}
    for measure, tolerance in settings.tolerances.items():
        watched = known.measures.setdefault(measure.value, Watched())
        if measure.is_rate:
            watched.rate.add(worth.get(measure.value, 0.0))
            baseline, variant = (arm_of(measure, counts, bound=bound) for counts in known.late)
            if variant.rate - baseline.rate >= tolerance / 100:
                watched.peak = max(watched.peak, watched.rate.log)
        else:
            _learn_mean(watched, measure, filled, tolerance / 100)


def _learn_mean(watched: Watched, measure: Measure, filled: Pair, tolerance: float) -> None:
    baseline, variant = (mean_of(measure, counts) for counts in filled)
    if baseline is None or variant is None:
        return
    watched.mean.add(variant - (1 + tolerance) * baseline, scale=baseline)
    if watched.mean.mean > 0:
        watched.peak = max(watched.peak, watched.mean.log)


def _finding(known: Known, measure: Measure, needed: float, settings: Settings) -> Finding:
    baseline, variant = values_of(measure, known.total)
    calls = int(known.total[0].asked), int(known.total[1].asked)
    return Finding(
        measure=measure,
        baseline=baseline,
        variant=variant,
        late=values_of(measure, known.late),
        evidence=known.measures.get(measure.value, Watched()).peak,
        needed=needed,
        calls=calls,
        enough=min(calls) >= settings.least_calls,
    )


def values_of(measure: Measure, pair: Pair) -> tuple[float | None, float | None]:
    """The measure of the baseline and of the version."""
    if not measure.is_rate:
        return mean_of(measure, pair[0]), mean_of(measure, pair[1])
    bound = slow_bound(pair[0].times)
    baseline, variant = (arm_of(measure, counts, bound=bound) for counts in pair)
    return _rate(baseline), _rate(variant)


def bound_seconds(baseline: Counts) -> float:
    """What counts as slow, in seconds."""
    return LONG_BOUNDS[slow_bound(baseline.times)]


def _rate(arm: Arm) -> float | None:
    return arm.rate if arm.calls else None


def _together(one: Pair, other: Pair) -> Pair:
    return one[0].plus(other[0]), one[1].plus(other[1])


def _later(late: Counts, now: Counts) -> Counts:
    """What was known of late, a little of it forgotten, and what is new."""
    amounts = (_FADING * old + new for old, new in zip(late[:-1], now[:-1], strict=True))
    times = tuple(_FADING * old + new for old, new in zip(late.times, now.times, strict=True))
    return Counts._make([*amounts, times])
