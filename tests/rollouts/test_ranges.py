"""Properties over random histories of moves. Exact: sets and sequences of all 100,000 buckets, no samples."""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.rollouts import ranges
from controlplane.rollouts.ranges import Moved, Stacks, moved, reallocate, rest_of
from controlplane.runtime.bucketing import BUCKETS, owns, size

GOLDEN = Path(__file__).parent / "golden" / "reallocate.json"
WHOLE: Stacks = [[[0, BUCKETS]], []]

SHARES = st.integers(0, BUCKETS)
HISTORIES = st.lists(SHARES | st.sampled_from([0, 1, 99_999, BUCKETS]), max_size=8)


@st.composite
def divisions(draw: st.DrawFn, variants: int) -> list[int]:
    """Shares of so many variants that add up to everybody."""
    cuts = sorted(draw(st.lists(SHARES, min_size=variants - 1, max_size=variants - 1)))
    edges = [0, *cuts, BUCKETS]
    return [edges[index + 1] - edges[index] for index in range(variants)]


# Each example walks all the buckets; no deadline, because a slow machine is no defect.
exhaustive = settings(max_examples=30, deadline=None)

HISTORIES_OF_MANY = st.integers(2, 5).flatmap(
    lambda variants: st.lists(divisions(variants), min_size=1, max_size=6)
)


def order(pairs: Sequence[Sequence[int]]) -> list[int]:
    """Every bucket of a stack in the order in which it was acquired: the definition, written out."""
    return [bucket for a, b in pairs for bucket in (range(a, b) if a < b else range(a - 1, b - 1, -1))]


def played(history: Sequence[Sequence[int]], start: Stacks) -> list[Stacks]:
    """The stacks after each step."""
    states = [start]
    for shares in history:
        states.append(reallocate(states[-1], shares))
    return states


def whole_for(variants: int) -> Stacks:
    return [[[0, BUCKETS]], *([] for _ in range(variants - 1))]


def as_two(shares: Sequence[int]) -> list[list[int]]:
    return [[BUCKETS - share, share] for share in shares]


@exhaustive
@given(HISTORIES_OF_MANY)
def test_every_bucket_has_exactly_one_owner_and_every_variant_its_share(history: list[list[int]]) -> None:
    for shares, stacks in zip(history, played(history, whole_for(len(history[0])))[1:], strict=True):
        assert [size(stack) for stack in stacks] == shares
        owned = sorted((min(pair), max(pair)) for stack in stacks for pair in stack)
        edges = [edge for pair in owned for edge in pair]
        assert edges[0] == 0
        assert edges[-1] == BUCKETS
        assert edges[1:-1:2] == edges[2:-1:2]


@exhaustive
@given(HISTORIES_OF_MANY)
def test_a_growing_variant_keeps_everybody_and_a_shrinking_one_gives_up_its_newest(
    history: list[list[int]],
) -> None:
    states = played(history, whole_for(len(history[0])))
    for before, after in itertools.pairwise(states):
        for old, new in zip(map(order, before), map(order, after), strict=True):
            shorter = min(len(old), len(new))
            assert old[:shorter] == new[:shorter]


@exhaustive
@given(HISTORIES_OF_MANY)
def test_only_the_difference_moves(history: list[list[int]]) -> None:
    states = played(history, whole_for(len(history[0])))
    for before, after in itertools.pairwise(states):
        counts = moved(before, after)
        differences = [size(new) - size(old) for old, new in zip(before, after, strict=True)]
        assert counts == [Moved(gained=max(each, 0), lost=max(-each, 0)) for each in differences]


@exhaustive
@given(HISTORIES, SHARES)
def test_with_two_variants_a_share_means_the_same_people_whatever_came_before(
    history: list[int], share: int
) -> None:
    straight = reallocate(WHOLE, [BUCKETS - share, share])
    roundabout = played(as_two([*history, share]), WHOLE)[-1]
    assert roundabout == straight  # the same bytes, so the same set and the same order too


@exhaustive
@given(HISTORIES, SHARES)
def test_with_two_variants_that_holds_from_any_beginning(history: list[int], share: int) -> None:
    """After a rollout was finished, the baseline's own order is no longer that of the numbers."""
    begun = [reallocate(WHOLE, [30_000, 70_000])[0] + reallocate(WHOLE, [30_000, 70_000])[1], []]
    straight = reallocate(begun, [BUCKETS - share, share])
    assert played(as_two([*history, share]), begun)[-1] == straight


