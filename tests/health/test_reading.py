import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.health.reading import Counts, Subject, read
from controlplane.runtime.stores.base import HEARTBEAT_LIMIT
from tests.health.counting import BEGUN, Counting

SUBJECT = Subject("COACHING_RESPONSE", "premium", "premium/*", 1)


def test_calls_are_added_up_over_models_and_told_by_what_became_of_them() -> None:
    process = Counting()
    process.answered(3)
    process.answered(2, model="SMALL")
    process.failed(4)
    process.failed(1, "content_filter")
    process.failed(2, "parse")  # answered, and unreadable: a call of the five above
    for step in ("fallback_model", "render_failed", "last_good_template", "no_template"):
        process.stepped_down(step)
    found = read(process.beat(BEGUN))
    assert found is not None
    counts = found.counts[SUBJECT]
    assert (counts.answered, counts.failed, counts.elsewhere, counts.asked) == (5, 5, 1, 11)
    assert (counts.unusable, counts.fallbacks) == (3, 3)
    assert (counts.output_tokens, counts.cost, sum(counts.times)) == (500, 2.5, 5)
    assert (found.whole, found.started_at, found.written_at) == (True, BEGUN, BEGUN)


def test_a_process_with_an_older_library_tells_less() -> None:
    variant = {"interaction": "X", "tier": None, "variant": 3, "calls": 5, "errors": 2, "fallbacks": 1}
    found = read(json.dumps({"metrics": {"variants": [variant]}}).encode())
    assert found is not None
    (subject, counts), *_ = found.counts.items()
    assert subject == Subject("X", "", "", 3)
    assert (counts.answered, counts.failed, counts.fallbacks, sum(counts.times)) == (5, 2, 1, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"calls": -1},
        {"calls": 1e300},
        {"cost": -0.5},
        {"interaction": 7},
        {"variant": 0},
        {"tier": "x" * 200},
    ],
    ids=str,
)
def test_a_part_that_cannot_be_is_left_out_and_the_rest_is_believed(wrong: dict[str, Any]) -> None:
    good = {"interaction": "X", "variant": 3, "calls": 5}
    told = {
        "metrics": {"variants": [{**good, **wrong}, good], "lookup": {"counts": "no"}, "caches": {"a/hit": 2}}
    }
    found = read(json.dumps(told).encode())
    assert found is not None
    assert [counts.answered for counts in found.counts.values()] == [5]
    assert found.lookups.hits == 0


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["metrics", "variants", "started", "interaction", "counts", "kinds", "caches"]
                ),
                inner,
            )
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_whatever_it_is_it_is_read_or_not(data: bytes) -> None:
    read(data)


def test_one_that_is_too_large_is_not_read() -> None:
    assert read(b" " * (HEARTBEAT_LIMIT + 1)) is None


def test_what_came_since_is_never_less_than_nothing() -> None:
    older, newer = Counts(answered=5, cost=1.0), Counts(answered=7, cost=1.5, failed=1)
    assert newer.since(older) == Counts(answered=2, cost=0.5, failed=1)
    assert older.since(newer) == Counts()
    assert older.or_later(newer) == newer.or_later(older) == newer
