"""The processes that read the releases of an environment, in the browser."""

from flask import Blueprint, render_template

from controlplane.accounts.actor import Role
from controlplane.fleet import pages
from controlplane.web.access import requires
from controlplane.web.unit_of_work import db_session

blueprint = Blueprint("fleet", __name__)


@blueprint.get("/<environment>/processes")
@requires(Role.VIEWER)
def index(environment: str) -> str:
    """Each process, what it serves and how it is doing."""
    return render_template("fleet/index.html", page=pages.processes_page(db_session(), environment))
