"""States, cost, list and conflict: values in, values out."""

import datetime as dt
from decimal import Decimal

import pytest

from controlplane.configurations import conflict
from controlplane.configurations.listing import Filters, Row, listing
from controlplane.configurations.places import Place
from controlplane.configurations.states import State, standing
from controlplane.db import Json
from controlplane.registry import cost

NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
OFF: Json = {"active": False}
LATER: Json = {"effective_from": "2027-06-01T00:00:00Z"}
ENDED: Json = {"effective_until": "2026-11-22T12:00:00Z"}
INSIDE: Json = {"effective_from": "2026-11-22T12:00:00Z", "effective_until": "2026-11-22T12:00:01Z"}


def live(*shares: int) -> Json:
    return counting(*((share, {}) for share in shares))


def counting(*variants: tuple[int, Json]) -> Json:
    plain = {"model": "M", "prompt": {"code": "hello"}}
    return {
        "variants": [
            {"version": number, "ranges": [[0, share]], **plain, **window}
            for number, (share, window) in enumerate(variants, 1)
        ]
    }


@pytest.mark.parametrize(
    ("document", "saved", "archived", "state", "label", "sentence"),
    [
        (None, 1, False, State.NOT_LIVE, "Not live", "Nothing of this is live here."),
        (None, 1, True, State.ARCHIVED, "Archived", "Nothing of this is live here."),
        (live(100_000), 1, False, State.LIVE, "Live", "Version 1 for everyone."),
        (live(100_000), 2, False, State.DIFFERS, "Version 2 not live", "Version 1 for everyone."),
        (live(100_000), 1, True, State.DIFFERS, "Archived, still live", "Version 1 for everyone."),
        (
            live(87_500, 12_500),
            2,
            False,
            State.ROLLING,
            "Rolling out 12.5 %",
            "Version 2 for 12.5 %, version 1 for the rest.",
        ),
        (
            live(99_999, 1),
            3,
            False,
            State.ROLLING,
            "Rolling out 0.001 %",
            "Version 2 for 0.001 %, version 1 for the rest.",
        ),
    ],
)
def test_the_state_says_how_saved_stands_to_live(
    document: Json | None, saved: int, archived: bool, state: State, label: str, sentence: str
) -> None:
    found = standing(document, saved_version=saved, archived=archived, now=NOW)
    assert (found.state, found.label, found.sentence) == (state, label, sentence)


@pytest.mark.parametrize(
    ("document", "saved", "archived", "label", "sentence"),
    [
        (
            counting((100_000, OFF)),
            1,
            False,
            "Live, switched off",
            "Nobody gets it: version 1 is switched off.",
        ),
        (
            counting((100_000, LATER)),
            2,
            False,
            "Live, counts from 1 Jun 2027, 00:00 UTC",
            "Nobody gets it: version 1 counts from 1 Jun 2027, 00:00 UTC.",
        ),
        (
            counting((100_000, ENDED)),
            1,
            True,
            "Archived, still live, ended on 22 Nov 2026, 12:00 UTC",
            "Nobody gets it: version 1 ended on 22 Nov 2026, 12:00 UTC.",
        ),
        (
            counting((90_000, OFF), (10_000, LATER)),
            2,
            False,
            "Rolling out, for nobody",
            "Nobody gets it: version 1 is switched off, version 2 counts from 1 Jun 2027, 00:00 UTC.",
        ),
    ],
)
def test_what_is_live_and_does_not_count_is_for_nobody(
    document: Json, saved: int, archived: bool, label: str, sentence: str
) -> None:
    found = standing(document, saved_version=saved, archived=archived, now=NOW)
    assert (found.state, found.state.tone) == (State.IDLE, "paused")
    assert (found.label, found.sentence, found.others) == (label, sentence, "Calls")
    assert found.heading == "What is live, for nobody now"


def test_inside_its_window_it_is_live_like_any_other() -> None:
    found = standing(counting((100_000, INSIDE)), saved_version=1, archived=False, now=NOW)
    assert (found.label, found.sentence, found.others) == ("Live", "Version 1 for everyone.", None)


@pytest.mark.parametrize(
    ("document", "label", "sentence", "others"),
    [
        (
            counting((90_000, {}), (10_000, OFF)),
            "Rolling out 10 %, switched off",
            "Version 1 for everyone: version 2 is switched off.",
            None,
        ),
        (
            counting((90_000, OFF), (10_000, {})),
            "Rolling out 10 %",
            "Version 2 for 10 %, nothing of this for the rest: version 1 is switched off.",
            "The other calls",
        ),
    ],
)
def test_in_a_rollout_the_sentence_counts_only_what_counts(
    document: Json, label: str, sentence: str, others: str | None
) -> None:
    found = standing(document, saved_version=2, archived=False, now=NOW)
    assert (found.state, found.label, found.sentence) == (State.ROLLING, label, sentence)
    assert (found.others, found.heading) == (others, "What people get")


