"""The form of a configuration: a next version of one that is there, or the first of a new one."""

from flask import flash, redirect, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from controlplane.accounts.actor import Role
from controlplane.configurations import choices, drafts, editing, live, pages, services
from controlplane.configurations.checks import place_problems
from controlplane.configurations.documents import place_of
from controlplane.configurations.editing import Form, Submission
from controlplane.configurations.models import Configuration
from controlplane.configurations.places import Place
from controlplane.configurations.routing import (
    ROOT,
    at_place,
    blueprint,
    configuration_at,
    configuration_or_none,
    configuration_url,
)
from controlplane.drafts import Note
from controlplane.errors import Conflict, NotFound, Refused
from controlplane.registry.services import list_interactions, list_tiers
from controlplane.runtime.entries import DEFAULT_TIER
from controlplane.web.access import current_actor, requires
from controlplane.web.forms import Parsed, fill
from controlplane.web.unit_of_work import db_session, discard, independent


@at_place("/edit")
@requires(Role.EDITOR)
def edit(environment: str, interaction: str, tier: str, tenant: str | None = None) -> str:
    """The form, filled with the person's draft, the newest version or, to restore one, with another."""
    configuration = configuration_at(Place.from_words(interaction, tier, tenant))
    newest, wanted = configuration.versions[0], request.args.get("from", type=int)
    draft = drafts.get_draft(db_session(), place_of(configuration), actor=current_actor())
    note = Note(draft, newest, is_open=wanted is None) if draft else None
    if draft and wanted is None:
        return _edit_page(environment, configuration, editing.form_of_draft(draft), note=note)
    form = editing.form_of(services.get_version(configuration, wanted) if wanted else newest)
    form.raw["base_version"] = [str(newest.number)]
    if wanted and wanted != newest.number:
        form.raw["reason"] = [f"Back to version {wanted}: "]
    return _edit_page(environment, configuration, form, note=note)


@at_place("/edit", methods=("POST",))
@requires(Role.EDITOR)
def update(environment: str, interaction: str, tier: str, tenant: str | None = None) -> ResponseReturnValue:
    """Save the next version, or show the form again with what is wrong."""
    session = db_session()
    configuration = configuration_at(Place.from_words(interaction, tier, tenant))
    place = place_of(configuration)
    newest = editing.form_of(configuration.versions[0])
    submission = editing.read(session, place, request.form, theirs=newest)
    if request.form.get("step") in ("check", "edit"):
        return _edit_page(environment, configuration, submission.unfinished.form, submission)
    if submission.values is None:
        return _edit_page(environment, configuration, submission.form, submission), 422
    base = request.form.get("base_version", 0, type=int)
    try:
        saved = services.save_version(
            session, configuration, submission.values, base_version=base, actor=current_actor()
        )
    except Conflict:
        return _conflict_page(place, submission, base), 409
    except Refused as refusal:
        return _edit_page(environment, configuration, submission.form.refused(refusal), submission), 422
    flash(f"Saved version {saved.number} of {place.title}. Not live until published.")
    return redirect(configuration_url(place), 303)


@at_place("/effect", prefix="/_", methods=("POST",))
@requires(Role.EDITOR)
def effect(environment: str, interaction: str, tier: str, tenant: str | None = None) -> str:
    """The panel beside the form: what saving it would mean."""
    place = Place.from_words(interaction, tier, tenant)
    configuration = configuration_or_none(place)
    submission = editing.read(db_session(), place, request.form)
    shown = editing.effect(db_session(), environment, place, submission, configuration)
    return render_template("configurations/_effect.html", effect=shown)


@blueprint.get(f"{ROOT}/new")
@requires(Role.EDITOR)
def new(environment: str) -> ResponseReturnValue:
    """First where it shall stand, then the form."""
    place = _place_asked_for(request.args)
    if place is None:
        return _place_page(fill(request.args.to_dict()))
    problems = place_problems(db_session(), place)
    if problems:
        return _place_page(Parsed(None, problems, {name: [value] for name, value in request.args.items()}))
    standing = configuration_or_none(place)
    if standing is not None and standing.archived_at is None:
        flash(f"{place.title} has a configuration already: this is it.", "info")
        return redirect(configuration_url(place), 303)
    draft = drafts.get_draft(db_session(), place, actor=current_actor())
    if draft is not None:
        note = Note(draft, None, is_open=True)
        return _new_page(environment, place, editing.form_of_draft(draft), note=note)
    form = editing.form_of(standing.versions[0]) if standing else _first_form(place, request.args.get("from"))
    return _new_page(environment, place, form)


