import base64
import json
from typing import Any

import pytest

from controlplane.runtime.sketch import EMPTY, packed
from controlplane.runtime.stores.base import HEARTBEAT_LIMIT
from controlplane.units.told import Subject, Told, read
from tests.units.calling import PREMIUM, Process

SKETCH = base64.b64encode(packed(EMPTY)).decode()
GOOD = [495_000, PREMIUM, "user", 3, 10, 4, SKETCH]


def beat(*series: Any) -> bytes:
    return json.dumps(
        {"schema": 1, "metrics": {"a": "b"}, "units": {"series": series, "not_sent": 0}}
    ).encode()


def test_what_a_process_tells_is_read_whole() -> None:
    process = Process().call([1, 2, None], 3)
    ((subject, told),) = read(process.beat())
    hour = process.at.replace(minute=0, second=0, microsecond=0)
    assert subject == Subject(hour, PREMIUM, "user", 3)
    assert (told.calls, told.without, len(set(told.registers))) == (3, 1, len({0, *told.registers}))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"units": null}',
        b'{"units": {"series": 7}}',
        b'{"units": {"series": [' + b"[" * 5_000 + b"]" * 5_000 + b"]}}",
        b" " * (HEARTBEAT_LIMIT + 1) + beat(GOOD),
    ],
    ids=["empty", "no text", "a list", "of before", "null", "a number", "deep", "too long"],
)
def test_a_heartbeat_without_any_tells_nothing(data: bytes) -> None:
    assert list(read(data)) == []


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (0, -1),
        (0, 2**60),
        (0, "now"),
        (1, "model/LARGE"),
        (1, "configuration/a\x00b"),
        (1, "configuration/" + "x" * 500),
        (1, None),
        (2, "elephant"),
        (3, -1),
        (3, 2**31),
        (4, -1),
        (5, 1e300),
        (6, "?"),
        (6, base64.b64encode(b"no sketch").decode()),
        (6, SKETCH[:-4]),
    ],
)
def test_a_series_that_is_none_is_left_out_and_the_others_are_believed(place: int, value: Any) -> None:
    bad = [*GOOD[:place], value, *GOOD[place + 1 :]]
    assert len(list(read(beat(GOOD, bad, GOOD)))) == 2


def test_a_part_is_never_more_than_the_whole() -> None:
    ((_, told),) = read(beat([*GOOD[:4], 3, 9, SKETCH]))
    assert (told.calls, told.without) == (3, 3)


def test_putting_the_same_together_again_changes_nothing() -> None:
    one, other = (next(read(Process().call(who).beat()))[1] for who in (range(9), [3, None, 70, 71]))
    both = one.with_(other)
    assert both == other.with_(one) == both.with_(one) == both.with_(other)
    assert both != one
    assert Told().with_(one) == one
