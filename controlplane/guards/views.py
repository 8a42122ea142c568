"""How a rollout does, beside its slider, and the page on which one chooses what guards it. All of it works without script."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, url_for
from flask import request as sent
from flask.typing import ResponseReturnValue

from controlplane.accounts.actor import Role
from controlplane.db import now
from controlplane.errors import Conflict, Refused
from controlplane.guards import pages, services
from controlplane.guards.acts import OnBreach
from controlplane.guards.chosen import settings_of
from controlplane.guards.inputs import GuardsInput
from controlplane.guards.measures import Measure
from controlplane.rollouts import standing
from controlplane.web.access import current_actor, requires
from controlplane.web.forms import Parsed, fill, parse
from controlplane.web.session import count_as_idle
from controlplane.web.unit_of_work import db_session

blueprint = Blueprint("guards", __name__)

ONE = "/<environment>/rollouts/<int:number>"

Form = Parsed[Any]


@blueprint.get(f"{ONE}/guards")
@requires(Role.PUBLISHER)
def edit(environment: str, number: int) -> ResponseReturnValue:
    """The form: what is watched, and what is done on a breach."""
    here = standing.get_standing(db_session(), environment, number)
    if not here.running:
        return redirect(url_for("rollouts.show", number=number), 303)
    return _page(here, fill(pages.form_values(settings_of(db_session(), number))))


@blueprint.post(f"{ONE}/guards")
@requires(Role.PUBLISHER)
def choose(environment: str, number: int) -> ResponseReturnValue:
    """Choose, or show the form again with what is wrong."""
    here = standing.get_standing(db_session(), environment, number)
    form = parse(GuardsInput, sent.form)
    if form.value is None:
        return _page(here, form), 422
    wanted = form.value
    try:
        services.choose(
            db_session(),
            here,
            on_breach=wanted.on_breach,
            least_calls=wanted.least_calls,
            tolerances=wanted.tolerances,
            revision=wanted.revision,
            actor=current_actor(),
        )
    except Refused as refusal:
        return _page(here, form.refused(refusal)), 422
    except Conflict as conflict:
        return _page(here, form, conflict=str(conflict)), 409
    flash(f"On a breach: {wanted.on_breach.effect}.")
    return redirect(url_for("rollouts.show", number=number, _anchor="health"), 303)


@blueprint.get(f"/_{ONE}/health")
@requires(Role.VIEWER)
def health(environment: str, number: int) -> str:
    """How it does now; the rollout's page asks for it by itself."""
    count_as_idle()
    here = standing.get_standing(db_session(), environment, number)
    return render_template("guards/_health.html", health=rollout_health(here))


@blueprint.app_template_global("rollout_health")
def rollout_health(here: standing.Standing) -> pages.RolloutHealth:
    """How a rollout does, for its page."""
    return pages.rollout_health(db_session(), here, at=now())


def _page(here: standing.Standing, form: Form, *, conflict: str | None = None) -> str:
    return render_template(
        "guards/edit.html",
        here=here,
        form=form,
        conflict=conflict,
        acts=[(act.value, act.label) for act in OnBreach],
        act_hints={act.value: act.hint for act in OnBreach},
        measures=tuple(Measure),
    )
