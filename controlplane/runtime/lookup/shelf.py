"""Caches that read what they miss: bounded, with an age at which an entry is read again, and patient with a dead store."""

import random
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from functools import partial
from typing import Final, Generic, TypeVar

from controlplane.runtime.errors import ControlPlaneRuntimeError, StoreUnavailable
from controlplane.runtime.lookup.readers import Readers

Clock = Callable[[], float]
KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")

_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 30.0
_REFUSED_SECONDS: Final = 5.0
_EARLIER: Final = 0.1
_FREED: Final = 8


class Held(Generic[ValueT]):
    """One thing in a cache; what is beyond its age is still there for when the store is not."""

    __slots__ = ("expires", "used", "value")

    def __init__(self, value: ValueT, *, expires: float, used: float) -> None:
        self.value = value
        self.expires = expires
        self.used = used


class Cache(Generic[KeyT, ValueT]):
    """At most `capacity` things by key; those used longest ago make room.

    A plain dict without a lock: a reader looks once, writers put whole things, and two who make room at once free a
    little too much.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._items: dict[KeyT, Held[ValueT]] = {}
        # The one step of a look-up that finds something; a method of ours would cost as much again.
        self.get = self._items.get

    def __len__(self) -> int:
        """Return how many things it holds."""
        return len(self._items)

    def put(self, key: KeyT, held: Held[ValueT]) -> None:
        """Keep a thing, in place of the one there was."""
        self._items[key] = held
        if len(self._items) > self._capacity:
            oldest = sorted(self._items.copy().items(), key=lambda item: item[1].used)
            for item, _ in oldest[: max(1, self._capacity // _FREED)]:
                self._items.pop(item, None)

    def items(self) -> list[tuple[KeyT, Held[ValueT]]]:
        """Return all that it holds, each with its key."""
        return list(self._items.copy().items())

    def drop(self, key: KeyT) -> None:
        """Forget a thing, if it is there."""
        self._items.pop(key, None)


class Outage:
    """Whether a store is worth asking: after a failure only one caller asks, after a while that grows, until one succeeds."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.error: str | None = None
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._until = 0.0

    def asks(self) -> bool:
        """Say whether to ask now; who is told to ask is the only one for the length of a pause."""
        if not self._failures:
            return True
        with self._lock:
            moment = self._clock()
            if moment < self._until:
                return False
            self._until = moment + self._pause()
            return True

    def failed(self, problem: str) -> None:
        """Note that the store did not answer."""
        with self._lock:
            self._failures += 1
            self._until = self._clock() + self._pause()
            self.error = problem

    def worked(self) -> None:
        """Note that the store answered."""
        if self._failures or self.error:
            with self._lock:
                self._failures, self.error = 0, None

    def renew(self) -> None:
        """Take a new lock, as a forked child must."""
        self._lock = threading.Lock()

    def _pause(self) -> float:
        longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(self._failures, 16))
        return longest * random.uniform(0.5, 1)  # noqa: S311 - processes must not come back together; no secret


class Shelf(Generic[KeyT, ValueT]):
    """A cache that can read what it lacks.

    What cannot be read at all is asked for again when the store's pause is over; what the store holds but nobody can use
    (`refused` says why) after five seconds. Either way what is held goes on being served, however old.
    """

    def __init__(
        self,
        read: Callable[[KeyT], ValueT],
        *,
        readers: Readers,
        outage: Outage,
        seconds: float,
        capacity: int,
        clock: Clock,
    ) -> None:
        self._read = read
        self._readers = readers
        self._outage = outage
        self._seconds = seconds
        self._clock = clock
        self._held: Cache[KeyT, ValueT] = Cache(capacity)
        self._refused: Cache[KeyT, str] = Cache(capacity)

    def __len__(self) -> int:
        """Return how many things it holds."""
        return len(self._held)

    def get(self, key: KeyT) -> Held[ValueT] | None:
        """Return a thing, however old, or None when it is not there."""
        held = self._held.get(key)
        if held is not None:
            held.used = self._clock()
        return held

    def fresh(self, key: KeyT) -> bool:
        """Say whether a thing is there and not due to be read again."""
        held = self._held.get(key)
        return held is not None and self._clock() < held.expires

    @property
    def error(self) -> str | None:
        """Why something was refused that has not been read well since."""
        return next((held.value for _, held in self._refused.items()), None)

    def refused(self, key: KeyT) -> str | None:
        """Return why a thing was refused a moment ago."""
        held = self._refused.get(key)
        return held.value if held is not None and self._clock() < held.expires else None

    def reads(self, *keys: KeyT) -> "list[Future[None]]":
        """Begin to read those that are missing or due, as far as that makes sense now."""
        due = [key for key in keys if not self.fresh(key) and self.refused(key) is None]
        if not due or not self._outage.asks():
            return []
        return [self._readers.read((self, key), partial(self._fill, key)) for key in due]

    def _fill(self, key: KeyT) -> None:
        if self.fresh(key):  # a read ended between somebody's look and their asking for another
            return
        try:
            value = self._read(key)
        except StoreUnavailable as problem:
            self._outage.failed(str(problem))
        except ControlPlaneRuntimeError as problem:
            self._outage.worked()
            self._refuse(key, str(problem))
        except Exception as problem:  # whatever a store raises, a call goes on without it
            self._outage.failed(f"unexpected {type(problem).__name__}: {problem}")
        else:
            self._outage.worked()
            self._refused.drop(key)
            moment = self._clock()
            # What was read together is not read again together.
            lasts = self._seconds * random.uniform(1 - _EARLIER, 1)  # noqa: S311 - no secret
            self._held.put(key, Held(value, expires=moment + lasts, used=moment))

    def _refuse(self, key: KeyT, problem: str) -> None:
        moment = self._clock()
        self._refused.put(key, Held(problem, expires=moment + _REFUSED_SECONDS, used=moment))
