"""What a count of different units is. Pure."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from controlplane.runtime.sketch import ERROR


@dataclass(frozen=True)
class Distinct:
    """About how many different units were answered in a time, together and by each version.

    One that had two versions counts for both, and once in `total`. `since` is when counting began, if that is later than
    what was asked for; `told_at` when a process last told something new.
    """

    unit: str
    total: int
    versions: Mapping[int, int]
    since: dt.datetime
    told_at: dt.datetime
    whole: bool
    """Whether units were counted during all of the time that was asked for."""
    without_unit: float
    """What part of the calls named no unit and is not counted, from 0 to 1; by the busiest process of each hour."""
    error: float = ERROR

    def worth(self, versions: Sequence[int]) -> list[float]:
        """Return the counts of these versions, scaled down to exactly counted units that would say as much of their ratio.

        For tests of the ratio that take counts as exact. A version's part p of N units has the variance of chance,
        p(1 - p)/N, and that of the estimates, which does not shrink with N: beyond some thousands of units the latter is all,
        and a test that knew only of chance would cry at nothing. Of two halves no number is worth more than 1,900.
        """
        counts = [self.versions.get(version, 0) for version in versions]
        total = sum(counts)
        if not total:
            return [0.0 for _ in counts]
        parts = [count / total for count in counts]
        squares = sum(part * part for part in parts)
        more = max(
            (part * ((1 - part) ** 2 + squares - part**2) / (1 - part) for part in parts if part < 1),
            default=0.0,
        )
        return [count / (1 + total * self.error**2 * more) for count in counts]
