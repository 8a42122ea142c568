"""The pages of rollouts and gates: a share is looked at, moved, aborted, finished. All of it works without script."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from controlplane.accounts.actor import Role
from controlplane.audit.queries import changes_of
from controlplane.configurations.documents import place_of
from controlplane.configurations.models import Configuration
from controlplane.configurations.places import Place
from controlplane.configurations.services import get_configuration
from controlplane.errors import Conflict, NotFound, Refused
from controlplane.registry.models import Interaction
from controlplane.registry.services import get as get_registered
from controlplane.rollouts import pages, services, standing
from controlplane.rollouts.inputs import ReasonInput, ShareInput, StartInput
from controlplane.rollouts.ranges import format_share, parse_share, share_words
from controlplane.web.access import current_actor, people_with, requires
from controlplane.web.environments import current_environment
from controlplane.web.forms import Parsed, fill, parse
from controlplane.web.unit_of_work import db_session

blueprint = Blueprint("rollouts", __name__)

ROOT = "/<environment>/rollouts"
ONE = f"{ROOT}/<int:number>"
GATE = "/<environment>/gates/<interaction>"

Form = Parsed[Any]


@blueprint.get(ROOT)
@requires(Role.VIEWER)
def index(environment: str) -> str:
    """What is being rolled out here, and what was."""
    page = pages.index_page(db_session(), environment, before=request.args.get("before", type=int))
    return render_template("rollouts/index.html", page=page)


@blueprint.get(f"{ROOT}/new")
@requires(Role.PUBLISHER)
def new(environment: str) -> ResponseReturnValue:
    """The form to start a rollout; where one runs already, that one."""
    panel = _panel(environment, _configuration_asked_for())
    if panel.running:
        return redirect(url_for(".show", number=panel.running.number), 303)
    return _new_page(panel, None)


@blueprint.post(ROOT)
@requires(Role.PUBLISHER)
def start(environment: str) -> ResponseReturnValue:
    """Start it, or show the form again with what is wrong."""
    configuration, form = start_asked_for()
    if _only_asks():
        return start_page(environment, configuration, replace(form, errors={}))
    if form.value is None:
        return start_page(environment, configuration, form), 422
    wanted = form.value
    try:
        rollout = services.start(
            db_session(),
            environment,
            configuration,
            to_version=wanted.to_version,
            share=wanted.share,
            reason=wanted.reason,
            base=wanted.base,
            actor=current_actor(),
        )
    except Refused as refusal:
        return start_page(environment, configuration, form.refused(refusal)), 422
    except Conflict as conflict:
        return start_page(environment, configuration, form, conflict=str(conflict)), 409
    flash(
        f"Version {wanted.to_version} of {place_of(configuration).title} is at {share_words(wanted.share)}."
    )
    return redirect(url_for(".show", number=rollout.number), 303)


def start_asked_for() -> tuple[Configuration, Form]:
    """Which configuration is meant, and what was sent to start a rollout of it."""
    return _configuration_asked_for(), parse(StartInput, _with_preset(request.form))


def start_page(
    environment: str, configuration: Configuration, form: Form, *, conflict: str | None = None
) -> str:
    """The form to start a rollout again, with what is wrong."""
    return _new_page(_panel(environment, configuration), form, conflict=conflict)


@blueprint.get(ONE)
@requires(Role.VIEWER)
def show(environment: str, number: int) -> str:
    """One rollout: its share, what may be done to it, its history."""
    return _show_page(environment, number, None)


@blueprint.post(ONE)
@requires(Role.PUBLISHER)
def move(environment: str, number: int) -> ResponseReturnValue:
    """Set the share, or show the page again with what is wrong."""
    rollout = services.get_rollout(db_session(), environment, number)
    form = parse(ShareInput, _with_preset(request.form))
    if _only_asks():
        return _show_page(environment, number, replace(form, errors={}))
    if form.value is None:
        return _show_page(environment, number, form), 422
    wanted = form.value
    try:
        services.set_share(
            db_session(),
            rollout,
            share=wanted.share,
            reason=wanted.reason,
            base=wanted.base,
            actor=current_actor(),
        )
    except Refused as refusal:
        return _show_page(environment, number, form.refused(refusal)), 422
    except Conflict as conflict:
        return _show_page(environment, number, form, conflict=str(conflict)), 409
    flash(f"Version {rollout.to_version} is at {share_words(wanted.share)}.")
    return redirect(url_for(".show", number=number), 303)


@blueprint.get(f"{ONE}/abort")
@requires(Role.ON_CALL)
def abort(environment: str, number: int) -> ResponseReturnValue:
    """Ask for the reason to abort."""
    return _asked_end(environment, number, "abort")


@blueprint.post(f"{ONE}/abort")
@requires(Role.ON_CALL)
def abort_now(environment: str, number: int) -> ResponseReturnValue:
    """Everyone back. Not refused because somebody moved the share meanwhile: whoever aborts means at any share."""
    return _end(environment, number, "abort")


@blueprint.get(f"{ONE}/finish")
@requires(Role.PUBLISHER)
def finish(environment: str, number: int) -> ResponseReturnValue:
    """Ask for the reason to finish."""
    return _asked_end(environment, number, "finish")


@blueprint.post(f"{ONE}/finish")
@requires(Role.PUBLISHER)
def finish_now(environment: str, number: int) -> ResponseReturnValue:
    """The newer version for everyone."""
    return _end(environment, number, "finish")


@blueprint.get(f"/_{ONE}/effect")
@requires(Role.VIEWER)
def effect(environment: str, number: int) -> str:
    """The sentence under the slider."""
    here = standing.get_standing(db_session(), environment, number)
    return _effect(lambda share: pages.effect(db_session(), here, share) if here.running else here.sentence)


@blueprint.get(f"/_{ROOT}/effect")
@requires(Role.VIEWER)
def start_effect(environment: str) -> str:
    """The sentence under the slider of a rollout that is about to be started."""
    place = place_of(_configuration_asked_for())
    live = standing.live_entry(db_session(), environment, place.key)
    to_version = request.args.get("to_version", 0, type=int)
    return _effect(
        lambda share: pages.start_effect(db_session(), environment, place, live, to_version, share)
    )


@blueprint.get("/<environment>/gates")
@requires(Role.VIEWER)
def gates(environment: str) -> str:
    """The gate of every interaction."""
    return render_template("rollouts/gates.html", gates=pages.gates(db_session(), environment))


@blueprint.get(GATE)
@requires(Role.VIEWER)
def gate(environment: str, interaction: str) -> str:
    """One gate with its slider."""
    return _gate_page(environment, _interaction(interaction), None)


@blueprint.post(GATE)
@requires(Role.PUBLISHER)
def move_gate(environment: str, interaction: str) -> ResponseReturnValue:
    """Set the gate's share, or show the page again with what is wrong."""
    row = _interaction(interaction)
    form = parse(ShareInput, _with_preset(request.form))
    if _only_asks():
        return _gate_page(environment, row, replace(form, errors={}))
    if form.value is None:
        return _gate_page(environment, row, form), 422
    wanted = form.value
    try:
        services.set_gate(
            db_session(),
            environment,
            interaction,
            share=wanted.share,
            reason=wanted.reason,
            base=wanted.base,
            actor=current_actor(),
        )
    except Refused as refusal:
        return _gate_page(environment, row, form.refused(refusal)), 422
    except Conflict as conflict:
        return _gate_page(environment, row, form, conflict=str(conflict)), 409
    flash(f"The gate of {interaction} is at {share_words(wanted.share)}.")
    return redirect(url_for(".gate", interaction=interaction), 303)


