"""The private drafts of configurations: kept while one types or by a button, compared with what is saved, thrown away."""

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from controlplane.accounts.actor import Role
from controlplane.configurations import drafts, editing
from controlplane.configurations.models import ConfigurationDraft
from controlplane.configurations.places import Place
from controlplane.configurations.routing import (
    at_place,
    configuration_or_none,
    configuration_url,
    new_configuration_url,
)
from controlplane.web.access import current_actor, requires
from controlplane.web.unit_of_work import db_session


@at_place("/draft")
@requires(Role.EDITOR)
def draft(environment: str, interaction: str, tier: str, tenant: str | None = None) -> ResponseReturnValue:
    """The draft against the version it was begun from and the newest one."""
    place = Place.from_words(interaction, tier, tenant)
    found = drafts.get_draft(db_session(), place, actor=current_actor())
    if found is None:
        return _without_draft(place)
    page = editing.draft_page(place, found, configuration_or_none(place))
    return render_template("configurations/draft.html", page=page, edit_url=_edit_url(place))


@at_place("/draft", methods=("POST",))
@requires(Role.EDITOR)
def save_draft(
    environment: str, interaction: str, tier: str, tenant: str | None = None
) -> ResponseReturnValue:
    """Keep what was typed, as the button does where no script runs."""
    place = Place.from_words(interaction, tier, tenant)
    _keep(place)
    flash("Saved your draft. Only you see it.")
    return redirect(_edit_url(place), 303)


@at_place("/draft", prefix="/_", methods=("POST",))
@requires(Role.EDITOR)
def autosave(environment: str, interaction: str, tier: str, tenant: str | None = None) -> ResponseReturnValue:
    """Keep what was typed, and say since when."""
    kept = _keep(Place.from_words(interaction, tier, tenant))
    # The leave guard counts from here.
    return render_template("components/_draft_state.html", draft=kept, is_new=True), {"HX-Trigger": "saved"}


@at_place("/draft/discard", methods=("POST",))
@requires(Role.EDITOR)
def discard_draft(
    environment: str, interaction: str, tier: str, tenant: str | None = None
) -> ResponseReturnValue:
    """Throw the draft away; the next page offers to have it back."""
    place = Place.from_words(interaction, tier, tenant)
    drafts.discard_draft(db_session(), place, actor=current_actor())
    flash(configuration_url(place, "bring_draft_back"), "undo")
    return _to_place(place)


@at_place("/draft/restore", methods=("POST",))
@requires(Role.EDITOR)
def bring_draft_back(
    environment: str, interaction: str, tier: str, tenant: str | None = None
) -> ResponseReturnValue:
    """Undo discarding."""
    place = Place.from_words(interaction, tier, tenant)
    if not drafts.bring_draft_back(db_session(), place, actor=current_actor()):
        return _without_draft(place)
    flash("Your draft is back.")
    return redirect(_edit_url(place), 303)


def _keep(place: Place) -> ConfigurationDraft | None:
    return drafts.save_draft(
        db_session(),
        place,
        fields={name: request.form.getlist(name) for name in request.form},
        base_version=request.form.get("base_version", 0, type=int),
        actor=current_actor(),
    )


def _edit_url(place: Place) -> str:
    """Where the form is, whether something stands there or is yet to be made."""
    standing = configuration_or_none(place)
    if standing is None or standing.archived_at is not None:
        return new_configuration_url(place)
    return configuration_url(place, "edit")


def _without_draft(place: Place) -> ResponseReturnValue:
    flash(f"You have no draft of {place.title}.", "info")
    return _to_place(place)


def _to_place(place: Place) -> ResponseReturnValue:
    is_there = configuration_or_none(place) is not None
    return redirect(configuration_url(place) if is_there else url_for("configurations.index"), 303)
