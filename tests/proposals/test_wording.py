"""Times in two zones, as they are told and as they are typed; a text side by side."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.errors import FieldError
from controlplane.prompts import textdiff
from controlplane.prompts.textdiff import side_by_side
from controlplane.proposals.inputs import moment_of
from controlplane.proposals.wording import ask_words, chip, counted, due_words, names_words


@pytest.mark.parametrize(
    ("zone", "words"),
    [
        ("UTC", "Tue 1 Dec 2026, 22:30 UTC"),
        ("Europe/Berlin", "Tue 1 Dec 2026, 23:30 Europe/Berlin (22:30 UTC)"),
        ("Asia/Kolkata", "Wed 2 Dec 2026, 04:00 Asia/Kolkata (Tue 1 Dec, 22:30 UTC)"),
        ("America/St_Johns", "Tue 1 Dec 2026, 19:00 America/St_Johns (22:30 UTC)"),
    ],
)
def test_a_time_is_told_in_its_zone_and_in_utc(zone: str, words: str) -> None:
    assert due_words(dt.datetime(2026, 12, 1, 22, 30, tzinfo=dt.UTC), zone) == words


def test_what_is_typed_is_read_on_the_clocks_of_its_zone() -> None:
    assert moment_of("2026-12-01T09:00", "Europe/Berlin") == dt.datetime(2026, 12, 1, 8, tzinfo=dt.UTC)
    assert moment_of("2026-07-01T09:00", "Europe/Berlin") == dt.datetime(2026, 7, 1, 7, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("due", "zone", "field", "words"),
    [
        ("2027-03-28T02:30", "Europe/Berlin", "due", "pass over this hour"),
        ("2026-12-01T09:00+01:00", "Europe/Berlin", "due", "a field of its own"),
        ("tomorrow", "UTC", "due", "Enter a date and a time"),
        ("0001-01-01T00:00", "Asia/Tokyo", "due", "too far away"),
        ("2026-12-01T09:00", "../../etc/passwd", "zone", "no time zone"),
    ],
)
def test_what_no_clock_shows_is_refused_beside_its_field(due: str, zone: str, field: str, words: str) -> None:
    with pytest.raises(FieldError, match=words) as refused:
        moment_of(due, zone)
    assert refused.value.field == field


def test_an_hour_that_comes_twice_is_the_first_one() -> None:
    assert moment_of("2026-10-25T02:30", "Europe/Berlin") == dt.datetime(2026, 10, 25, 0, 30, tzinfo=dt.UTC)


def test_a_chip_says_what_is_particular() -> None:
    assert chip("published", release=12).label == "Published in release 12"
    assert chip("in_review").tone == "review"


def test_numbers_and_names_read_as_sentences_do() -> None:
    assert [counted(1, "entry"), counted(2, "entry"), counted(1_200, "problem")] == [
        "1 entry",
        "2 entries",
        "1,200 problems",
    ]
    assert names_words([]) == "nobody"
    assert names_words(["Ada", "Grace", "Joan"], limit=2) == "Ada, Grace and 1 more"


@given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abc"), max_size=12))
def test_side_by_side_has_each_line_once_on_its_side(old: list[str], new: list[str]) -> None:
    rows = textdiff.lines("\n".join(old), "\n".join(new))
    pairs = side_by_side(rows)
    left = [pair.left for pair in pairs if pair.left]
    right = [pair.right for pair in pairs if pair.right]
    assert left == [row for row in rows if row.kind != "ins"]
    assert right == [row for row in rows if row.kind != "del"]


def test_where_there_is_nobody_to_ask_it_says_what_has_to_happen() -> None:
    assert ask_words(["Ada", "Grace"]) == "Ask: Ada, Grace."
    assert ask_words([]) == "Nobody else may yet: an administrator has to add somebody."
