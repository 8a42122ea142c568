"""The overview of an environment, and the way to it from the bare address."""

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from controlplane.accounts.actor import Role
from controlplane.db import now
from controlplane.overview.page import cell_note, overview
from controlplane.registry.models import Environment
from controlplane.web.access import current_actor, requires
from controlplane.web.environments import current_environment
from controlplane.web.unit_of_work import db_session

blueprint = Blueprint("overview", __name__)

# Only that the list is out of the way, for this browser: not worth a row.
DISMISSED = "first-steps"


@blueprint.get("/")
@requires(Role.VIEWER)
def root() -> ResponseReturnValue:
    """On to the environment last looked at, else the first; without any, to where they are made."""
    here = current_environment()
    if here is None:
        return redirect(url_for("registry.environments"))
    return redirect(url_for("overview.show", environment=here.code))


@blueprint.get("/<environment>/")
@requires(Role.VIEWER)
def show(environment: str) -> str:
    """What is live, what waits, what happened."""
    wanted = request.cookies.get(DISMISSED) != "done"
    session = db_session()
    row = session.get_one(Environment, environment)
    page = overview(session, row, actor=current_actor(), now=now(), with_steps=wanted)
    return render_template(
        "overview/show.html",
        page=page,
        note=cell_note,
        changes=page.changes,
        all_changes_url=None,
    )


@blueprint.post("/<environment>/first-steps")
@requires(Role.VIEWER)
def dismiss_steps(environment: str) -> ResponseReturnValue:
    """Put the first-run list away in this browser."""
    answer = redirect(url_for("overview.show", environment=environment), 303)
    answer.set_cookie(
        DISMISSED, "done", max_age=31_536_000, httponly=True, samesite="Lax", secure=request.is_secure
    )
    return answer
