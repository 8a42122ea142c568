import datetime as dt
from decimal import Decimal

import pytest

from controlplane.web.filters import (
    breakable,
    datetime_local,
    exact_time,
    money,
    number,
    relative,
    share,
    time_tag,
)

MOMENT = dt.datetime(2026, 11, 22, 10, 40, 42, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("ago", "words"),
    [
        (dt.timedelta(seconds=5), "just now"),
        (dt.timedelta(seconds=-5), "just now"),
        (dt.timedelta(seconds=50), "1 min ago"),
        (dt.timedelta(minutes=56), "56 min ago"),
        (dt.timedelta(minutes=58), "1 h ago"),
        (dt.timedelta(hours=3), "3 h ago"),
        (dt.timedelta(days=6, hours=20), "7 d ago"),
        (dt.timedelta(days=8), "22 Nov 2026"),
        (-dt.timedelta(hours=2), "in 2 h"),
        (-dt.timedelta(days=30), "22 Nov 2026"),
    ],
)
def test_times_are_relative_for_a_week_and_dates_after_it(ago: dt.timedelta, words: str) -> None:
    assert relative(MOMENT, MOMENT + ago) == words


def test_a_time_carries_the_exact_moment_in_utc() -> None:
    zone = dt.timezone(dt.timedelta(hours=5, minutes=30))
    tag = time_tag(MOMENT.astimezone(zone))
    assert 'datetime="2026-11-22T10:40:42Z"' in tag
    assert 'title="22 Nov 2026, 10:40:42 UTC"' in tag
    assert time_tag(None) == "never"
    assert exact_time(MOMENT) == "22 Nov 2026, 10:40:42 UTC"


@pytest.mark.parametrize(
    ("buckets", "words"),
    [
        (0, "0 %"),
        (1, "0.001 %"),
        (12345, "12.345 %"),
        (10000, "10 %"),
        (100000, "100 %"),
        (None, "not known"),
    ],
)
def test_shares_are_exact(buckets: int | None, words: str) -> None:
    assert share(buckets) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(12400, "12,400"), (0.5, "0.5"), (Decimal("1000.50"), "1,000.5"), (100.0, "100"), (None, "not known")],
)
def test_numbers_are_set_apart_by_thousands(value: float | None, words: str) -> None:
    assert number(value) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Decimal("1.25"), "$1.25"),
        (Decimal("3.0000"), "$3.00"),
        (Decimal("0.0375"), "$0.0375"),
        (1500, "$1,500.00"),
        (None, "not known"),
    ],
)
def test_money_has_the_places_it_needs(value: Decimal | None, words: str) -> None:
    assert money(value) == words


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (MOMENT, "2026-11-22T10:40:42"),
        ("2026-12-01T09:00:00+02:00", "2026-12-01T07:00"),
        ("2026-12-01T09:00", "2026-12-01T09:00"),
        ("tomorrow", "tomorrow"),
        (None, ""),
    ],
)
def test_a_date_field_shows_utc_and_leaves_what_is_no_date_as_typed(
    value: str | dt.datetime | None, shown: str
) -> None:
    assert datetime_local(value) == shown


def test_codes_break_after_an_underscore_and_are_escaped() -> None:
    assert breakable("A_B<C") == "A_<wbr>B&lt;C"
