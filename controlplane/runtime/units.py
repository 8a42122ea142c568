"""How many different users, tenants or conversations called: a sketch for each hour, configuration and version.

What leaves the process are the registers of a sketch (`controlplane.runtime.sketch`): no id, and nothing that an id could be
read from. The hash has a seed of its own, so that a register says nothing about anybody's bucket.

An hour is one of UTC, by this process's clock. Sketches of an hour may be put together over processes and over beats as often
as one likes; so a process that ends takes nothing with it but its last seconds, and nobody has to know how many there were.
"""

import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any, Final

from xxhash import xxh3_64_intdigest

from controlplane.runtime.sketch import REGISTERS, add, packed

HOUR: Final = 3_600
UNIT_SERIES_LIMIT: Final = 1_000
"""Configurations and versions that are counted in one hour at most."""
TOLD_EVERY: Final = 6
"""Beats: a series is told again after so many, or when twice as many calls have come."""
OUTSIDE: Final = 0
"""Stands for the version of those whom a gate keeps out: they get none."""

_AROUND: Final = 80
"""What a series takes in JSON besides its key, kind and sketch, at the very most."""


class _Cell:
    """One series of one hour. The numbers may lose a call when two threads count at once: they only ever make a share."""

    __slots__ = ("calls", "known", "registers", "told", "without")

    def __init__(self) -> None:
        self.registers = bytearray(REGISTERS)
        self.calls = 0
        self.without = 0
        self.known = 0  # of the calls, those of before it was last told
        self.told = 0  # the number of the beat that did


Series = tuple[str, str, int]
Told = list[Any]


class _Hour:
    """The series of one hour."""

    __slots__ = ("cells", "number", "since", "until")

    def __init__(self, number: int) -> None:
        self.number = number
        self.since = number * HOUR
        self.until = self.since + HOUR
        self.cells: dict[Series, _Cell] = {}


class Units:
    """Counts the different units of one process, for one environment.

        units = Units("production")
        units.count("configuration/COACHING_RESPONSE/premium/*", "user", "u-1", 7)

    `clock` is seconds since 1970. A call costs no lock and some tenths of a microsecond.
    """

    def __init__(self, environment: str | None = None, *, clock: Callable[[], float] = time.time) -> None:
        self._seeds = {
            kind: xxh3_64_intdigest(f"units\0{environment or ''}\0{kind}".encode())
            for kind in ("user", "tenant", "conversation")
        }
        self._clock = clock
        self._lock = threading.Lock()
        self._beats = 0
        self.not_counted = 0
        """Calls that were of one series too many; since the process began."""
        self._here = _Hour(-1)
        self._before: _Hour | None = None

    def count(self, key: str, kind: str, unit: str | None, version: int) -> None:
        """A call was answered by this version of this configuration, or was kept out (`OUTSIDE`) by this gate."""
        now = self._clock()
        here = self._here
        if not here.since <= now < here.until:
            here = self._turn(now)
        try:
            cell = here.cells[key, kind, version]
        except KeyError:
            found = self._open(here, (key, kind, version))
            if found is None:
                return
            cell = found
        cell.calls += 1
        if not unit:
            cell.without += 1
            return
        add(cell.registers, xxh3_64_intdigest(unit.encode("utf-8", "surrogatepass"), self._seeds[kind]))

    def told(self, limit: int) -> dict[str, Any]:
        """Sketches of this hour and the one before as plain values, of about `limit` bytes of JSON at most.

        A series is due when it is new or has doubled, and else once a minute at beats of ten seconds: what is written is paid
        for by the kilobyte, and by processes that are many. Where all that is due has no room, half of it goes to those that
        were called most since they were last told, and half to those told longest ago: every series has its turn, and a beat that nobody read is made good by a later one.
        """
        self._beats += 1
        waiting = self._waiting()
        series: list[Told] = []
        room = limit
        for share in (limit // 2, 0):
            waiting.sort(key=lambda each: each[2].known - each[2].calls if share else each[2].told)
            while waiting:
                hour, subject, cell = waiting[0]
                calls, without = cell.calls, cell.without
                data = b64encode(packed(bytes(cell.registers))).decode()
                room_left = room - (len(data) + len(subject[0].encode()) + _AROUND)
                if room_left < share:
                    break
                room = room_left
                cell.known, cell.told = calls, self._beats
                series.append([hour, *subject, calls, without, data])
                del waiting[0]
        return {"series": series, "not_sent": len(waiting), "not_counted": self.not_counted}

    def _waiting(self) -> list[tuple[int, Series, _Cell]]:
        self._turn(self._clock())
        return [
            (hour.number, subject, cell)
            for hour in self._hours()
            for subject, cell in hour.cells.copy().items()
            if cell.calls >= 2 * cell.known or self._beats - cell.told >= TOLD_EVERY
        ]

    def _hours(self) -> Iterator[_Hour]:
        if self._before is not None:
            yield self._before
        yield self._here

    def _turn(self, now: float) -> _Hour:
        """Return the hour that it is, and let that of before the last one go."""
        with self._lock:
            number = int(now // HOUR)
            here = self._here
            if here.number != number:
                # A clock that was set back may come to an hour that is still here.
                before = self._before
                self._before = here if here.cells else None
                self._here = here = (
                    before if before is not None and before.number == number else _Hour(number)
                )
            return here

    def _open(self, here: _Hour, subject: Series) -> _Cell | None:
        with self._lock:
            found = here.cells.get(subject)
            if found is None:
                if subject[1] not in self._seeds or len(here.cells) >= UNIT_SERIES_LIMIT:
                    self.not_counted += 1
                    return None
                found = here.cells[subject] = _Cell()
            return found
