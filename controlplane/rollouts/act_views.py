"""What is done with a rollout in one step, each with its reason: abort one or all, pause, resume, finish."""

from collections.abc import Callable

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from controlplane.accounts.actor import Role
from controlplane.errors import Conflict, Refused
from controlplane.rollouts import acts, pages, services, standing
from controlplane.rollouts.acts import Act
from controlplane.rollouts.inputs import ReasonInput
from controlplane.rollouts.models import Rollout
from controlplane.rollouts.routing import ONE, Form, blueprint, renewed
from controlplane.web.access import current_actor, requires
from controlplane.web.forms import parse
from controlplane.web.unit_of_work import db_session


@blueprint.get(f"{ONE}/abort")
@requires(Role.ON_CALL)
def abort(environment: str, number: int) -> ResponseReturnValue:
    """Ask for the reason to abort."""
    return _asked(environment, number, acts.ABORT)


@blueprint.post(f"{ONE}/abort")
@requires(Role.ON_CALL)
def abort_now(environment: str, number: int) -> ResponseReturnValue:
    """Everyone back. Not refused because somebody moved the share meanwhile: whoever aborts means at any share."""
    return _act(
        environment,
        number,
        acts.ABORT,
        lambda rollout, wanted: services.abort(
            db_session(), rollout, reason=wanted.reason, actor=current_actor()
        ),
    )


@blueprint.get(f"{ONE}/abort-all")
@requires(Role.ON_CALL)
def abort_all(environment: str, number: int) -> ResponseReturnValue:
    """Ask for the reason to abort every candidate."""
    return _asked(environment, number, acts.ABORT_ALL)


@blueprint.post(f"{ONE}/abort-all")
@requires(Role.ON_CALL)
def abort_all_now(environment: str, number: int) -> ResponseReturnValue:
    """Everyone back on the baseline, whatever the shares are by now."""
    return _act(
        environment,
        number,
        acts.ABORT_ALL,
        lambda rollout, wanted: services.abort_all(
            db_session(), rollout, reason=wanted.reason, actor=current_actor()
        ),
    )


@blueprint.get(f"{ONE}/pause")
@requires(Role.ON_CALL)
def pause(environment: str, number: int) -> ResponseReturnValue:
    """Ask for the reason to pause."""
    return _asked(environment, number, acts.PAUSE)


@blueprint.post(f"{ONE}/pause")
@requires(Role.ON_CALL)
def pause_now(environment: str, number: int) -> ResponseReturnValue:
    """Hold it where it is by now, wherever that is."""
    return _act(
        environment,
        number,
        acts.PAUSE,
        lambda rollout, wanted: services.pause(
            db_session(), rollout, reason=wanted.reason, actor=current_actor()
        ),
    )


@blueprint.get(f"{ONE}/resume")
@requires(Role.PUBLISHER)
def resume(environment: str, number: int) -> ResponseReturnValue:
    """Ask for the reason to go on."""
    return _asked(environment, number, acts.RESUME)


@blueprint.post(f"{ONE}/resume")
@requires(Role.PUBLISHER)
def resume_now(environment: str, number: int) -> ResponseReturnValue:
    """Let it be raised again."""
    return _act(
        environment,
        number,
        acts.RESUME,
        lambda rollout, wanted: services.resume(
            db_session(), rollout, reason=wanted.reason, actor=current_actor()
        ),
    )


@blueprint.get(f"{ONE}/finish")
@requires(Role.PUBLISHER)
def finish(environment: str, number: int) -> ResponseReturnValue:
    """Ask for the reason to finish."""
    return _asked(environment, number, acts.FINISH)


@blueprint.post(f"{ONE}/finish")
@requires(Role.PUBLISHER)
def finish_now(environment: str, number: int) -> ResponseReturnValue:
    """The newer version for everyone."""
    return _act(
        environment,
        number,
        acts.FINISH,
        lambda rollout, wanted: services.finish(
            db_session(), rollout, reason=wanted.reason, base=wanted.base, actor=current_actor()
        ),
    )


def _asked(environment: str, number: int, act: Act) -> ResponseReturnValue:
    here = standing.get_standing(db_session(), environment, number)
    if act not in acts.acts_of(here):
        return redirect(url_for(".show", number=number), 303)
    return _act_page(here, act, None)


def _act_page(here: standing.Standing, act: Act, form: Form | None, *, conflict: str | None = None) -> str:
    return render_template(
        "rollouts/act.html",
        here=here,
        act=act,
        possible=act in acts.acts_of(here),
        form=renewed(form, here.last.release, {}),
        protected=pages.is_protected(db_session(), here.rollout.environment),
        conflict=conflict,
    )


def _act(
    environment: str, number: int, act: Act, do: Callable[[Rollout, ReasonInput], object]
) -> ResponseReturnValue:
    before = standing.get_standing(db_session(), environment, number)
    form = parse(ReasonInput, request.form)
    try:
        do(before.rollout, form.value or ReasonInput())
    except Refused as refusal:
        here = standing.get_standing(db_session(), environment, number)
        return _act_page(here, act, form.refused(refusal)), 422
    except Conflict as conflict:
        here = standing.get_standing(db_session(), environment, number)
        return _act_page(here, act, form, conflict=str(conflict)), 409
    flash(act.done(before))
    return redirect(url_for(".show", number=number), 303)
