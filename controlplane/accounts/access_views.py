"""The access list: who could do what on a date. For administrators, and for those who review."""

import datetime as dt

from flask import Blueprint, Response, render_template, request, url_for

from controlplane.accounts.access_list import access_on, last_known, record_export
from controlplane.accounts.actor import Role
from controlplane.db import now
from controlplane.reviews.tables import csv_answer, lines
from controlplane.web.access import current_actor, requires
from controlplane.web.forms import fill
from controlplane.web.unit_of_work import db_session

blueprint = Blueprint("access", __name__)


@blueprint.get("/settings/people/access")
@requires(Role.ADMIN, or_reviewer=True)
def index() -> str:
    """The list on the date that the address asks for; today's without one."""
    day, problem = _asked()
    found = access_on(db_session(), day)
    return render_template(
        "accounts/access.html",
        day=day,
        problem=problem,
        people=found,
        active=sum(each.active for each in found),
        form=fill({"on": request.args.get("on") or day.isoformat()}),
        csv_url=url_for(".as_csv", on=day.isoformat()),
    )


@blueprint.get("/settings/people/access.csv")
@requires(Role.ADMIN, or_reviewer=True)
def as_csv() -> Response:
    """The same list as a table for a spreadsheet; that somebody took it along is recorded."""
    day, _ = _asked()
    head = (
        "name", "email", "role", "granted_by", "granted_at", "active", "disabled_or_enabled_by",
        "disabled_or_enabled_at", "reviewer_made_by", "reviewer_made_at", "added_at", "granted_in_change",
    )  # fmt: skip
    rows = (
        (
            each.name, each.email, each.role.value, each.granted_by, each.granted_at,
            "yes" if each.active else "no", each.changed_by, each.changed_at, each.reviewer_by,
            each.reviewer_at, each.added_at, each.granted_in,
        )
        for each in access_on(db_session(), day)
    )  # fmt: skip
    name = f"access-{day.isoformat()}.csv"
    if request.method == "HEAD":
        return csv_answer(name, ())
    record_export(db_session(), day, actor=current_actor())
    return csv_answer(name, "".join(lines([head, *rows])))


def _asked() -> tuple[dt.date, str | None]:
    typed, today = request.args.get("on", "").strip(), now().date()
    if not typed:
        return today, None
    try:
        day = dt.date.fromisoformat(typed)
    except ValueError:
        return today, f"“{typed[:40]}” is not a date such as 2026-11-01. This is the list of today."
    if day > today:
        return today, "Nobody knows the roles of a day to come. This is the list of today."
    known = last_known(db_session(), day)
    if known != day:
        return known, f"The month of {typed[:40]} is archived: this is the list at the end of {known:%B %Y}."
    return day, None
