"""How often a client asks: in virtual time, so that an hour takes no time at all."""

import heapq
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.runtime import Client
from controlplane.runtime.ticking import LONGEST_WAIT, Pace
from tests.runtime.faults import FaultyStore
from tests.runtime.serving import GOOD, gone

HOUR = 3600.0
intervals = st.floats(min_value=0.05, max_value=3600)
chances = st.randoms(use_true_random=False)


@given(intervals, chances)
def test_a_healthy_client_never_waits_longer_than_its_interval_nor_much_less(
    seconds: float, chance: random.Random
) -> None:
    pace = Pace(seconds, uniform=chance.uniform)
    assert 0 <= pace.first() <= seconds
    assert 0.8 * seconds <= pace.next() <= seconds


@given(intervals, st.integers(min_value=1, max_value=10_000), chances)
def test_a_failing_client_never_asks_sooner_than_a_healthy_one_and_gives_up_never(
    seconds: float, failures: int, chance: random.Random
) -> None:
    wait = Pace(seconds, uniform=chance.uniform).next(failures)
    assert 0.8 * seconds <= wait <= max(seconds, LONGEST_WAIT)


@pytest.mark.parametrize("seed", range(5))
def test_a_store_that_stays_down_for_an_hour_is_asked_a_few_dozen_times(seed: int) -> None:
    """The real client, whose waits are added up instead of waited for; it polls every five seconds."""
    random.seed(seed)
    store = FaultyStore()
    store.publish(1, GOOD)
    client = Client(store, "production")
    assert client.refresh()
    gone(store)
    asked, waits, now = 0, [], 0.0
    while now < HOUR:
        client.refresh()
        asked += 1
        waits.append(client.pause())
        now += waits[-1]
    assert asked < 80, "a healthy one would have asked 800 times"
    assert sum(waits[-5:]) > sum(waits[:5]), "it asks less and less often"
    store.heal()
    assert client.refresh()
    assert client.pause() <= 5, "and as before as soon as the store is back"


def test_a_store_that_is_back_is_asked_as_before_although_what_it_has_is_refused() -> None:
    store = FaultyStore()
    store.publish(1, GOOD)
    client = Client(store, "production")
    gone(store)
    for _ in range(10):
        client.refresh()
    store.heal()
    store.publish(2, b"rubbish")
    assert not client.refresh()
    assert client.failures == 0
    assert client.pause() <= 5


def requests_by_second(*, clients: int, seconds: float, until: float, down: range) -> Counter[int]:
    """How many of so many clients that start together ask in each second; in `down`, nobody gets an answer."""
    chance = random.Random(7)
    paces = [Pace(seconds, uniform=chance.uniform) for _ in range(clients)]
    due = [(0.0, number, -1) for number in range(clients)]  # -1: has not asked yet
    heapq.heapify(due)
    asked: Counter[int] = Counter()
    while due and due[0][0] < until:
        now, number, failures = heapq.heappop(due)
        asked[int(now)] += 1
        if failures < 0:
            wait, failures = paces[number].first(), 0
        else:
            failures = failures + 1 if int(now) in down else 0
            wait = paces[number].next(failures)
        heapq.heappush(due, (now + wait, number, failures))
    return asked


def test_two_thousand_clients_that_start_together_ask_evenly_ever_after() -> None:
    asked = requests_by_second(clients=2000, seconds=30, until=600, down=range(0))
    later = [asked[second] for second in range(30, 600)]
    mean = sum(later) / len(later)
    assert asked[0] >= 2000, "all of them, when they start"
    assert max(later) <= 1.5 * mean


def test_two_thousand_clients_do_not_storm_a_store_that_comes_back() -> None:
    asked = requests_by_second(clients=2000, seconds=30, until=1800, down=range(600, 1200))
    healthy = sum(asked[second] for second in range(300, 600)) / 300
    while_down = [asked[second] for second in range(800, 1200)]
    after = [asked[second] for second in range(1200, 1800)]
    assert sum(while_down) / len(while_down) < healthy / 2
    assert max(after) <= 1.5 * healthy
