"""The pages of kill switches: what is thrown, and a page with the question for each turn. All of it works without script."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, url_for
from flask import request as sent
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from controlplane.accounts.actor import Role
from controlplane.errors import Conflict, NotFound, Refused
from controlplane.registry.models import Interaction
from controlplane.registry.services import get
from controlplane.switches import pages, services
from controlplane.switches.inputs import TurnInput
from controlplane.switches.models import EVERYTHING
from controlplane.web.access import current_actor, people_with, requires
from controlplane.web.forms import Parsed, parse
from controlplane.web.unit_of_work import db_session

blueprint = Blueprint("switches", __name__)

ROOT = "/<environment>/switches"
ONE = f"{ROOT}/<target>"

Form = Parsed[Any]


@blueprint.get(ROOT)
@requires(Role.VIEWER)
def index(environment: str) -> str:
    """What is thrown here, and what could be."""
    page = pages.index_page(db_session(), environment)
    return render_template(
        "switches/index.html",
        page=page,
        form=_empty(),
        changes=page.changes,
        all_changes_url=url_for("audit.index", object_kind=services.OBJECT_KIND, environment=environment),
        askable=people_with(Role.ON_CALL),
    )


@blueprint.get(f"{ONE}/throw")
@requires(Role.ON_CALL)
def throw(environment: str, target: str) -> ResponseReturnValue:
    """Ask for the reason to throw a switch."""
    return _asked(environment, target, "throw")


@blueprint.post(f"{ONE}/throw")
@requires(Role.ON_CALL)
def throw_now(environment: str, target: str) -> ResponseReturnValue:
    """Throw it, or show the page again with what is wrong."""
    return _turn(environment, target, "throw")


@blueprint.get(f"{ONE}/lift")
@requires(Role.ON_CALL)
def lift(environment: str, target: str) -> ResponseReturnValue:
    """Ask for the reason to lift a switch."""
    return _asked(environment, target, "lift")


@blueprint.post(f"{ONE}/lift")
@requires(Role.ON_CALL)
def lift_now(environment: str, target: str) -> ResponseReturnValue:
    """Lift it, or show the page again with what is wrong."""
    return _turn(environment, target, "lift")


@blueprint.app_template_global("switches_of")
def switches_of(interaction: str) -> list[pages.Place]:
    """The switch of an interaction in every environment, for its page."""
    return pages.places_of(db_session(), interaction)


def _asked(environment: str, target: str, verb: str) -> ResponseReturnValue:
    line = _line(environment, target)
    if (line.switch is None) == (verb == "lift"):
        return redirect(url_for(".index"), 303)
    return _turn_page(environment, line, verb, _empty())


def _turn(environment: str, target: str, verb: str) -> ResponseReturnValue:
    line = _line(environment, target)
    form = parse(TurnInput, sent.form)
    wanted = form.value or TurnInput()
    try:
        _check_typed(environment, target, verb, wanted)
        turn = services.throw if verb == "throw" else services.lift
        interaction = None if target == EVERYTHING else target
        turn(db_session(), environment, interaction, reason=wanted.reason, actor=current_actor())
    except Refused as refusal:
        return _turn_page(environment, line, verb, form.refused(refusal)), 422
    except Conflict as conflict:
        return _turn_page(environment, _line(environment, target), verb, form, conflict=str(conflict)), 409
    what = f"{services.calls_of(target)} {'take the built-in path' if verb == 'throw' else 'use what is live again'}"
    flash(f"{'Thrown' if verb == 'throw' else 'Lifted'}: {what} as soon as the processes see it.")
    return redirect(url_for(".index"), 303)


def _check_typed(environment: str, target: str, verb: str, wanted: TurnInput) -> None:
    if verb == "throw" and target == EVERYTHING and not wanted.confirms(environment):
        raise Refused({"confirm": f"Type {environment} to switch everything off there."})


def _line(environment: str, target: str) -> pages.Line:
    if "\x00" in target:  # no text column can hold it
        raise NotFound("interaction", target.replace("\x00", "?"))
    line = pages.line_of(db_session(), environment, target)
    if target != EVERYTHING and line.switch is None:
        get(db_session(), Interaction, target)
    return line


def _turn_page(
    environment: str, line: pages.Line, verb: str, form: Form, *, conflict: str | None = None
) -> str:
    return render_template(
        "switches/turn.html",
        line=line,
        verb=verb,
        form=form,
        conflict=conflict,
        guarded=pages.is_guarded(db_session(), environment),
    )


def _empty() -> Form:
    return parse(TurnInput, MultiDict())
