"""The pages of recorded calls: what there is, what a proposal would have done to them, what a move of a share would."""

from typing import Any

from flask import Blueprint, render_template, request, url_for

from controlplane.accounts.actor import Role
from controlplane.db import Json, now
from controlplane.decisions import pages
from controlplane.decisions.checking import alarms
from controlplane.decisions.models import ReplayAlarm
from controlplane.decisions.reach import Reach, reach_of
from controlplane.proposals.content import included_in
from controlplane.proposals.services import get_proposal
from controlplane.proposals.states import State
from controlplane.releases.composed import compose_now
from controlplane.rollouts import documents, standing
from controlplane.rollouts.ranges import format_share, parse_share
from controlplane.runtime.entries import gate_key
from controlplane.web.access import requires
from controlplane.web.environments import current_environment
from controlplane.web.forms import Parsed
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
    sent: Parsed[Any] = Parsed(None, {}, {name: request.args.getlist(name) for name in request.args})
    reach = reach_of_move(number, sent)
    also = "#other-shares" if any(name.startswith("others.") for name in request.args) else None
    return render_template(
        "decisions/_move.html", reach=reach, url=url_for(".move", number=number), also=also
    )


@blueprint.get("/_/<environment>/gates/<interaction>/recorded")
@requires(Role.VIEWER)
def gate_move(environment: str, interaction: str) -> str:
    """What a move of a gate would have done to the recorded calls of its interaction."""
    reach = reach_of_gate(interaction, request.args.get("share", ""))
    url = url_for(".gate_move", interaction=interaction)
    return render_template("decisions/_move.html", reach=reach, url=url, also=None)


@blueprint.app_template_global("reach_of_move")
def reach_of_move(number: int, form: Parsed[Any]) -> Reach | None:
    """What moving a rollout to the shares as they were typed would have done; None where there is nothing to say."""
    here = current_environment()
    if here is None:
        return None
    stand = standing.get_standing(db_session(), here.code, number)
    typed = {stand.rollout.to_version: form["share"].value} | {
        version: form[f"others.{at}.share"].value or format_share(share)
        for at, (version, share) in enumerate(stand.others.items())
    }
    shares = {version: share for version, text in typed.items() if (share := _share(text)) is not None}
    if not stand.running or len(shares) < len(typed):
        return None
    if sum(shares.values()) > documents.left_for(stand.document, shares):
        return None  # the sentence above says so
    place = stand.place
    return _reach(here.code, place.interaction, {place.key: documents.with_shares(stand.document, shares)})


@blueprint.app_template_global("reach_of_gate")
def reach_of_gate(interaction: str, typed: str) -> Reach | None:
    """The same of a gate; None too where there is no gate yet, because then no call was recorded with its bucket."""
    here = current_environment()
    share = _share(typed)
    if here is None or share is None or "\x00" in interaction:  # which no text column can hold
        return None
    key = gate_key(interaction)
    live = standing.live_entry(db_session(), here.code, key).document
    if live is None:
        return None
    return _reach(here.code, interaction, {key: documents.gate_with_share(live, share)})


def _share(typed: str) -> int | None:
    try:
        return parse_share(typed)
    except ValueError:
        return None


def _reach(environment: str, interaction: str, moved: dict[str, Json | None]) -> Reach:
    session = db_session()
    composed = compose_now(session, environment, moved)
    return reach_of(session, environment, composed, now(), interaction=interaction, most=MOST_CALLS_OF_A_MOVE)


@blueprint.app_template_global("replay_alarms")
def replay_alarms() -> list[ReplayAlarm]:
    """What deciding recorded calls again found, in the environment on screen."""
    here = current_environment()
    return list(alarms(db_session(), here.code)) if here else []
