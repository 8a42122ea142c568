import base64
import json
from collections import Counter
from typing import Any

import pytest

from controlplane.runtime import Client
from controlplane.runtime.bucketing import BUCKETS, bucket
from controlplane.runtime.heartbeat import UNITS_LIMIT, Heartbeat
from controlplane.runtime.metrics import Metrics
from controlplane.runtime.sketch import estimate, unpacked
from controlplane.runtime.stores.base import HEARTBEAT_LIMIT
from controlplane.runtime.stores.memory import MemoryStore
from controlplane.runtime.units import HOUR, OUTSIDE, TOLD_EVERY, UNIT_SERIES_LIMIT, Units
from tests.runtime import coaching
from tests.runtime.coaching import Place, Published

KEY = "configuration/COACHING_RESPONSE/premium/*"
NOON = 500_000 * HOUR
ROOM = 1_000_000


class Clock:
    def __init__(self) -> None:
        self.now = float(NOON)

    def __call__(self) -> float:
        return self.now


def called(units: Units, count: int, *, version: int = 7, key: str = KEY, kind: str = "user") -> None:
    for number in range(count):
        units.count(key, kind, f"u-{number}", version)


def series(units: Units, limit: int = ROOM) -> dict[tuple[Any, ...], tuple[int, int, int]]:
    """What is told: calls, calls without a unit and different units, by hour, key, kind and version."""
    told = [each for _ in range(TOLD_EVERY) for each in json.loads(json.dumps(units.told(limit)))["series"]]
    return {
        (hour - NOON // HOUR, key, kind, version): (
            calls,
            without,
            round(estimate(unpacked(base64.b64decode(data)))),
        )
        for hour, key, kind, version, calls, without, data in told
    }


def test_different_units_are_counted_by_configuration_and_version() -> None:
    units = Units("production", clock=Clock())
    for _ in range(3):
        called(units, 20)
    called(units, 5, version=8)
    called(units, 9, key="gate/COACHING_RESPONSE", version=OUTSIDE)
    assert series(units) == {
        (0, KEY, "user", 7): (60, 0, 20),
        (0, KEY, "user", 8): (5, 0, 5),
        (0, "gate/COACHING_RESPONSE", "user", OUTSIDE): (9, 0, 9),
    }


@pytest.mark.parametrize("nobody", [None, ""])
def test_a_call_that_names_nobody_is_told_and_not_counted(nobody: str | None) -> None:
    units = Units("production", clock=Clock())
    called(units, 3)
    units.count(KEY, "user", nobody, 7)
    assert series(units) == {(0, KEY, "user", 7): (4, 1, 3)}


def test_half_a_surrogate_pair_is_a_unit_like_any_other() -> None:
    units = Units("production", clock=Clock())
    units.count(KEY, "user", "half a pair \ud83d", 7)
    assert series(units) == {(0, KEY, "user", 7): (1, 0, 1)}


def test_an_hour_is_told_until_the_next_one_is_over() -> None:
    clock = Clock()
    units = Units("production", clock=clock)
    called(units, 5)
    clock.now += HOUR
    called(units, 3)
    assert series(units) == {(0, KEY, "user", 7): (5, 0, 5), (1, KEY, "user", 7): (3, 0, 3)}
    clock.now += HOUR
    assert series(units) == {(1, KEY, "user", 7): (3, 0, 3)}
    clock.now += HOUR
    assert series(units) == {}


def test_a_clock_that_is_set_back_goes_on_with_the_hour_it_comes_to() -> None:
    clock = Clock()
    units = Units("production", clock=clock)
    called(units, 5)
    clock.now += HOUR
    called(units, 3)
    clock.now -= HOUR
    units.count(KEY, "user", "somebody else", 7)
    assert series(units)[0, KEY, "user", 7] == (6, 0, 6)


def test_two_processes_put_a_unit_into_the_same_register_and_two_environments_do_not() -> None:
    told = []
    for environment in ("production", "production", "staging"):
        units = Units(environment, clock=Clock())
        called(units, 50)
        told.append(units.told(ROOM)["series"])
    assert told[0] == told[1] != told[2]


def test_the_number_of_series_is_bounded_and_what_is_left_out_is_told() -> None:
    units = Units("production", clock=Clock())
    for number in range(UNIT_SERIES_LIMIT + 3):
        units.count(KEY, "user", "u-1", number)
    units.count(KEY, "no kind of ours", "u-1", 1)
    told = units.told(ROOM)
    assert (len(told["series"]), told["not_sent"], told["not_counted"]) == (UNIT_SERIES_LIMIT, 0, 4)


