"""The pages of plans: given, looked at, changed ahead, taken a step further, stopped, let go on, cancelled."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from controlplane.accounts.actor import Role
from controlplane.db import now
from controlplane.errors import Conflict, NotFound, Refused
from controlplane.plans import pages, services, steps
from controlplane.plans.inputs import PlanInput, RevisionInput
from controlplane.plans.models import Plan
from controlplane.plans.subjects import OfGate, OfRollout, Stand, Subject, subject_of
from controlplane.registry.models import Interaction
from controlplane.registry.services import get as get_registered
from controlplane.rollouts.pages import is_protected
from controlplane.rollouts.ranges import format_share, parse_share, share_words
from controlplane.rollouts.wording import gate_effect
from controlplane.runtime.bucketing import BUCKETS
from controlplane.web.access import current_actor, requires
from controlplane.web.forms import Parsed, fill, parse, without_blank_rows
from controlplane.web.unit_of_work import db_session

blueprint = Blueprint("plans", __name__)

OF_ROLLOUT = "/<environment>/rollouts/<int:number>/plan"
OF_GATE = "/<environment>/gates/<interaction>/plan"
ONE = "/<environment>/plans/<int:number>"

Form = Parsed[Any]


@blueprint.get(OF_ROLLOUT)
@requires(Role.PUBLISHER)
def of_rollout(environment: str, number: int) -> str:
    """The form to give a rollout a plan, or to change what is ahead in the one it has."""
    return _edit_page(_rollout(environment, number), None)


@blueprint.post(OF_ROLLOUT)
@requires(Role.PUBLISHER)
def give_rollout(environment: str, number: int) -> ResponseReturnValue:
    """Give it the plan, or change the one it has; or show the form again."""
    return _given(_rollout(environment, number))


@blueprint.get(OF_GATE)
@requires(Role.PUBLISHER)
def of_gate(environment: str, interaction: str) -> str:
    """The form to give a gate a plan, or to change what is ahead in the one it has."""
    return _edit_page(_gate(environment, interaction), None)


@blueprint.post(OF_GATE)
@requires(Role.PUBLISHER)
def give_gate(environment: str, interaction: str) -> ResponseReturnValue:
    """Give it the plan, or change the one it has; or show the form again."""
    return _given(_gate(environment, interaction))


@blueprint.get(ONE)
@requires(Role.VIEWER)
def show(environment: str, number: int) -> str:
    """One plan with its steps and what may be done to it."""
    return _show_page(_plan(environment, number), None)


@blueprint.post(f"{ONE}/next")
@requires(Role.PUBLISHER)
def take_next(environment: str, number: int) -> ResponseReturnValue:
    """Take the next step now."""

    def act(wanted: RevisionInput) -> Plan:
        return services.take_next(
            db_session(),
            environment,
            number,
            revision=wanted.revision,
            reason=wanted.reason,
            actor=current_actor(),
        )

    return _acted(environment, number, act, lambda plan: f"It is at {share_words(plan.share)}.")


@blueprint.post(f"{ONE}/stop")
@requires(Role.ON_CALL)
def stop(environment: str, number: int) -> ResponseReturnValue:
    """Hold it where it is."""
    return _acted(
        environment, number, _act(environment, number, services.stop), lambda _: "The plan is stopped."
    )


@blueprint.post(f"{ONE}/go-on")
@requires(Role.PUBLISHER)
def go_on(environment: str, number: int) -> ResponseReturnValue:
    """Let it go on from where things stand."""
    return _acted(
        environment, number, _act(environment, number, services.go_on), lambda _: "The plan goes on."
    )


@blueprint.post(f"{ONE}/cancel")
@requires(Role.ON_CALL)
def cancel(environment: str, number: int) -> ResponseReturnValue:
    """End it; the share stays."""
    return _acted(
        environment,
        number,
        _act(environment, number, services.cancel),
        lambda plan: f"The plan is cancelled; it stays at {share_words(plan.share)}.",
    )


@blueprint.app_template_global("plan_of_rollout")
def plan_of_rollout(environment: str, number: int) -> pages.Shown | None:
    """The plan for a rollout's page."""
    return pages.shown_of(db_session(), OfRollout(environment, number), at=now())


@blueprint.app_template_global("plan_of_gate")
def plan_of_gate(environment: str, interaction: str) -> pages.Shown | None:
    """The plan for a gate's page."""
    return pages.shown_of(db_session(), OfGate(environment, interaction), at=now())


@blueprint.app_template_global("open_plans")
def open_plans(environment: str) -> list[pages.Named]:
    """The plans of an environment that go on, for the lists of rollouts and the overview."""
    return pages.open_plans(db_session(), environment, at=now())


@blueprint.app_template_global("plan_shapes")
def plan_shapes() -> list[tuple[str, str]]:
    """The plans that a rollout can be started with."""
    return [(each.code, each.label) for each in steps.OF_ROLLOUTS]


def _rollout(environment: str, number: int) -> OfRollout:
    subject = OfRollout(environment, number)
    subject.stand(db_session())  # a rollout that is not there is a 404
    return subject


def _gate(environment: str, interaction: str) -> OfGate:
    if "\x00" in interaction:  # no text column can hold it
        raise NotFound("interaction", interaction.replace("\x00", "?"))
    return OfGate(environment, get_registered(db_session(), Interaction, interaction).code)


def _plan(environment: str, number: int) -> Plan:
    plan = db_session().get(Plan, min(number, 2**31 - 1))
    if plan is None or plan.environment != environment:
        raise NotFound("plan", number)
    return plan


