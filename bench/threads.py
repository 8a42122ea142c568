"""Eight threads that ask one release, against one thread that asks as often.

Throughput is calls for each second: once of processor time, which other programs cannot disturb, and once of the clock on
the wall, which also shows threads that wait for each other. p99 is by the wall's clock for the same reason.

Floor: one thread. Limits: at least 0.85 of its throughput, at most 2 × its p99. A lock on the read path would halve
the one and raise the other twentyfold.
"""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

from bench.effort import Effort
from bench.figures import Figure, Limit
from bench.releases import load, requests
from bench.timing import Clock, Pair, each_call, in_turns, per_call, percentile
from controlplane.runtime import Request, resolve

THREADS = 8
_THROUGHPUT = Limit(0.85, at_least=True)
_P99 = Limit(2)
_NOW = datetime(2026, 1, 1, tzinfo=UTC)

Ask = Callable[[Request], object]


def run(effort: Effort) -> list[Figure]:
    """Measure."""
    live = load(effort.sizes[1])
    ask = partial(resolve, live, now=_NOW)
    # Long enough for each thread to be interrupted several times: the interpreter changes threads every 5 ms.
    asked = requests(live, effort.calls) * 8
    rounds = max(2, effort.rounds // 3)
    return [
        _throughput("processor time", ask, asked, time.process_time_ns, rounds),
        _throughput("the wall's clock", ask, asked, time.perf_counter_ns, rounds),
        _slowest(ask, asked, rounds),
    ]


def _throughput(by: str, ask: Ask, asked: Sequence[Request], clock: Clock, rounds: int) -> Figure:
    alone = list(asked) * THREADS
    pair = in_turns(
        lambda: 1e9 / _together(ask, asked, clock),
        lambda: 1e9 / per_call(ask, alone, clock=clock),
        rounds=rounds,
    )
    name = f"calls a second, {THREADS} threads to one, by {by}"
    return Figure(name, pair.subject, "/s", pair.floor, pair.ratio, _THROUGHPUT)


def _together(ask: Ask, asked: Sequence[Request], clock: Clock) -> float:
    """Return the nanoseconds of one call while all threads ask, from the moment when all are ready."""
    ready = threading.Barrier(THREADS + 1)

    def work() -> None:
        ready.wait()
        per_call(ask, asked)

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    ready.wait()
    began = clock()
    for thread in threads:
        thread.join()
    return max(1, clock() - began) / (len(asked) * THREADS)


def _slowest(ask: Ask, asked: Sequence[Request], rounds: int) -> Figure:
    def many() -> float:
        taken: list[list[int]] = []

        def work() -> None:
            taken.append(each_call(ask, asked, clock=time.perf_counter_ns))

        threads = [threading.Thread(target=work) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return percentile([one for calls in taken for one in calls], 99)

    def alone() -> float:
        return percentile(each_call(ask, list(asked) * THREADS, clock=time.perf_counter_ns), 99)

    pair: Pair = in_turns(many, alone, rounds=rounds)
    return Figure(
        f"resolve p99, {THREADS} threads to one", pair.subject / 1e3, "µs", pair.floor / 1e3, pair.ratio, _P99
    )