@blueprint.get(f"/_{GATE}/effect")
@requires(Role.VIEWER)
def gate_effect(environment: str, interaction: str) -> str:
    """The sentence under a gate's slider."""
    row = pages.gate(db_session(), environment, _interaction(interaction))
    return _effect(lambda share: pages.gate_effect(db_session(), row, share))


@blueprint.app_template_global("rollout_panel_of")
def rollout_panel_of(configuration: Configuration) -> pages.Panel | None:
    """The panel for the page of a configuration, in the environment on screen."""
    here = current_environment()
    return pages.rollout_panel(db_session(), here.code, configuration) if here else None


@blueprint.app_template_global("rollout_form")
def rollout_form(panel: pages.Panel) -> Form:
    """The panel's form as it is first shown."""
    share = format_share(panel.running.share) if panel.running else "10"
    version = panel.startable[0][0] if panel.startable else ""
    return fill({"share": share, "to_version": version, "reason": "", "base": panel.base})


@blueprint.app_template_global("rollout_effect")
def rollout_effect(panel: pages.Panel, form: Form) -> pages.Effect:
    """What the form, as it stands, would do."""
    typed = form["share"].value
    if panel.running:
        here = panel.running
        return _said(typed, lambda share: pages.effect(db_session(), here, share))
    version = form["to_version"].value
    to_version = int(version) if version.isascii() and version.isdigit() else 0
    return _said(
        typed,
        lambda share: pages.start_effect(
            db_session(), panel.environment, panel.place, panel.live, to_version, share
        ),
    )


@blueprint.app_template_global("gates_of")
def gates_of(interaction: str) -> list[pages.GateRow]:
    """The gate of an interaction in every environment, for its page."""
    return pages.gates_of(db_session(), interaction)


@blueprint.app_context_processor
def _people() -> dict[str, Any]:
    return {"publishers": lambda: people_with(Role.PUBLISHER)}