def test_a_series_is_told_when_it_is_new_or_has_doubled_and_else_now_and_then() -> None:
    units = Units("production", clock=Clock())
    called(units, 10)
    assert beats_told(units, 2 * TOLD_EVERY + 1) == [0, TOLD_EVERY, 2 * TOLD_EVERY]
    called(units, 9)
    assert beats_told(units, 1) == []
    called(units, 1)
    assert beats_told(units, 1) == [0]


def beats_told(units: Units, beats: int) -> list[int]:
    return [beat for beat in range(beats) if units.told(ROOM)["series"]]


def test_where_there_is_little_room_the_busiest_are_told_first_and_all_in_their_turn() -> None:
    units = Units("production", clock=Clock())
    for number in range(200):
        called(units, 30 if number in {77, 133} else 1, version=number)
    told: Counter[int] = Counter()
    for beat in range(20):
        found = units.told(3_000)
        assert len(json.dumps(found)) < 3_500
        if not told:
            assert len(found["series"]) + found["not_sent"] == 200
        versions = [each[3] for each in found["series"]]
        assert len(set(versions)) == len(versions)
        if beat == 0:
            assert set(versions[:2]) == {77, 133}
        told.update(versions)
        for _ in range(5):  # one that is always busy keeps nobody else from being told
            called(units, 30, version=77)
    assert len(told) == 200
    assert told[77] > 5


def test_a_beat_with_all_that_can_be_counted_fits() -> None:
    metrics = Metrics("production")
    for number in range(UNIT_SERIES_LIMIT):
        called(metrics.units, 20, key=f"configuration/INTERACTION_{number}_{'x' * 60}/premium/*")
        metrics.answered(
            f"INTERACTION_{number}_{'x' * 60}",
            "premium",
            "LARGE",
            number,
            path="configuration",
            seconds=1.0,
            input_tokens=1,
            output_tokens=1,
            cost=None,
        )
    store = MemoryStore()
    heartbeat = Heartbeat(store, Client(store, "production", environ={}), metrics)
    data = heartbeat.document()
    told = json.loads(data)
    assert len(data) <= HEARTBEAT_LIMIT
    assert len(json.dumps(told["units"])) < UNITS_LIMIT * 1.1
    assert len(told["units"]["series"]) > 50
    assert len(told["metrics"]["variants"]) > 20


def test_nothing_that_is_told_names_anybody() -> None:
    units = Units("production", clock=Clock())
    units.count(KEY, "user", "alan.turing@example.com", 7)
    assert "turing" not in json.dumps(units.told(ROOM))


def test_a_register_says_nothing_about_a_bucket() -> None:
    """In a table of 16 bands of registers by 10 of buckets, chi-square as chance has it (135 degrees of freedom)."""
    ids = [f"u-{number}" for number in range(9_000)]
    pairs: Counter[tuple[int, int]] = Counter()
    for some in batched(ids, UNIT_SERIES_LIMIT):
        units = Units("production", clock=Clock())
        for version, unit in enumerate(some):
            units.count(KEY, "user", unit, version)
        for _, _, _, version, _, _, data in units.told(ROOM)["series"]:
            registers = unpacked(base64.b64decode(data))
            number = bucket("1f4b8a5ce0d29376", "user", some[version], algorithm="v2")
            pairs[registers.index(max(registers)) // 64, number * 10 // BUCKETS] += 1
    expected = len(ids) / 160
    chi = sum((pairs[row, column] - expected) ** 2 / expected for row in range(16) for column in range(10))
    assert sum(pairs.values()) == len(ids)
    assert chi < 240  # chance exceeds it once in ten million times


def batched(ids: list[str], size: int) -> list[list[str]]:
    return [ids[start : start + size] for start in range(0, len(ids), size)]


async def test_calls_of_the_service_are_counted_by_whoever_is_bucketed() -> None:
    entries = coaching.documents()
    entries["gate/COACHING_RESPONSE"] = {"salt": "9f", "unit": "user", "ranges": [[0, 50_000]]}
    metrics = Metrics("production")
    releases = Published.of(entries).client
    for number in range(20):
        place = Place(releases=releases, metrics=metrics, user_id=f"u-{number}")
        await place.ask()
        await place.ask()
    told = metrics.units.told(ROOM)["series"]
    counted = {
        (each[1], each[2]): (each[4], round(estimate(unpacked(base64.b64decode(each[6]))))) for each in told
    }
    answered = sum(calls for (key, _), (calls, _) in counted.items() if key.startswith("configuration/"))
    outside = counted["gate/COACHING_RESPONSE", "user"]
    assert answered + outside[0] == 40
    assert 0 < outside[1] == outside[0] // 2 < 20
    assert sum(units for _, units in counted.values()) == 20