def test_a_version_outside_a_running_rollout_waits() -> None:
    assert standing(live(90_000, 10_000), saved_version=3, archived=False, now=NOW).waiting
    assert not standing(live(90_000, 10_000), saved_version=2, archived=False, now=NOW).waiting


def test_cost_is_for_a_round_call_and_cut_at_max_tokens() -> None:
    price = cost.Price(Decimal(3), Decimal(15))
    assert cost.per_thousand_calls(price) == Decimal("10.5")
    assert cost.per_thousand_calls(price, max_tokens=100) == Decimal("4.5")
    assert cost.per_thousand_calls(cost.Price(None, Decimal(1))) is None
    assert cost.per_thousand_calls(None) is None


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("1", "4.84", "+384 %"),
        ("2", "1", "−50 %"),
        ("1", "1", "the same"),
        ("0", "1", "was free"),
        ("1000", "1001", "about the same"),
    ],
)
def test_a_change_of_cost_is_told_in_words(before: str, after: str, words: str) -> None:
    assert cost.change_in_words(Decimal(before), Decimal(after)) == words
    assert cost.change_in_words(None, Decimal(after)) == ""


def row(interaction: str, tier: str | None, model: str, document: Json | None = None, day: int = 1) -> Row:
    stand = standing(document, saved_version=1, archived=False, now=NOW)
    at = dt.datetime(2026, 11, day, tzinfo=dt.UTC)
    return Row(Place(interaction, tier), model, "hello", None, stand, at, "ada", "because")


ROWS = [
    row("B", "premium", "X"),
    row("A", None, "Y", live(100_000), day=2),
    row("B", None, "X", live(100_000), day=3),
]


def places(filters: Filters) -> list[str]:
    return [each.place.path for each in listing(ROWS, filters).rows]


def test_the_list_is_sorted_and_filtered_by_all_that_the_address_says() -> None:
    assert places(Filters()) == ["A/default", "B/default", "B/premium"]
    assert places(Filters(sort="changed")) == ["B/default", "A/default", "B/premium"]
    assert places(Filters(model="X", tier="default")) == ["B/default"]
    assert places(Filters(q="PREM x")) == ["B/premium"]
    assert places(Filters(status="not-live")) == ["B/premium"]
    assert places(Filters(status="nonsense")) == []


def test_what_is_live_for_nobody_has_a_filter_of_its_own() -> None:
    rows = [*ROWS, row("C", None, "X", counting((100_000, OFF)))]
    found = listing(rows, Filters(status="idle"))
    assert [each.place.path for each in found.rows] == ["C/default"]
    assert {each.label: each.count for each in found.statuses if each.count} == {
        "Live": 2,
        "Live for nobody": 1,
        "Not live": 1,
    }


def test_counts_beside_a_filter_are_of_what_the_other_filters_leave() -> None:
    page = listing(ROWS, Filters(model="X", tier="premium"))
    assert {each.value: each.count for each in page.tiers} == {"default": 1, "premium": 1}
    assert {each.value: each.count for each in page.models} == {"X": 1}
    assert {each.value: each.count for each in page.statuses if each.count} == {"not-live": 1}


def test_an_address_is_read_and_what_it_does_not_know_passed_over() -> None:
    filters = Filters.read({"tier": " premium ", "sort": "nonsense", "colour": "red"})
    assert filters.active == {"tier": "premium"}
    assert filters.sort == "interaction"


BEFORE = {"model": ["A"], "temperature": ["0.5"], "top_p": [], "active": ["true"], "fallbacks": ["B"]}


def test_what_only_one_changed_is_taken_and_what_both_changed_is_left_to_choose() -> None:
    theirs = {**BEFORE, "temperature": ["0.7"], "top_p": ["0.9"]}
    yours = {**BEFORE, "temperature": ["0.2"], "active": []}
    lines = {line.name: line for line in conflict.compare(BEFORE, theirs, yours)}
    assert {name: line.overlap for name, line in lines.items()} == {
        "temperature": True,
        "top_p": False,
        "active": False,
    }
    merged = conflict.merge(BEFORE, theirs, yours)
    assert (merged["temperature"], merged["top_p"], merged["active"]) == (["0.2"], ["0.9"], [])


def test_the_same_change_on_both_sides_is_no_overlap() -> None:
    both = {**BEFORE, "model": ["C"]}
    (line,) = conflict.compare(BEFORE, both, dict(both))
    assert (line.theirs, line.yours, line.overlap) == ("C", "C", False)


def test_a_choice_of_theirs_takes_their_value_and_leaves_the_rest_as_sent() -> None:
    sent = {
        **BEFORE,
        "temperature": ["0.2"],
        "choose.temperature": ["theirs"],
        "choose.model": ["yours"],
        "reason": ["mine"],
    }
    found = conflict.with_choices(sent, {**BEFORE, "temperature": ["0.7"]})
    assert found["temperature"] == ["0.7"]
    assert found["reason"] == ["mine"]
    assert not any(name.startswith("choose.") for name in found)
