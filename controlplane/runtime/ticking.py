"""When a client asks again, and the thread on which it does."""

import random
import threading
from collections.abc import Callable
from typing import Final

LONGEST_WAIT: Final = 300.0
_SPREAD: Final = 0.2
_DOUBLINGS: Final = 16

Uniform = Callable[[float, float], float]


class Pace:
    """How many seconds to wait before the next request; `uniform(least, most)` is where chance comes in.

    Processes that start together, or fail together, must not ask together ever after: the first wait is anything up to a
    whole interval, and after failures the wait is drawn from a range that doubles ("full jitter").
    """

    def __init__(self, seconds: float, *, uniform: Uniform = random.uniform) -> None:
        self._seconds = seconds
        self._uniform = uniform

    def first(self) -> float:
        """The wait after the first request of all."""
        return self._uniform(0, self._usual())

    def next(self, failures: int = 0) -> float:
        """The wait after a request, the last so many of which failed.

        Never more than the interval while all is well, so that a change is seen within it; never less than that after
        a failure, so that a store in trouble is asked no more often than a healthy one.
        """
        usual = self._usual()
        if not failures:
            return usual
        longest = max(self._seconds, min(LONGEST_WAIT, self._seconds * 2 ** min(failures, _DOUBLINGS)))
        return max(usual, self._uniform(0, longest))

    def _usual(self) -> float:
        return self._uniform((1 - _SPREAD) * self._seconds, self._seconds)


class Ticker:
    """Does one thing again and again on a thread of its own; `pause` says after each time how long to wait.

    `tick` must not raise. The thread is a daemon: it does not hold up the end of the program.
    """

    def __init__(
        self, name: str, tick: Callable[[], None], *, first: Callable[[], float], pause: Callable[[], float]
    ) -> None:
        self._name = name
        self._tick = tick
        self._first = first
        self._pause = pause
        self._thread: threading.Thread | None = None
        self._make_primitives()

    def start(self, *, at_once: bool) -> None:
        """Begin, now or after the first wait; raises `RuntimeError` when the system gives no more threads."""
        thread = threading.Thread(target=self._run, kwargs={"at_once": at_once}, name=self._name, daemon=True)
        thread.start()
        self._thread = thread

    def wake(self) -> None:
        """Cut the present wait short."""
        self._woken.set()

    def stop(self) -> None:
        """Have the thread end after what it does now."""
        self._stopped = True
        self._woken.set()

    def join(self, timeout: float) -> None:
        """Wait for the end of the thread."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def after_fork(self, *, restart: bool) -> None:
        """In a child there is no thread but the one that forked; what this one held is held for ever."""
        self._make_primitives()
        if restart:
            self.start(at_once=False)

    def _run(self, *, at_once: bool) -> None:
        if at_once:
            self._tick()
        wait = self._first()
        while True:
            self._woken.wait(wait)
            self._woken.clear()
            if self._stopped:
                return
            self._tick()
            wait = self._pause()

    def _make_primitives(self) -> None:
        self._thread = None
        self._woken = threading.Event()
        self._stopped = False
