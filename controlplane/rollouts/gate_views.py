"""The pages of gates: which share of calls asks for a configuration at all, interaction by interaction."""

from dataclasses import replace
from functools import partial

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from controlplane.accounts.actor import Role
from controlplane.audit.queries import changes_of
from controlplane.errors import Conflict, NotFound, Refused
from controlplane.registry.models import Interaction
from controlplane.registry.services import get as get_registered
from controlplane.rollouts import effects, pages
from controlplane.rollouts.effects import Effect
from controlplane.rollouts.gates import set_gate
from controlplane.rollouts.inputs import ShareInput
from controlplane.rollouts.ranges import format_share, parse_share, share_words
from controlplane.rollouts.routing import GATE, Form, blueprint, line_of, only_asks, renewed, with_preset
from controlplane.units.pages import people_of_gate
from controlplane.web.access import current_actor, requires
from controlplane.web.forms import parse
from controlplane.web.unit_of_work import db_session


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
    form = parse(ShareInput, with_preset(request.form))
    if only_asks():
        return _gate_page(environment, row, replace(form, errors={}))
    if form.value is None:
        return _gate_page(environment, row, form), 422
    wanted = form.value
    try:
        set_gate(
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
    return line_of(_of_gate(row, request.args.get("share", "")))


@blueprint.app_template_global("gates_of")
def gates_of(interaction: str) -> list[pages.GateRow]:
    """The gate of an interaction in every environment, for its page."""
    return pages.gates_of(db_session(), interaction)


def _interaction(code: str) -> Interaction:
    if "\x00" in code:  # no text column can hold it
        raise NotFound("interaction", code.replace("\x00", "?"))
    return get_registered(db_session(), Interaction, code)


def _gate_page(
    environment: str, interaction: Interaction, form: Form | None, *, conflict: str | None = None
) -> str:
    row = pages.gate(db_session(), environment, interaction)
    form = renewed(form, row.base, {"share": format_share(row.share)})
    return render_template(
        "rollouts/gate.html",
        gate=row,
        form=form,
        effect=_of_gate(row, form["share"].value),
        protected=pages.is_protected(db_session(), environment),
        conflict=conflict,
        changes=changes_of(db_session(), "gate", interaction.code, environment, limit=10),
        all_changes_url=url_for("audit.index", object_kind="gate", object_key=interaction.code),
    )


def _of_gate(row: pages.GateRow, typed: str) -> Effect:
    count = partial(people_of_gate, db_session(), row.environment, row.interaction)
    try:
        return effects.of_gate(row, parse_share(typed), count=count)
    except ValueError as problem:
        return Effect(str(problem), problem=True)