def test_stopping_at_nothing_and_coming_back_gives_the_same_buckets() -> None:
    at_ten, at_none, again = played(as_two([10_000, 0, 10_000]), WHOLE)[1:]
    assert at_none == WHOLE
    assert again == at_ten


def test_a_staircase_of_all_hundred_percents_never_takes_anybody_out() -> None:
    inside: set[int] = set()
    for stacks in played(as_two(range(0, BUCKETS + 1, 1_000)), WHOLE)[1:]:
        now = set(order(stacks[1]))
        assert inside <= now
        inside = now
    assert inside == set(range(BUCKETS))


def test_the_runtime_reads_the_ranges_as_they_are_meant() -> None:
    _, candidate = played(as_two([50_000, 12_345]), WHOLE)[-1]
    inside = set(order(candidate))
    assert len(inside) == 12_345
    for bucket in (0, 87_654, 87_655, 87_656, 99_999):
        assert owns(candidate, bucket) == (bucket in inside)


@exhaustive
@given(HISTORIES_OF_MANY)
def test_neighbouring_pairs_are_merged(history: list[list[int]]) -> None:
    for stacks in played(history, whole_for(len(history[0]))):
        for stack in stacks:
            assert all(a != b for a, b in stack)
            joints = [(left, right) for left, right in itertools.pairwise(stack)]
            assert all(order([left])[-1] - order([right])[0] not in (-1, 1) for left, right in joints)


@pytest.mark.parametrize("shares", [[1, 2], [BUCKETS], [BUCKETS + 1, -1], [BUCKETS, 1], []])
def test_shares_that_do_not_add_up_are_refused(shares: list[int]) -> None:
    with pytest.raises(ValueError, match="do not divide"):
        reallocate(WHOLE, shares)


@exhaustive
@given(HISTORIES)
def test_a_gate_is_one_owner_against_nobody(history: list[int]) -> None:
    gate = [[0, BUCKETS]]
    for share in history:
        before = order(gate)
        gate = reallocate([gate, rest_of(gate)], [share, BUCKETS - share])[0]
        after = order(gate)
        assert after == list(range(share))
        assert before[: len(after)] == after[: len(before)]


@exhaustive
@given(st.lists(st.integers(0, BUCKETS), max_size=9, unique=True))
def test_the_rest_is_exactly_what_the_owner_does_not_hold(edges: list[int]) -> None:
    edges.sort()
    pairs = [edges[place : place + 2] for place in range(0, len(edges) - 1, 2)]
    rest = order(rest_of(pairs))
    assert rest == sorted(rest, reverse=True)
    assert sorted([*rest, *order(pairs)]) == list(range(BUCKETS))


@pytest.mark.parametrize("case", json.loads(GOLDEN.read_text()), ids=lambda case: case["name"])
def test_golden_reallocations(case: dict[str, object]) -> None:
    """Anyone who writes this in another language must come to the same pairs."""
    assert reallocate(case["before"], case["shares"]) == case["after"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "buckets"),
    [
        ("0", 0),
        ("0.001", 1),
        ("12.345", 12_345),
        ("12.5", 12_500),
        (" 10 % ", 10_000),
        ("10%", 10_000),
        ("100", 100_000),
        ("100.000", 100_000),
        ("007.5", 7_500),
    ],
)
def test_shares_are_read_exactly(text: str, buckets: int) -> None:
    assert ranges.parse_share(text) == buckets


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "from 0 to 100"),
        ("  ", "from 0 to 100"),
        ("%", "from 0 to 100"),
        ("abc", "plain digits"),
        ("100.0001", "three decimals"),
        ("0.0000", "three decimals"),
        ("100.001", "100 or less"),
        ("101", "100 or less"),
        ("9" * 5_000, "100 or less"),
        ("-1", "0 or more"),
        ("-0.5", "0 or more"),
        ("+1", "plain digits"),
        ("1e3", "plain digits"),
        ("NaN", "plain digits"),
        ("inf", "plain digits"),
        ("٥", "plain digits"),
        ("½", "plain digits"),
        ("1_000", "plain digits"),
        ("0x10", "plain digits"),
        ("1.", "plain digits"),
        (".5", "plain digits"),
        ("12,5", "12.5"),
        ("1\u00a0000", "plain digits"),
        ("10\x00", "plain digits"),
    ],
)
def test_what_is_no_share_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ranges.parse_share(text)


@exhaustive
@given(SHARES)
def test_every_share_is_written_as_it_is_read(share: int) -> None:
    assert ranges.parse_share(ranges.format_share(share)) == share
    assert ranges.parse_share(ranges.share_words(share)) == share