@blueprint.post(f"{ROOT}/new")
@requires(Role.EDITOR)
def create(environment: str) -> ResponseReturnValue:
    """Make the configuration with its first version."""
    place = _place_asked_for(request.form)
    if place is None:
        return _place_page(Parsed(None, {"interaction": "Choose an interaction."}, {})), 422
    submission = editing.read(db_session(), place, request.form)
    if request.form.get("step") == "check":
        return _new_page(environment, place, submission.unfinished.form, submission)
    if submission.values is None:
        return _new_page(environment, place, submission.form, submission), 422
    try:
        services.create_configuration(
            db_session(),
            interaction=place.interaction,
            tier=place.tier,
            tenant=place.tenant,
            values=submission.values,
            actor=current_actor(),
        )
    except Refused as refusal:
        standing = configuration_or_none(place)
        if standing is not None and standing.archived_at is None:  # somebody else has just made it
            return _conflict_page(place, submission, 0), 409
        return _new_page(environment, place, submission.form.refused(refusal), submission), 422
    flash(f"Made {place.title}. Not live until published.")
    return redirect(configuration_url(place), 303)


def _edit_page(
    environment: str,
    configuration: Configuration,
    form: Form,
    sent: Submission | None = None,
    *,
    note: Note | None = None,
) -> str:
    session, place = db_session(), place_of(configuration)
    entries = live.live_entries(session, environment)
    shown = editing.effect(session, environment, place, sent, configuration) if sent else None
    return render_template(
        "configurations/edit.html",
        configuration=configuration,
        place=place,
        standing=pages.standing_of(configuration, entries),
        form=form,
        choices=choices.choices_for(session, place.interaction, live=entries),
        effect=shown,
        note=note,
        is_unsaved=sent is not None,
    )


def _new_page(
    environment: str, place: Place, form: Form, sent: Submission | None = None, *, note: Note | None = None
) -> str:
    session = db_session()
    entries = live.live_entries(session, environment)
    return render_template(
        "configurations/new.html",
        place=place,
        form=form,
        choices=choices.choices_for(session, place.interaction, live=entries),
        effect=editing.effect(session, environment, place, sent, None) if sent else None,
        note=note,
        is_unsaved=sent is not None,
    )


def _conflict_page(place: Place, submission: Submission, base: int) -> str:
    """The three sides. What was sent is kept as the person's draft, for whoever closes this page."""
    assert submission.values is not None  # noqa: S101 - only values that were accepted can collide
    discard()
    with independent() as session:
        drafts.save_draft(
            session, place, fields=submission.form.raw, base_version=base, actor=current_actor()
        )
    collision = editing.collide(configuration_at(place), submission.values, base_version=base)
    return render_template(
        "configurations/conflict.html", place=place, collision=collision, form=collision.form
    )


def _place_asked_for(given: MultiDict[str, str]) -> Place | None:
    interaction, tier, tenant = (given.get(name, "").strip() for name in ("interaction", "tier", "tenant"))
    return Place.from_words(interaction, tier or DEFAULT_TIER, tenant or None) if interaction else None


def _place_page(form: Form) -> str:
    return render_template(
        "configurations/place.html",
        form=form,
        options={
            "interactions": [(row.code, row.code) for row in list_interactions(db_session())],
            "tiers": [
                (DEFAULT_TIER, "Default"),
                *((row.code, f"{row.name} ({row.code})") for row in list_tiers(db_session())),
            ],
        },
    )


def _first_form(place: Place, copied: str | None) -> Form:
    """Filled from the configuration it is copied from, else from the row that it would take calls away from."""
    for each in (_place_copied(copied), Place(place.interaction, place.tier), Place(place.interaction)):
        if each is None or each.interaction != place.interaction:
            continue  # another interaction's template would not fit
        try:
            return editing.form_of(configuration_at(each).versions[0])
        except NotFound:
            continue
    return fill(editing.BLANK)


def _place_copied(path: str | None) -> Place | None:
    try:
        return Place.from_path(path) if path else None
    except ValueError:
        return None
