"""What a script does for whoever is on call: roll back, abort a rollout, turn a kill switch. As on the pages, nobody is asked first."""

from flask import Response

from controlplane.api import documents
from controlplane.api.inputs import ReasonInput, RollBackInput, ThrowInput
from controlplane.api.publishing_views import made
from controlplane.api.routing import HERE, answered, blueprint, body_as
from controlplane.errors import Refused
from controlplane.releases import history
from controlplane.releases import services as releases
from controlplane.releases.authority import to_undo
from controlplane.releases.diff import diff
from controlplane.releases.saved import live_entries
from controlplane.rollouts import services as rollouts
from controlplane.switches import services as switches
from controlplane.switches.models import EVERYTHING
from controlplane.tokens.scopes import Scope
from controlplane.web.access import current_actor, requires_token
from controlplane.web.unit_of_work import db_session


@blueprint.post(f"{HERE}/rollback")
@requires_token(Scope.OPERATE)
def roll_back(environment: str) -> Response:
    """Make an earlier release live again, as a new one; 200 when it is what is live."""
    wanted, session = body_as(RollBackInput), db_session()
    row = releases.lock_environment(session, environment)  # before anybody looks, as in publishing
    history.get_release(session, environment, wanted.release)
    live, earlier = live_entries(session, environment), live_entries(session, environment, at=wanted.release)
    keys = {change.key for change in diff(live, earlier)}
    if not isinstance(wanted.entries, str):
        missing = sorted(set(wanted.entries) - live.keys() - earlier.keys())
        if missing:
            raise Refused({"entries": f"Neither live nor in release {wanted.release}: {', '.join(missing)}."})
        keys &= set(wanted.entries)
    if not keys:
        return answered(
            {
                "published": False,
                "detail": f"Nothing to roll back: this is live as it was in release {wanted.release}.",
            }
        )
    actor = current_actor()
    release = releases.roll_back(
        session,
        environment,
        to=wanted.release,
        keys=keys,
        reason=wanted.reason,
        actor=actor,
        authority=to_undo(row, actor),
    )
    return made(release, published=True)


@blueprint.post(f"{HERE}/rollouts/<int:number>/abort")
@requires_token(Scope.OPERATE)
def abort_rollout(environment: str, number: int) -> Response:
    """Take the newer version out: everyone is back on the one before. One that is over is a conflict, and stays as it is."""
    wanted, session = body_as(ReasonInput), db_session()
    rollout = rollouts.get_rollout(session, environment, number)
    return made(rollouts.abort(session, rollout, reason=wanted.reason, actor=current_actor()), published=True)


@blueprint.post(f"{HERE}/switches/<target>/throw")
@requires_token(Scope.OPERATE)
def throw_switch(environment: str, target: str) -> Response:
    """Send the calls of an interaction, or all (`everything`), the built-in way within seconds."""
    wanted = body_as(ThrowInput)
    if target == EVERYTHING and wanted.confirm != environment:
        raise Refused({"confirm": f"Write {environment} here to switch everything off there."})
    switch = switches.throw(
        db_session(), environment, _interaction(target), reason=wanted.reason, actor=current_actor()
    )
    return answered(documents.switch(switch))


@blueprint.post(f"{HERE}/switches/<target>/lift")
@requires_token(Scope.OPERATE)
def lift_switch(environment: str, target: str) -> Response:
    """Let those calls use what is live again."""
    wanted = body_as(ReasonInput)
    switches.lift(
        db_session(), environment, _interaction(target), reason=wanted.reason, actor=current_actor()
    )
    return answered({"target": target, "thrown": False})


def _interaction(target: str) -> str | None:
    return None if target == EVERYTHING else target.replace("\x00", "?")
