import datetime as dt
from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Role
from controlplane.db import now
from controlplane.health.drawing import HEIGHT, WIDTH, draw
from controlplane.health.models import HealthLookups
from controlplane.health.pages import percentile, seconds_words
from controlplane.health.reading import Counts
from controlplane.runtime.metrics import SHORT_BOUNDS
from tests.guards.guarded import minute_row
from tests.page import PageClient, words

ClientAs = Callable[[Role | str], PageClient]


def test_before_any_call_nothing_is_made_up(client_as: ClientAs) -> None:
    page = client_as("viewer").get("/production/health")
    assert "No calls in the last 24 hours" in page.body
    assert [words(each) for each in page.all("p", class_="stat-value")][:4] == ["not known"] * 4
    assert "No calls in the last day" in page.body


def test_each_figure_has_its_limit_and_each_interaction_its_line(
    first_data: Session, client_as: ClientAs
) -> None:
    at = now().replace(second=0, microsecond=0)
    good = Counts(answered=100, times=(0, 0, 90, 10, *[0] * 12))
    bad = Counts(answered=80, failed=20, fallbacks=4, unusable=2, times=(0, 0, 80, 0, *[0] * 12))
    lookups = [0] * (len(SHORT_BOUNDS) + 1)
    lookups[1] = 100
    first_data.add_all(
        [
            minute_row(at - dt.timedelta(hours=3), 1, good),
            minute_row(at - dt.timedelta(minutes=5), 1, bad),
            minute_row(at - dt.timedelta(minutes=5), 2, good, interaction="KPI_ANALYSIS"),
            HealthLookups(
                environment="production", minute=at - dt.timedelta(minutes=5), times=lookups, hits=1, misses=3
            ),
        ]
    )
    first_data.commit()
    page = client_as("viewer").get("/production/health")
    figures = [words(each) for each in page.all("li", class_="stat")]
    assert "6.7 %" in figures[0]
    assert "Above its limit Since" in figures[0]
    assert "1.3 %" in figures[1]
    assert "Ok" in figures[1]
    assert "at most 2.5 µs" in figures[2]
    assert "25.0 %" in figures[3]
    assert "Below its limit Since" in figures[3]
    rows = [words(each) for each in page.by_id("interactions").iter("tr")]
    assert rows[1] == "COACHING_RESPONSE 200 10.0 % 2.0 % 1.0 % at most 250 ms"
    assert rows[2] == "KPI_ANALYSIS 100 0.0 % 0.0 % 0.0 % at most 500 ms"


@pytest.mark.parametrize(
    ("times", "share", "found"),
    [((), 0.95, None), ((0, 0, 0), 0.95, None), ((1, 0, 0), 0.95, 1.0), ((95, 5, 0), 0.95, 1.0), ((94, 6, 0), 0.95, 2.0), ((1, 0, 9), 0.95, float("inf"))],
)  # fmt: skip
def test_a_percentile_is_the_bound_that_so_many_do_not_exceed(
    times: tuple[int, ...], share: float, found: float | None
) -> None:
    assert percentile(times, (1.0, 2.0), share) == found


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "not known"), (1e-6, "at most 1 µs"), (0.025, "at most 25 ms"), (2.5, "at most 2.5 s"), (float("inf"), "over 2.5 s")],
)  # fmt: skip
def test_seconds_are_said_as_people_say_them(value: float | None, said: str) -> None:
    assert seconds_words(value, SHORT_BOUNDS) == said


def test_a_chart_breaks_where_nothing_is_known_and_stays_inside_its_edges() -> None:
    chart = draw([[1.0, 2.0, None, 4.0], [None, None, 0.5, 0.5]], threshold=3.0, marks=(0.5, 7.0))
    assert chart is not None
    first, second = chart.lines
    assert [len(run.split()) for run in first.runs] == [2]
    assert len(first.dots) == 1
    assert [len(run.split()) for run in second.runs] == [2]
    assert chart.marks == (WIDTH / 2,)
    heights = [float(point.split(",")[1]) for run in first.runs for point in run.split()]
    assert all(0 <= height <= HEIGHT for height in [*heights, first.dots[0][1], chart.threshold or -1])
    assert draw([[None, None]]) is None
    flat = draw([[0.0, 0.0]])
    assert flat is not None
    assert flat.lines[0].runs
