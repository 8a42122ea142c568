"""Rollouts that never were: minutes of calls drawn by chance, looked at after every minute as the worker does."""

import random
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from controlplane.guards.judging import Finding, Known, Pair, Settings, findings, learn
from controlplane.guards.measures import Measure
from controlplane.health.reading import Counts
from controlplane.runtime.metrics import LONG_BOUNDS

EVERYTHING = Settings({measure: measure.usual_tolerance for measure in Measure}, 30)


@dataclass(frozen=True)
class Calls:
    """How calls of one version go: so many a minute, and what share of them is bad in which way."""

    a_minute: int
    errors: float = 0.01
    fallbacks: float = 0.02
    unusable: float = 0.005
    slower: float = 1.0
    longer: float = 1.0

    def minute(self, rng: random.Random) -> Counts:
        failed = self._some(rng, self.errors)
        answered = self.a_minute - failed
        times = [0] * (len(LONG_BOUNDS) + 1)
        tokens = 0
        for _ in range(answered):
            times[bisect_left(LONG_BOUNDS, self.slower * rng.lognormvariate(0.5, 0.7))] += 1
            tokens += int(self.longer * rng.lognormvariate(5, 1))
        return Counts(
            answered=answered,
            failed=failed,
            fallbacks=self._some(rng, self.fallbacks),
            unusable=min(answered, self._some(rng, self.unusable)),
            output_tokens=tokens,
            cost=tokens * 1e-5,
            times=tuple(times),
        )

    def _some(self, rng: random.Random, rate: float) -> int:
        return sum(rng.random() < rate for _ in range(self.a_minute))


def minutes(
    seed: int, baseline: Calls, variant: Calls, count: int, *, worse_after: int = 0
) -> Iterator[Pair]:
    """Minutes of both; until `worse_after` the variant is as good as the baseline."""
    rng = random.Random(seed)
    good = replace(baseline, a_minute=variant.a_minute)
    for number in range(count):
        yield baseline.minute(rng), (variant if number >= worse_after else good).minute(rng)


def minutes_of_users(seed: int, users: int, a_minute: int, count: int) -> Iterator[Pair]:
    """Minutes of two equal versions, where one user in fifty is one whom three calls of ten fail for, and the others one of two hundred."""
    rng = random.Random(seed)
    people = [(rng.random() < 0.5, 0.3 if rng.random() < 0.02 else 0.005) for _ in range(users)]
    for _ in range(count):
        asked, failed = [0, 0], [0, 0]
        for _ in range(a_minute):
            which, rate = rng.choice(people)
            asked[which] += 1
            failed[which] += rng.random() < rate
        baseline, variant = (
            Counts(answered=calls - bad, failed=bad) for calls, bad in zip(asked, failed, strict=True)
        )
        yield baseline, variant


def first_alarm(
    pairs: Iterator[Pair],
    settings: Settings = EVERYTHING,
    *,
    counts: Callable[[Finding], bool] = lambda finding: finding.is_breach,
) -> tuple[int, list[Measure]] | None:
    """After how many minutes a guard is set off, and which; None when none is."""
    known = Known()
    for number, pair in enumerate(pairs, start=1):
        learn(known, [pair], settings=settings)
        set_off = [each.measure for each in findings(known, settings=settings) if counts(each)]
        if set_off:
            return number, set_off
    return None
