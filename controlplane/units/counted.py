"""What a count of different units is. Pure."""

import datetime as dt
from collections.abc import Mapping
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
