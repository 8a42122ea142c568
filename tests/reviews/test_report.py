"""The period report: what changed, who agreed, what was out of the ordinary, who looked."""

import csv
import datetime as dt
import io
from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Role
from controlplane.db import now
from controlplane.reviews.report import HEAD, Period, report, rows_of
from controlplane.reviews.services import answer
from controlplane.reviews.states import State
from tests.audit.events import ADA, told
from tests.page import PageClient
from tests.reviews.stage import GRACE, LINUS, emergency, published

ClientAs = Callable[[Role | str], PageClient]


@pytest.fixture
def period(first_data: Session) -> Period:
    """Today: an emergency that is disputed, a release that was reviewed, one that waits, and what does not count."""
    answer(first_data, emergency(first_data).id, state=State.DISPUTED, comment="Too early", actor=GRACE)
    answer(first_data, published(first_data, 7).id, state=State.REVIEWED, comment="Fine", actor=LINUS)
    published(first_data, 8, proposal=3, reason="=1+1")
    for content in ("old", "new"):
        told(
            first_data,
            "approved proposal 3",
            actor=GRACE if content == "new" else LINUS,
            action="proposal.approved",
            environment="production",
            proposal=3,
            after={"content": content},
        )
    told(first_data, "signed in", action="person.signed_in", object_kind="person")
    first_data.commit()
    return Period(now().date(), now().date(), "production")


def test_it_counts_changes_and_not_comings_or_reviews(first_data: Session, period: Period) -> None:
    found = report(first_data, period, now=now())
    # The first data's own release is one of them, and nobody has to look at it.
    kinds = {each.action: (each.count, each.asked, each.reviewed) for each in found.kinds}
    assert kinds["rollout.aborted"] == (1, 1, 0)
    assert kinds["release.published"] == (3, 2, 1)
    assert not [action for action in kinds if action.startswith(("review.", "person.", "proposal."))]
    assert found.changes == sum(count for count, *_ in kinds.values())
    assert (found.evidence.asked, found.evidence.answered, found.evidence.waiting) == (3, 2, 1)
    assert (found.evidence.in_time, found.evidence.share) == (2, "66 %")
    assert [(each.name, each.reviewed, each.disputed) for each in found.reviewers] == [
        ("Grace Hopper", 0, 1),
        ("Linus", 1, 0),
    ]


def test_what_went_live_names_who_agreed_to_it_in_the_end(first_data: Session, period: Period) -> None:
    went = {
        each.event.release: list(each.approved_by) for each in report(first_data, period, now=now()).went_live
    }
    assert went[8] == ["Grace Hopper"]
    assert went[7] == []


def test_exceptions_are_found_by_what_they_were_marked_with(first_data: Session, period: Period) -> None:
    later = now() + dt.timedelta(days=400)
    counts = {each.title: each.count for each in report(first_data, period, now=later).exceptions}
    assert counts == {
        "Emergencies": 1,
        "Live without an approval": 2,
        "Approved by one of their authors": 0,
        "Disputed": 1,
        "Overdue": 1,
        "Reviewed late": 0,
    }
    other = Period(period.first, period.last, "staging")
    assert {each.count for each in report(first_data, other, now=later).exceptions} == {0}


def test_the_table_has_a_line_for_each_change_with_the_look_at_it(
    first_data: Session, period: Period
) -> None:
    rows = [dict(zip(HEAD, row, strict=True)) for row in rows_of(first_data, period)]
    assert [row["release"] for row in rows if row["actor"] == ADA.name] == [None, 7, 8]
    seventh = next(row for row in rows if row["release"] == 7)
    assert (seventh["review"], seventh["reviewer"], seventh["review_comments"]) == (
        "reviewed", "Linus", "Linus reviewed: Fine",
    )  # fmt: skip


def test_it_is_a_page_to_print_and_a_file_without_formulas(client_as: ClientAs, period: Period) -> None:
    client = client_as("viewer")
    day = period.first.isoformat()
    page = client.get(f"/changes/report?from={day}&to={day}&environment=production")
    assert page.heading == f"Changes of {period.words}"
    assert "3 had to be reviewed: 2 were answered in time, 0 late, 1 wait" in page.body
    assert len(page.all("thead")) == len(page.all("table"))
    table = client.get(page.link("CSV of every change"))
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert len(rows) == int(page.texts("p", class_="stat-value")[0])
    assert [row["reason"] for row in rows if row["release"] == "8"] == ["'=1+1"]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("from=soon", "is not a date"),
        ("from=2026-02-01&to=2026-01-01", "ended before it began"),
        ("environment=moon", "There is no environment"),
    ],
)
def test_what_of_the_address_makes_no_sense_is_named(client_as: ClientAs, query: str, words: str) -> None:
    assert words in client_as("viewer").get(f"/changes/report?{query}").body
