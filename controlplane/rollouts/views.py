"""The pages of rollouts: one is started, looked at, moved. All of it works without script."""

from dataclasses import replace
from functools import partial
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from controlplane.accounts.actor import Role
from controlplane.configurations.documents import place_of
from controlplane.configurations.models import Configuration
from controlplane.configurations.places import Place
from controlplane.configurations.services import get_configuration
from controlplane.errors import Conflict, NotFound, Refused
from controlplane.plans.services import begin as give_plan
from controlplane.plans.steps import from_share, shape_of
from controlplane.plans.subjects import OfRollout
from controlplane.rollouts import act_views, effects, gate_views, pages, services, standing
from controlplane.rollouts.effects import Effect
from controlplane.rollouts.inputs import ShareInput, StartInput
from controlplane.rollouts.models import Rollout
from controlplane.rollouts.ranges import Candidate, format_share, parse_share, share_words
from controlplane.rollouts.routing import ONE, ROOT, Form, blueprint, line_of, only_asks, renewed, with_preset
from controlplane.rollouts.starting import start as begin
from controlplane.rollouts.wording import listed
from controlplane.units.pages import people_moved
from controlplane.web.access import current_actor, people_with, requires
from controlplane.web.environments import current_environment
from controlplane.web.forms import Parsed, fill, parse, without_blank_rows
from controlplane.web.unit_of_work import db_session

# The other modules with pages of this blueprint: imported, they are part of it.
__all__ = ["act_views", "blueprint", "gate_views"]


@blueprint.get(ROOT)
@requires(Role.VIEWER)
def index(environment: str) -> str:
    """What is being rolled out here, and what was."""
    page = pages.index_page(db_session(), environment, before=request.args.get("before", type=int))
    return render_template("rollouts/index.html", page=page)


@blueprint.get(f"{ROOT}/new")
@requires(Role.PUBLISHER)
def new(environment: str) -> str:
    """The form to start a rollout; where one runs already, another version beside it."""
    return _new_page(_panel(environment, _configuration_asked_for()), None)


@blueprint.post(ROOT)
@requires(Role.PUBLISHER)
def start(environment: str) -> ResponseReturnValue:
    """Start it, or show the form again with what is wrong."""
    configuration, form = start_asked_for()
    if only_asks() or request.form.get("more"):
        return start_page(environment, configuration, replace(form, errors={}))
    if form.value is None:
        return start_page(environment, configuration, form), 422
    wanted = form.value
    try:
        first, *_ = begin(
            db_session(),
            environment,
            configuration,
            candidates=wanted.candidates,
            unit=wanted.unit,
            reason=wanted.reason,
            base=wanted.base,
            actor=current_actor(),
        )
        _with_plan(first, wanted)
    except Refused as refusal:
        return start_page(environment, configuration, form.refused(refusal)), 422
    except Conflict as conflict:
        return start_page(environment, configuration, form, conflict=str(conflict)), 409
    told = [f"version {each.version} is at {share_words(each.share)}" for each in wanted.candidates]
    flash(f"Of {place_of(configuration).title}, {listed(told)}.")
    return redirect(url_for(".show", number=first.number), 303)


def _with_plan(rollout: Rollout, wanted: StartInput) -> None:
    """Give what was just started the plan that was chosen with it, if one was."""
    shape = shape_of(wanted.plan or "")
    if shape is None:
        return
    give_plan(
        db_session(),
        OfRollout(rollout.environment, rollout.number),
        steps=from_share(shape, wanted.share),
        reason=wanted.reason,
        actor=current_actor(),
    )


def start_asked_for() -> tuple[Configuration, Form]:
    """Which configuration is meant, and what was sent to start a rollout of it."""
    return _configuration_asked_for(), parse(
        StartInput, without_blank_rows(with_preset(request.form), "also", "to_version")
    )


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
    form = parse(ShareInput, with_preset(request.form))
    if only_asks():
        return _show_page(environment, number, replace(form, errors={}))
    if form.value is None:
        return _show_page(environment, number, form), 422
    wanted = form.value
    try:
        services.set_share(
            db_session(),
            rollout,
            share=wanted.share,
            others=wanted.other_shares,
            reason=wanted.reason,
            base=wanted.base,
            actor=current_actor(),
        )
    except Refused as refusal:
        return _show_page(environment, number, form.refused(refusal)), 422
    except Conflict as conflict:
        return _show_page(environment, number, form, conflict=str(conflict)), 409
    told = {rollout.to_version: wanted.share, **wanted.other_shares}
    at = listed([f"version {version} is at {share_words(share)}" for version, share in told.items()])
    flash(f"{at[0].upper()}{at[1:]}.")
    return redirect(url_for(".show", number=number), 303)


@blueprint.get(f"/_{ONE}/effect")
@requires(Role.VIEWER)
def effect(environment: str, number: int) -> str:
    """The sentence under the slider."""
    here = standing.get_standing(db_session(), environment, number)
    return line_of(_of_shares(here, _unjudged(request.args)))


@blueprint.get(f"/_{ROOT}/effect")
@requires(Role.VIEWER)
def start_effect(environment: str) -> str:
    """The sentence under the slider of a rollout that is about to be started."""
    place = place_of(_configuration_asked_for())
    live = standing.live_entry(db_session(), environment, place.key)
    return line_of(
        _of_start(environment, place, live, _unjudged(without_blank_rows(request.args, "also", "to_version")))
    )


