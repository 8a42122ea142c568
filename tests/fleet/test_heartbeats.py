import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.fleet.heartbeats import USUAL_SECONDS, Beat, read
from controlplane.runtime.heartbeat import Heartbeat
from controlplane.runtime.lookup import LookupSource
from controlplane.runtime.metrics import Metrics
from controlplane.runtime.stores.base import HEARTBEAT_LIMIT
from tests.fleet.processes import Running
from tests.runtime.faults import FaultyStore, release_bytes

PROCESS = "host-7:123:abcd"


def document(**changes: Any) -> bytes:
    return json.dumps(
        {
            "schema": 1,
            "started": "2026-11-22T10:00:00.000+00:00",
            "written": "2026-11-22T10:05:00.000+00:00",
            "seconds": 4.0,
            "poll_seconds": 2,
            "release": 7,
            "sha256": "a" * 64,
            "serving_since": "2026-11-22T10:04:00.000+00:00",
            "source": "store",
            "held_back": {"prompt/x": "because"},
            "thrown": ["everything"],
            "versions": {"python": "3.11.9"},
            "last_error": "no",
            "metrics": {"call": {"counts": [1, 2, 3]}, "errors": {"timeout": 4}},
            **changes,
        }
    ).encode()


def test_what_a_client_tells_is_read_whole() -> None:
    store = FaultyStore()
    store.publish(4, release_bytes())
    process = Running(store, poll_seconds=3.0)
    process.metrics.error("COACHING_RESPONSE", "timeout")
    before = dt.datetime.now(dt.UTC)
    process.look()

    beat = read(process.name, store.read_heartbeats("production")[process.name])

    assert process.client.snapshot is not None
    assert (beat.release, beat.sha256) == (4, process.client.snapshot.sha256)
    assert (beat.source, beat.poll_seconds, beat.interval_seconds) == ("store", 3.0, 10.0)
    assert (beat.calls, beat.errors, beat.held_back, beat.problem) == (0, 1, 0, None)
    assert process.name.startswith(f"{beat.host}:")
    assert beat.serving_since is not None
    assert beat.started_at is not None
    # A millisecond is what is told.
    assert abs(beat.serving_since - before) < dt.timedelta(seconds=30)


def test_what_a_lookup_source_tells_is_read_whole() -> None:
    store = FaultyStore()
    pointer = store.publish(4, release_bytes())
    source = LookupSource(store, "production", environ={}, poll_seconds=7.0)
    source.refresh()
    heartbeat = Heartbeat(store, source, Metrics("production"))
    assert heartbeat.beat()

    beat = read(heartbeat.process, store.read_heartbeats("production")[heartbeat.process])

    assert (beat.release, beat.sha256, beat.source) == (4, pointer.sha256, "lookup")
    assert (beat.poll_seconds, beat.serving_since is not None) == (7.0, True)
    source.close()


def test_every_part_is_read() -> None:
    beat = read(PROCESS, document())
    assert beat == Beat(
        host="host-7",
        beat="2026-11-22T10:05:00.000+00:00",
        started_at=dt.datetime(2026, 11, 22, 10, tzinfo=dt.UTC),
        interval_seconds=4.0,
        poll_seconds=2.0,
        release=7,
        sha256="a" * 64,
        serving_since=dt.datetime(2026, 11, 22, 10, 4, tzinfo=dt.UTC),
        held_back=1,
        source="store",
        versions={"python": "3.11.9"},
        thrown=["everything"],
        calls=6,
        errors=4,
        problem="no",
    )


@pytest.mark.parametrize(
    ("name", "value", "field", "expected"),
    [
        ("release", 0, "release", None),
        ("release", 2**31, "release", None),
        ("release", "7", "release", None),
        ("release", True, "release", None),
        ("sha256", "a" * 64 + "\n", "sha256", None),
        ("sha256", "x", "sha256", None),
        ("seconds", -1, "interval_seconds", USUAL_SECONDS),
        ("seconds", 1e300, "interval_seconds", USUAL_SECONDS),
        ("poll_seconds", None, "poll_seconds", None),
        ("started", "yesterday", "started_at", None),
        ("started", "2026-11-22T10:00:00", "started_at", None),
        ("serving_since", "0001-01-01T00:00:00+14:00", "serving_since", None),
        ("serving_since", None, "serving_since", None),
        ("metrics", {"errors": {"x": -1}}, "errors", 0),
        ("metrics", [], "calls", 0),
        ("versions", "3.11", "versions", {}),
        ("thrown", ["a"] * 1000, "thrown", ["a"] * 20),
        ("thrown", [7], "thrown", []),
        ("last_error", "a\x00b\u202ec\nd", "problem", "a b c d"),
        ("last_error", "x" * 5000, "problem", "x" * 500),
        ("held_back", 7, "held_back", 0),
    ],
)
def test_a_part_that_is_none_is_left_out_and_the_rest_believed(
    name: str, value: object, field: str, expected: object
) -> None:
    beat = read(PROCESS, document(**{name: value}))
    assert getattr(beat, field) == expected
    untouched = ("release", "sha256") if name not in {"release", "sha256"} else ("poll_seconds", "source")
    assert all(getattr(beat, each) for each in untouched)


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"7", b"\xff", b"{", b"[" * 60_000, b'{"release":', b" " * (HEARTBEAT_LIMIT + 1)],
    ids=["nothing", "list", "number", "no text", "open", "deep", "cut", "long"],
)
def test_what_cannot_be_read_is_told(data: bytes) -> None:
    beat = read(PROCESS, data)
    assert (beat.host, beat.release, beat.problem) == ("host-7", None, "Its heartbeat cannot be read.")


def test_what_is_deep_inside_does_no_harm() -> None:
    deep = b'{"release": 7, "metrics": ' + b'{"errors":' * 5000 + b"1" + b"}" * 5000 + b"}"
    assert read(PROCESS, deep).errors == 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
NAMES = tuple(json.loads(document()))


@given(st.dictionaries(st.sampled_from(NAMES), JSON), st.text(min_size=1, max_size=300))
def test_nothing_that_is_told_raises_or_cannot_be_kept(told: dict[str, Any], process: str) -> None:
    beat = read(process, json.dumps(told).encode())
    texts = [beat.host, beat.beat, beat.problem or "", beat.source or "", *beat.thrown, *beat.versions]
    assert all(text.isprintable() and len(text) <= 500 for text in texts)
    assert 0 <= beat.calls < 2**63
    assert 0 <= beat.errors < 2**63