def _configuration_asked_for() -> Configuration:
    path = request.values.get("configuration", "")
    try:
        place = Place.from_path(path)
    except ValueError:
        raise NotFound("configuration", path) from None
    return get_configuration(db_session(), place.interaction, tier=place.tier, tenant=place.tenant)


def _interaction(code: str) -> Interaction:
    if "\x00" in code:  # no text column can hold it
        raise NotFound("interaction", code.replace("\x00", "?"))
    return get_registered(db_session(), Interaction, code)


def _panel(environment: str, configuration: Configuration) -> pages.Panel:
    return pages.rollout_panel(db_session(), environment, configuration)


def _with_preset(form: MultiDict[str, str]) -> MultiDict[str, str]:
    """A button that names its own share wins over the field."""
    sent = form.copy()
    if "preset" in sent:
        sent["share"] = sent["preset"]
    return sent


def _renewed(form: Form | None, base: int, first: dict[str, Any]) -> Form:
    """The form to show: as typed, but made from what is live now; or, the first time, as things stand."""
    if form is None:
        return fill({**first, "base": base})
    return replace(form, raw={**form.raw, "base": [str(base)]})


def _new_page(panel: pages.Panel, form: Form | None, *, conflict: str | None = None) -> str:
    wanted = request.args.get("to_version") or (panel.startable[0][0] if panel.startable else "")
    form = _renewed(form, panel.base, {"share": "10", "to_version": wanted})
    return render_template("rollouts/new.html", panel=panel, form=form, conflict=conflict)


def _show_page(environment: str, number: int, form: Form | None, *, conflict: str | None = None) -> str:
    here = standing.get_standing(db_session(), environment, number)
    place = here.place
    configuration = get_configuration(db_session(), place.interaction, tier=place.tier, tenant=place.tenant)
    page = pages.show_page(db_session(), environment, here, configuration)
    form = _renewed(form, here.last.release, {"share": format_share(here.share)})
    return render_template(
        "rollouts/show.html", page=page, form=form, conflict=conflict, all_changes_url=None
    )


def _asked_end(environment: str, number: int, verb: str) -> ResponseReturnValue:
    here = standing.get_standing(db_session(), environment, number)
    if not here.running:
        return redirect(url_for(".show", number=number), 303)
    return _end_page(here, verb, None)


def _end_page(here: standing.Standing, verb: str, form: Form | None, *, conflict: str | None = None) -> str:
    return render_template(
        "rollouts/end.html",
        here=here,
        verb=verb,
        form=_renewed(form, here.last.release, {}),
        protected=pages.is_protected(db_session(), here.rollout.environment),
        conflict=conflict,
    )


def _end(environment: str, number: int, verb: str) -> ResponseReturnValue:
    rollout = services.get_rollout(db_session(), environment, number)
    form = parse(ReasonInput, request.form)
    wanted = form.value or ReasonInput()
    try:
        if verb == "abort":
            services.abort(db_session(), rollout, reason=wanted.reason, actor=current_actor())
        else:
            services.finish(
                db_session(), rollout, reason=wanted.reason, base=wanted.base, actor=current_actor()
            )
    except Refused as refusal:
        here = standing.get_standing(db_session(), environment, number)
        return _end_page(here, verb, form.refused(refusal)), 422
    except Conflict as conflict:
        here = standing.get_standing(db_session(), environment, number)
        return _end_page(here, verb, form, conflict=str(conflict)), 409
    left = rollout.from_version if verb == "abort" else rollout.to_version
    flash(f"{'Aborted' if verb == 'abort' else 'Finished'}: everyone is on version {left}.")
    return redirect(url_for(".show", number=number), 303)


def _gate_page(
    environment: str, interaction: Interaction, form: Form | None, *, conflict: str | None = None
) -> str:
    row = pages.gate(db_session(), environment, interaction)
    form = _renewed(form, row.base, {"share": format_share(row.share)})
    return render_template(
        "rollouts/gate.html",
        gate=row,
        form=form,
        effect=_said(form["share"].value, lambda share: pages.gate_effect(db_session(), row, share)),
        protected=pages.is_protected(db_session(), environment),
        conflict=conflict,
        changes=changes_of(db_session(), "gate", interaction.code, environment, limit=10),
        all_changes_url=url_for("audit.index", object_kind="gate", object_key=interaction.code),
    )


def _effect(sentence: Callable[[int], str]) -> str:
    shown = _said(request.args.get("share", ""), sentence)
    return render_template("rollouts/_effect.html", effect=shown)


def _said(typed: str, sentence: Callable[[int], str]) -> pages.Effect:
    try:
        return pages.Effect(sentence(parse_share(typed)))
    except ValueError as problem:
        return pages.Effect(str(problem), problem=True)


def _only_asks() -> bool:
    """Whether the form was sent by the button that shows what it would do, for browsers without script."""
    return request.form.get("step") == "check"