@blueprint.app_template_global("rollout_panel_of")
def rollout_panel_of(configuration: Configuration) -> pages.Panel | None:
    """The panel for the page of a configuration, in the environment on screen."""
    here = current_environment()
    return pages.rollout_panel(db_session(), here.code, configuration) if here else None


@blueprint.app_template_global("rollout_form")
def rollout_form(panel: pages.Panel) -> Form:
    """The panel's form as it is first shown."""
    return fill({**(_shares_of(panel.running) if panel.running else _first_of(panel)), "base": panel.base})


@blueprint.app_template_global("further_rows")
def further_rows(panel: pages.Panel, form: Form) -> list[int]:
    """The rows for further versions to start with: those sent, and one more when it was asked for."""
    rows = form.indexes("also")
    asked = min(_whole(request.form.get("more", "")), len(panel.startable) - 1)
    return [*rows, *range(max(rows, default=-1) + 1, max(rows, default=-1) + 1 + max(0, asked - len(rows)))]


@blueprint.app_template_global("rollout_effect")
def rollout_effect(panel: pages.Panel, form: Form) -> Effect:
    """What the form, as it stands, would do."""
    if panel.running:
        return _of_shares(panel.running, form)
    return _of_start(panel.environment, panel.place, panel.live, form)


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


def _panel(environment: str, configuration: Configuration) -> pages.Panel:
    return pages.rollout_panel(db_session(), environment, configuration)


def _new_page(panel: pages.Panel, form: Form | None, *, conflict: str | None = None) -> str:
    form = renewed(form, panel.base, _first_of(panel))
    panel = replace(panel, running=None)  # what is shown is what begins, not what runs
    return render_template("rollouts/new.html", panel=panel, form=form, conflict=conflict)


def _first_of(panel: pages.Panel) -> dict[str, Any]:
    """A form to start a rollout, as it is first shown."""
    wanted = request.args.get("to_version") or (panel.startable[0][0] if panel.startable else "")
    return {"share": "10", "to_version": wanted, "unit": panel.unit}


def _shares_of(here: standing.Standing) -> dict[str, Any]:
    """A form of shares, as they are."""
    others = [{"version": version, "share": format_share(share)} for version, share in here.others.items()]
    return {"share": format_share(here.share), "others": others}


def _show_page(environment: str, number: int, form: Form | None, *, conflict: str | None = None) -> str:
    here = standing.get_standing(db_session(), environment, number)
    place = here.place
    configuration = get_configuration(db_session(), place.interaction, tier=place.tier, tenant=place.tenant)
    page = pages.show_page(db_session(), environment, here, configuration)
    asked_for = form
    form = renewed(_with_others(form, here), here.last.release, _shares_of(here))
    return render_template(
        "rollouts/show.html",
        page=page,
        form=form,
        conflict=conflict,
        asked_for_others=_others_sent(asked_for) if asked_for else {},
        all_changes_url=None,
    )


def _with_others(form: Form | None, here: standing.Standing) -> Form | None:
    """The form with the other candidates' shares in the rows where they stand by now.

    What a page that is out of date says of them is what they had when it was opened, not what somebody asked for: sent
    again it would undo what others did meanwhile. So they are shown as they are, and the notice says what had been sent.
    """
    if form is None:
        return None
    fresh = form["base"].value == str(here.last.release)
    sent = _others_sent(form) if fresh else {}
    kept = {name: values for name, values in form.raw.items() if not name.startswith("others.")}
    for at, (version, share) in enumerate(here.others.items()):
        kept[f"others.{at}.version"] = [str(version)]
        kept[f"others.{at}.share"] = [sent.get(version, format_share(share))]
    return replace(form, raw=kept)


def _others_sent(form: Form) -> dict[int, str]:
    """The other candidates' shares as typed, by version."""
    rows = form.indexes("others")
    return {_whole(form[f"others.{at}.version"].value): form[f"others.{at}.share"].value for at in rows}


def _unjudged(sent: MultiDict[str, str]) -> Form:
    """What was sent, as a form that nobody judged yet: its shares are read one by one."""
    return Parsed(None, {}, {name: sent.getlist(name) for name in sent})


def _of_shares(here: standing.Standing, form: Form) -> Effect:
    if not here.running:
        return Effect(here.sentence)
    try:
        others = {
            version: parse_share(form[f"others.{at}.share"].value or format_share(share))
            for at, (version, share) in enumerate(here.others.items())
        }
        count = partial(people_moved, db_session(), here.rollout.environment, here.place.key)
        return effects.of_shares(here, parse_share(form["share"].value), others, count=count)
    except ValueError as problem:
        return Effect(str(problem), problem=True)


def _of_start(environment: str, place: Place, live: standing.Live, form: Form) -> Effect:
    rows = ["", *(f"also.{at}." for at in form.indexes("also"))]
    try:
        candidates = [
            Candidate(_whole(form[f"{row}to_version"].value), parse_share(form[f"{row}share"].value))
            for row in rows
            if not row or form[f"{row}to_version"].value
        ]
    except ValueError as problem:
        return Effect(str(problem), problem=True)
    count = partial(people_moved, db_session(), environment, place.key)
    return effects.of_start(live, candidates, unit=form["unit"].value, count=count)


def _whole(typed: str) -> int:
    return int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 10 else 0