def _home(plan: Plan) -> str:
    if plan.rollout is not None:
        return url_for("rollouts.show", number=plan.rollout)
    return url_for("rollouts.gate", interaction=plan.gate)


def _given(subject: Subject) -> ResponseReturnValue:
    session = db_session()
    sent = without_blank_rows(request.form, "steps", "share")
    form = parse(PlanInput, sent)
    shape = steps.shape_of(request.form.get("shape", ""))
    if shape is not None:
        return _edit_page(subject, _filled(form, shape.steps))
    if request.form.get("more"):
        return _edit_page(subject, replace(form, errors={}))
    if form.value is None:
        return _edit_page(subject, form), 422
    wanted = form.value
    plan = services.open_plan(session, subject)
    try:
        if plan is None:
            plan = services.begin(
                session, subject, steps=wanted.all, reason=wanted.reason, actor=current_actor()
            )
            flash(f"The plan runs: it is at {share_words(plan.share)}.")
        else:
            services.change(
                session,
                subject.environment,
                plan.number,
                steps=wanted.all,
                revision=wanted.revision,
                reason=wanted.reason,
                actor=current_actor(),
            )
            flash("What is ahead in the plan is changed.")
    except Refused as refusal:
        return _edit_page(subject, form.refused(refusal)), 422
    except Conflict as conflict:
        return _edit_page(subject, form, conflict=str(conflict)), 409
    return redirect(_home(plan), 303)


def _edit_page(subject: Subject, form: Form | None, *, conflict: str | None = None) -> str:
    session = db_session()
    plan, stand = services.open_plan(session, subject), subject.stand(session)
    shown = pages.shown(session, subject, plan, at=now()) if plan else None
    form = form or fill(_first(subject, shown))
    if plan is not None:
        form = replace(form, raw={**form.raw, "revision": [str(plan.revision)]})
    rows = form.indexes("steps")
    more = 1 if request.form.get("more") else 0
    return render_template(
        "plans/edit.html",
        subject=subject,
        name=subject.named(session)[2],
        stand=stand,
        shown=shown,
        form=form,
        rows=[*rows, *range(max(rows, default=-1) + 1, max(rows, default=-1) + 1 + more)],
        shapes=steps.OF_ROLLOUTS if subject.rollout is not None else steps.OF_GATES,
        most=steps.MOST,
        lowered=None if plan else _lowered(subject, stand, form),
        crowded=pages.crowded_words(stand) if stand.left < BUCKETS else None,
        protected=is_protected(session, subject.environment),
        conflict=conflict,
    )


def _lowered(subject: Subject, stand: Stand, form: Form) -> str | None:
    """That the first step of a new plan takes something away at once, in words; the form as it stands says which it is."""
    rows = form.indexes("steps")
    try:
        share = parse_share(form[f"steps.{rows[0]}.share"].value) if rows else stand.share
    except ValueError:
        return None  # said beside the field when it is sent
    if share >= stand.share:
        return None
    effect = f": {gate_effect(share)}" if subject.gate is not None else ""
    return (
        f"Its first step lowers it from {share_words(stand.share)} to {share_words(share)} at once{effect}."
    )


def _first(subject: Subject, shown: pages.Shown | None) -> dict[str, Any]:
    """The form as it is first shown: what is ahead, or the usual plan from where things stand."""
    if shown is not None:
        ahead = [
            {"share": format_share(row.share), "hold": row.hold, "waits": row.waits, "note": row.note}
            for row in shown.ahead
        ]
        return {"steps": ahead}
    shape = steps.STANDARD if subject.rollout is not None else steps.MIGRATION
    begun = steps.from_share(shape, subject.stand(db_session()).share)
    return {"steps": _typed(begun if subject.rollout is not None else shape.steps)}


def _filled(form: Form, chosen: tuple[steps.Step, ...]) -> Form:
    """The form with these steps in the place of those that were typed."""
    kept = {name: values for name, values in form.raw.items() if not name.startswith("steps.")}
    return Parsed(None, {}, {**kept, **fill({"steps": _typed(chosen)}).raw})


def _typed(chosen: tuple[steps.Step, ...]) -> list[dict[str, Any]]:
    return [
        {"share": format_share(each.share), "hold": each.hold, "waits": each.waits, "note": each.note}
        for each in chosen
    ]


def _act(environment: str, number: int, service: Callable[..., Plan]) -> Callable[[RevisionInput], Plan]:
    return lambda wanted: service(
        db_session(), environment, number, reason=wanted.reason, actor=current_actor()
    )


def _acted(
    environment: str,
    number: int,
    act: Callable[[RevisionInput], Plan],
    told: Callable[[Plan], str],
) -> ResponseReturnValue:
    plan = _plan(environment, number)
    form = parse(RevisionInput, request.form)
    try:
        act(form.value or RevisionInput())
    except Refused as refusal:
        return _show_page(plan, form.refused(refusal)), 422
    except Conflict as conflict:
        return _show_page(plan, form, conflict=str(conflict)), 409
    flash(told(plan))
    return redirect(_home(plan), 303)


def _show_page(plan: Plan, form: Form | None, *, conflict: str | None = None) -> str:
    session = db_session()
    subject = subject_of(plan)
    return render_template(
        "plans/show.html",
        subject=subject,
        name=subject.named(session)[2],
        home=_home(plan),
        shown=pages.shown(session, subject, plan, at=now()),
        form=form or fill({}),
        conflict=conflict,
    )
