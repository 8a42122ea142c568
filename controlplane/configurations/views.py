"""The pages of configurations. What is saved is the same everywhere; what is live belongs to the environment."""

from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from controlplane.accounts.actor import Role
from controlplane.configurations import draft_views, drafts, edit_views, pages, services
from controlplane.configurations.documents import place_of
from controlplane.configurations.editing import Form
from controlplane.configurations.listing import Filters, Listing
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
from controlplane.errors import Refused
from controlplane.web.access import current_actor, people_with, requires
from controlplane.web.forms import Parsed, fill
from controlplane.web.unit_of_work import db_session

# The other modules with pages of this blueprint: imported, they are part of it.
__all__ = ["blueprint", "draft_views", "edit_views"]


@blueprint.get(ROOT)
@requires(Role.VIEWER)
def index(environment: str) -> str:
    """All configurations, as saved and as live here."""
    filters = Filters.read(request.args)
    page = pages.list_page(db_session(), environment, filters, everything="all" in request.args)
    mine = drafts.draft_places(db_session(), actor=current_actor())
    return render_template(
        "configurations/index.html",
        page=page,
        form=fill(filters.query),
        tabs=_state_tabs(page),
        columns=_columns(filters),
        drafts={place.path for place in mine},
        new_drafts=[place for place in mine if configuration_or_none(place) is None],
        options={
            name: [(each.value, f"{each.label} ({each.count})") for each in offered]
            for name, offered in (
                ("interaction", page.interactions),
                ("tier", page.tiers),
                ("model", page.models),
            )
        },
    )


@at_place()
@requires(Role.VIEWER)
def show(environment: str, interaction: str, tier: str, tenant: str | None = None) -> str:
    """One configuration: what people get, what is saved, its versions and changes."""
    configuration = configuration_at(Place.from_words(interaction, tier, tenant))
    page = pages.show_page(db_session(), environment, configuration)
    draft = drafts.get_draft(db_session(), page.place, actor=current_actor())
    return render_template(
        "configurations/show.html",
        page=page,
        note=Note(draft, configuration.versions[0], is_open=False) if draft else None,
        who=_who(page),
        changes=pages.changes_of(db_session(), environment, page.place),
        all_changes_url=url_for("audit.index", object_kind="configuration", object_key=page.place.path),
        editors=people_with(Role.EDITOR),
    )


@at_place("/versions/<int:number>")
@requires(Role.VIEWER)
def version(environment: str, interaction: str, tier: str, number: int, tenant: str | None = None) -> str:
    """One saved version, read-only."""
    configuration = configuration_at(Place.from_words(interaction, tier, tenant))
    page = pages.version_page(db_session(), environment, configuration, number)
    return render_template("configurations/version.html", page=page)


@at_place("/compare")
@requires(Role.VIEWER)
def compare(environment: str, interaction: str, tier: str, tenant: str | None = None) -> str:
    """Two versions beside each other."""
    configuration = configuration_at(Place.from_words(interaction, tier, tenant))
    wanted = (request.args.get(name, type=int) for name in ("from", "to"))
    page = pages.compare_page(configuration, *wanted)
    return render_template(
        "configurations/compare.html",
        page=page,
        form=fill({"from": page.older.number, "to": page.newer.number}),
        options=[(str(number), f"Version {number}") for number in page.numbers],
    )


@at_place("/archive")
@requires(Role.EDITOR)
def archive(environment: str, interaction: str, tier: str, tenant: str | None = None) -> str:
    """Ask for the reason to archive a configuration, or to bring it back."""
    return _archive_page(environment, configuration_at(Place.from_words(interaction, tier, tenant)), fill({}))


@at_place("/archive", methods=("POST",))
@requires(Role.EDITOR)
def archive_or_restore(
    environment: str, interaction: str, tier: str, tenant: str | None = None
) -> ResponseReturnValue:
    """Archive, or bring back what is archived."""
    configuration = configuration_at(Place.from_words(interaction, tier, tenant))
    back = request.form.get("do") == "restore"
    act = services.restore_configuration if back else services.archive_configuration
    try:
        act(db_session(), configuration, reason=request.form.get("reason", ""), actor=current_actor())
    except Refused as refusal:
        raw = {"reason": [request.form.get("reason", "")]}
        return _archive_page(environment, configuration, Parsed(None, refusal.errors, raw)), 422
    place = place_of(configuration)
    flash(
        f"Brought {place.title} back."
        if back
        else f"Archived {place.title}. Publish to take it out of service."
    )
    return redirect(configuration_url(place), 303)


def _state_tabs(page: Listing) -> list[tuple[str, str, bool, int]]:
    query: dict[str, Any] = {name: value for name, value in page.filters.query.items() if name != "status"}
    tabs = [("All", url_for(".index", **query), not page.filters.status, page.anywhere)]
    return tabs + [
        (
            each.label,
            url_for(".index", **query, status=each.value),
            page.filters.status == each.value,
            each.count,
        )
        for each in page.statuses
    ]


def _columns(filters: Filters) -> list[str | dict[str, Any]]:
    query: dict[str, Any] = dict(filters.active)

    def sorting(label: str, by: str) -> dict[str, Any]:
        order = "descending" if by == "changed" else "ascending"
        return {
            "label": label,
            "sort_url": url_for(".index", **query, sort=by),
            "sorted": order if filters.sort == by else None,
        }

    return [
        sorting("Interaction", "interaction"),
        "Tier",
        sorting("Model", "model"),
        "Template",
        {"label": "Saved", "numeric": True},
        "Live",
        "State",
        sorting("Last change", "changed"),
    ]


def _who(page: pages.Show) -> list[tuple[str, str | None]]:
    """Whose calls end here, for the card that says so."""
    place = page.place
    others = ", ".join(page.reach.inherited_by)
    return [
        ("Interaction", place.interaction),
        ("Tier", place.tier or "every tier without a row of its own"),
        ("Tenant", place.tenant or "all without a row of their own"),
        *([("Now, by default", others)] if others else []),
        ("Shares count", f"{page.configuration.unit}s"),
    ]


def _archive_page(environment: str, configuration: Configuration, form: Form) -> str:
    page = pages.show_page(db_session(), environment, configuration)
    return render_template("configurations/archive.html", page=page, form=form)
