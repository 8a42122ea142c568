"""The pages of recorded calls: what there is, what a proposal would have done to them, what a move of a share would."""

from flask import Blueprint, render_template, request

from controlplane.accounts.actor import Role
from controlplane.db import now
from controlplane.decisions import pages
from controlplane.decisions.checking import alarms
from controlplane.decisions.models import ReplayAlarm
from controlplane.decisions.reach import Reach, reach_of
from controlplane.proposals.content import included_in
from controlplane.proposals.services import get_proposal
from controlplane.proposals.states import State
from controlplane.releases.composed import compose_now
from controlplane.rollouts import documents, standing
from controlplane.rollouts.ranges import parse_share
from controlplane.web.access import requires
from controlplane.web.environments import current_environment
from controlplane.web.unit_of_work import db_session

blueprint = Blueprint("recorded", __name__)

# A slider asks again and again; of so many calls the answer comes at once.
MOST_CALLS_OF_A_MOVE = 2_000


@blueprint.get("/<environment>/recorded")
@requires(Role.VIEWER)
def index(environment: str) -> str:
    """What was recorded in the last day, and how deciding it again went."""
    return render_template("decisions/index.html", page=pages.recorded_page(db_session(), environment, now()))


@blueprint.get("/<environment>/proposals/<int:number>/recorded")
@requires(Role.VIEWER)
def proposal(environment: str, number: int) -> str:
    """What a proposal would have done to the recorded calls."""
    session = db_session()
    row = get_proposal(session, environment, number)
    reach = None
    if not State(row.state).is_over:
        included = included_in(session, row)
        composed = compose_now(session, environment, {each.key: each.after for each in included})
        reach = reach_of(session, environment, composed, now())
    return render_template("decisions/proposal.html", proposal=row, reach=reach)


@blueprint.get("/_/<environment>/rollouts/<int:number>/recorded")
@requires(Role.VIEWER)
def move(environment: str, number: int) -> str:
    """What a move of a rollout's share would have done to the recorded calls of its interaction."""
    reach = reach_of_move(number, request.args.get("share", ""))
    return render_template("decisions/_move.html", reach=reach, number=number)


@blueprint.app_template_global("reach_of_move")
def reach_of_move(number: int, typed: str) -> Reach | None:
    """What moving a rollout to a share as it was typed would have done; None where there is nothing to say."""
    here = current_environment()
    if here is None:
        return None
    session = db_session()
    stand = standing.get_standing(session, here.code, number)
    try:
        share = parse_share(typed)
    except ValueError:
        return None
    if not stand.running:
        return None
    moved = {stand.place.key: documents.with_share(stand.document, share)}
    return reach_of(
        session,
        here.code,
        compose_now(session, here.code, moved),
        now(),
        interaction=stand.place.interaction,
        most=MOST_CALLS_OF_A_MOVE,
    )


@blueprint.app_template_global("replay_alarms")
def replay_alarms() -> list[ReplayAlarm]:
    """What deciding recorded calls again found, in the environment on screen."""
    here = current_environment()
    return list(alarms(db_session(), here.code)) if here else []
