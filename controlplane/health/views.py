"""How calls go in an environment, in the browser."""

from flask import Blueprint, render_template

from controlplane.accounts.actor import Role
from controlplane.configurations.coverage import Source, coverage
from controlplane.db import now
from controlplane.health import pages
from controlplane.registry.services import list_interactions, list_tiers
from controlplane.releases.saved import live_entries
from controlplane.web.access import requires
from controlplane.web.unit_of_work import db_session

blueprint = Blueprint("calls", __name__)


@blueprint.get("/<environment>/health")
@requires(Role.VIEWER)
def health(environment: str) -> str:
    """Five figures of the last day, and how each interaction does."""
    session, at = db_session(), now()
    tiers = tuple(tier.code for tier in list_tiers(session))
    interactions = [row.code for row in list_interactions(session)]
    grid = coverage(live_entries(session, environment), interactions=interactions, tiers=tiers, now=at)
    cells = [cell for row in grid for cell in row.cells]
    answered = sum(cell.source not in {Source.NONE, Source.BROKEN} for cell in cells)
    page = pages.health_page(session, environment, at=at, answered=answered, cells=len(cells))
    return render_template("health/show.html", page=page, known={*interactions})
