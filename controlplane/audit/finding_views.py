"""What is done with a list of changes: taken along as a file, kept as a view."""

import uuid
from typing import cast

from flask import Blueprint, Response, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from controlplane.accounts.actor import Role
from controlplane.audit import export, finding, saved_views
from controlplane.audit.conditions import Wanted
from controlplane.audit.inputs import ViewInput, asked_of
from controlplane.audit.views import list_page
from controlplane.db import now
from controlplane.errors import Refused
from controlplane.web.access import current_actor, requires
from controlplane.web.forms import parse
from controlplane.web.unit_of_work import db_session, session_opener

blueprint = Blueprint("finding", __name__)

_KINDS = {"csv": "text/csv", "json": "application/json", "ndjson": "application/x-ndjson"}


@blueprint.get("/changes.csv", defaults={"form": "csv"})
@blueprint.get("/changes.json", defaults={"form": "json"})
@blueprint.get("/changes.ndjson", defaults={"form": "ndjson"})
@requires(Role.VIEWER)
def take(form: str) -> ResponseReturnValue:
    """Everything that matches, as a file; `upto` is the newest event that the page knew of."""
    asked = asked_of(request.args)
    if asked.reading.problems:
        raise Refused({"q": " ".join(problem.message for problem in asked.reading.problems)})
    answer = Response(mimetype=_KINDS[form])
    moment = now()
    answer.headers["Content-Disposition"] = f'attachment; filename="changes-{moment:%Y-%m-%d-%H%M}.{form}"'
    if request.method == "HEAD":
        return answer
    session = db_session()
    upto = asked.upto if asked.upto is not None else finding.last_number(session)
    wanted = Wanted(asked.query, now=moment, upto=upto)
    kind = cast("export.Format", form)
    export.record_export(session, wanted, kind, actor=current_actor())
    page = url_for("audit.show", id="", _external=True)
    answer.response = export.stream(
        session_opener(), wanted, kind, url_of=lambda identifier: page + identifier
    )
    return answer


@blueprint.post("/changes/views")
@requires(Role.VIEWER)
def save() -> ResponseReturnValue:
    """Keep the query under a name."""
    form = parse(ViewInput, request.form)
    if form.value is None:
        return list_page(form), 422
    try:
        view = saved_views.save_view(
            db_session(),
            name=form.value.name,
            query=form.value.q or "",
            shared=form.value.shared,
            actor=current_actor(),
        )
    except Refused as refusal:
        return list_page(form.refused(refusal)), 422
    flash(f"Saved the view “{view.name}”" + (" for everybody." if view.shared else "."))
    return redirect(url_for("audit.index", q=view.query or None), 303)


@blueprint.post("/changes/views/<uuid:view_id>/remove")
@requires(Role.VIEWER)
def remove(view_id: uuid.UUID) -> ResponseReturnValue:
    """Remove a view."""
    view = saved_views.remove_view(db_session(), view_id, actor=current_actor())
    flash(f"Removed the view “{view.name}”.")
    return redirect(url_for("audit.index", q=view.query or None), 303)
