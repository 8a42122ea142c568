"""The period report, to be read, printed and signed, and the same period as a table of every change."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, render_template, request, url_for

from controlplane.accounts.actor import Role
from controlplane.audit.archive import archived_months
from controlplane.audit.kinds import kind_of
from controlplane.db import now
from controlplane.releases.words import kind_name
from controlplane.reviews import pages
from controlplane.reviews.report import HEAD, Period, record_export, report, rows_of
from controlplane.reviews.tables import csv_answer, lines
from controlplane.web.access import current_actor, requires, signed_in
from controlplane.web.environments import environments
from controlplane.web.forms import fill
from controlplane.web.unit_of_work import SessionFactory, db_session, session_opener

blueprint = Blueprint("report", __name__)


@blueprint.get("/changes/report")
@requires(Role.VIEWER)
def show() -> str:
    """What changed, who agreed, what was out of the ordinary, and who looked at it."""
    period, problems = _asked()
    problems += _archived(period)
    moment = now()
    asked: dict[str, Any] = {
        "from": period.first.isoformat(), "to": period.last.isoformat(), "environment": period.environment,
    }  # fmt: skip
    return render_template(
        "reviews/report.html",
        report=report(db_session(), period, now=moment),
        period=period,
        problems=problems,
        place=next((each.name for each in environments() if each.code == period.environment), None),
        form=fill(asked),
        places=[(each.code, each.name) for each in environments()],
        csv_url=url_for(".as_csv", **asked),
        reasons=pages.reasons_words,
        kind_name=kind_name,
        title_of=lambda action: kind_of(action).title,
        made_at=moment,
        made_by=signed_in().name,
    )


@blueprint.get("/changes/report.csv")
@requires(Role.VIEWER)
def as_csv() -> Response:
    """Every change of the period with the look at it, written as it is read; that somebody took it along is recorded."""
    period, _ = _asked()
    name = f"changes-{period.first.isoformat()}-{period.last.isoformat()}.csv"
    if request.method == "HEAD":
        return csv_answer(name, ())
    record_export(db_session(), period, actor=current_actor())
    return csv_answer(name, _table(session_opener(), period))


def _table(open_session: SessionFactory, period: Period) -> Iterator[str]:
    with open_session() as session:
        yield from lines([HEAD])
        yield from lines(rows_of(session, period))


def _asked() -> tuple[Period, list[str]]:
    """The period of the address; without one the month so far, or the last one on its first day."""
    today = now().date()
    yesterday = today - dt.timedelta(days=1)
    problems: list[str] = []
    last = _date("to", today, problems)
    first = _date("from", min(last, yesterday).replace(day=1), problems)
    if first > last:
        problems.append("The period ended before it began: its days were exchanged.")
        first, last = last, first
    environment = request.args.get("environment", "").strip()
    if environment and environment not in {each.code for each in environments()}:
        problems.append(f"There is no environment “{environment[:40]}”: this is the report of all.")
        environment = ""
    return Period(first, last, environment or None), problems


def _archived(period: Period) -> list[str]:
    """Say which months of the period lie in the archive: nothing of them is counted here."""
    months = dict.fromkeys(each.month for each in archived_months(db_session()))
    gone = [f"{month:%B %Y}" for month in months if period.first.replace(day=1) <= month <= period.last]
    if not gone:
        return []
    named = gone[0] if len(gone) == 1 else f"{gone[0]} to {gone[-1]}"
    return [f"{named}: archived, and so not counted here. The page of the record says in which files."]


def _date(name: str, otherwise: dt.date, problems: list[str]) -> dt.date:
    typed = request.args.get(name, "").strip()
    if not typed:
        return otherwise
    try:
        day = dt.date.fromisoformat(typed)
    except ValueError:
        problems.append(f"“{typed[:40]}” is not a date such as 2026-11-22; it was left out.")
        return otherwise
    return day if dt.date(1970, 1, 2) < day < dt.date(9000, 1, 1) else otherwise
