"""The pages of configurations. What is saved is the same everywhere; what is live belongs to the environment."""

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from controlplane.accounts.actor import Role
from controlplane.configurations import choices, editing, live, pages, services
from controlplane.configurations.checks import place_problems
from controlplane.configurations.documents import place_of
from controlplane.configurations.listing import Filters, Listing
from controlplane.configurations.models import Configuration
from controlplane.configurations.places import Place
from controlplane.errors import Conflict, NotFound, Refused
from controlplane.registry.services import list_interactions, list_tiers
from controlplane.runtime.entries import DEFAULT_TIER
from controlplane.web.access import current_actor, people_with, requires
from controlplane.web.forms import Parsed, fill
from controlplane.web.unit_of_work import db_session

blueprint = Blueprint("configurations", __name__)

ROOT = "/<environment>/configurations"
PLACE = f"{ROOT}/<interaction>/<tier>"

View = TypeVar("View", bound=Callable[..., Any])


def at_place(
    rest: str = "", *, prefix: str = "", methods: tuple[str, ...] = ("GET",)
) -> Callable[[View], View]:
    """Two addresses for one view: of a tier's configuration, and of a tenant's beside it."""

    def mark(view: View) -> View:
        for rule in (f"{prefix}{PLACE}{rest}", f"{prefix}{PLACE}/<tenant>{rest}"):
            blueprint.add_url_rule(rule, view_func=view, methods=list(methods))
        return view

    return mark


@blueprint.before_request
def spell_codes() -> ResponseReturnValue | None:
    """Codes are upper-case and tiers lower-case; an address that was typed otherwise leads to the right one."""
    given = request.view_args or {}
    right = {
        name: fold(given[name])
        for name, fold in (("interaction", str.upper), ("tier", str.lower))
        if name in given
    }
    if (
        request.method != "GET"
        or request.endpoint is None
        or all(given[name] == code for name, code in right.items())
    ):
        return None
    query = request.query_string.decode(errors="replace")
    return redirect(url_for(request.endpoint, **{**given, **right}) + (f"?{query}" if query else ""))


@blueprint.get(ROOT)
@requires(Role.VIEWER)
def index(environment: str) -> str:
    """All configurations, as saved and as live here."""
    filters = Filters.read(request.args)
    page = pages.list_page(db_session(), environment, filters, everything="all" in request.args)
    return render_template(
        "configurations/index.html",
        page=page,
        form=fill(filters.query),
        tabs=_state_tabs(page),
        columns=_columns(filters),
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
    configuration = _configuration(interaction, tier, tenant)
    page = pages.show_page(db_session(), environment, configuration)
    return render_template(
        "configurations/show.html",
        page=page,
        who=_who(page),
        changes=pages.changes_of(db_session(), environment, page.place),
        all_changes_url=url_for("audit.index", object_kind="configuration", object_key=page.place.path),
        editors=people_with(Role.EDITOR),
    )


@at_place("/versions/<int:number>")
@requires(Role.VIEWER)
def version(environment: str, interaction: str, tier: str, number: int, tenant: str | None = None) -> str:
    """One saved version, read-only."""
    configuration = _configuration(interaction, tier, tenant)
    page = pages.version_page(db_session(), environment, configuration, number)
    return render_template("configurations/version.html", page=page)


@at_place("/compare")
@requires(Role.VIEWER)
def compare(environment: str, interaction: str, tier: str, tenant: str | None = None) -> str:
    """Two versions beside each other."""
    configuration = _configuration(interaction, tier, tenant)
    wanted = (request.args.get(name, type=int) for name in ("from", "to"))
    page = pages.compare_page(configuration, *wanted)
    return render_template(
        "configurations/compare.html",
        page=page,
        form=fill({"from": page.older.number, "to": page.newer.number}),
        options=[(str(number), f"Version {number}") for number in page.numbers],
    )


@at_place("/edit")
@requires(Role.EDITOR)
def edit(environment: str, interaction: str, tier: str, tenant: str | None = None) -> str:
    """The form, filled with the newest version or, to restore one, with another."""
    configuration = _configuration(interaction, tier, tenant)
    newest, wanted = configuration.versions[0], request.args.get("from", type=int)
    form = editing.form_of(services.get_version(configuration, wanted) if wanted else newest)
    form.raw["base_version"] = [str(newest.number)]
    if wanted and wanted != newest.number:
        form.raw["reason"] = [f"Back to version {wanted}: "]
    return _edit_page(environment, configuration, form)


@at_place("/edit", methods=("POST",))
@requires(Role.EDITOR)
def update(environment: str, interaction: str, tier: str, tenant: str | None = None) -> ResponseReturnValue:
    """Save the next version, or show the form again with what is wrong."""
    session, configuration = db_session(), _configuration(interaction, tier, tenant)
    newest = editing.form_of(configuration.versions[0])
    submission = editing.read(session, place_of(configuration), request.form, theirs=newest)
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
        return _conflict_page(interaction, tier, tenant, submission, base), 409
    except Refused as refusal:
        return _edit_page(environment, configuration, submission.form.refused(refusal), submission), 422
    return _saved(place_of(configuration), saved.number)


@at_place("/effect", prefix="/_", methods=("POST",))
@requires(Role.EDITOR)
def effect(environment: str, interaction: str, tier: str, tenant: str | None = None) -> str:
    """The panel beside the form: what saving it would mean."""
    place = Place.from_words(interaction, tier, tenant)
    try:
        configuration: Configuration | None = _configuration(interaction, tier, tenant)
    except NotFound:
        configuration = None
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
    try:
        standing = services.get_configuration(
            db_session(), place.interaction, tier=place.tier, tenant=place.tenant
        )
    except NotFound:
        return _new_page(environment, place, _first_form(place, request.args.get("from")))
    if standing.archived_at is not None:
        return _new_page(environment, place, editing.form_of(standing.versions[0]))
    flash(f"{place.title} has a configuration already: this is it.", "info")
    return redirect(_url("show", place), 303)


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
        return _new_page(environment, place, submission.form.refused(refusal), submission), 422
    flash(f"Made {place.title}. Not live until published.")
    return redirect(_url("show", place), 303)


@at_place("/archive")
@requires(Role.EDITOR)
def archive(environment: str, interaction: str, tier: str, tenant: str | None = None) -> str:
    """Ask for the reason to archive a configuration, or to bring it back."""
    return _archive_page(environment, _configuration(interaction, tier, tenant), fill({}))


@at_place("/archive", methods=("POST",))
@requires(Role.EDITOR)
def archive_or_restore(
    environment: str, interaction: str, tier: str, tenant: str | None = None
) -> ResponseReturnValue:
    """Archive, or bring back what is archived."""
    configuration = _configuration(interaction, tier, tenant)
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
    return redirect(_url("show", place), 303)


def _configuration(interaction: str, tier: str, tenant: str | None) -> Configuration:
    place = Place.from_words(interaction, tier, tenant)
    return services.get_configuration(db_session(), place.interaction, tier=place.tier, tenant=place.tenant)


def _url(view: str, place: Place, **more: Any) -> str:
    return url_for(
        f"configurations.{view}",
        interaction=place.interaction,
        tier=place.tier_word,
        tenant=place.tenant,
        **more,
    )


@blueprint.app_template_global("configuration_url")
def configuration_url(place: Place, view: str = "show", **more: Any) -> str:
    """The address of a page of a configuration, for templates."""
    return _url(view, place, **more)


def _saved(place: Place, number: int) -> ResponseReturnValue:
    flash(f"Saved version {number} of {place.title}. Not live until published.")
    return redirect(_url("show", place), 303)


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


def _edit_page(
    environment: str, configuration: Configuration, form: editing.Form, sent: editing.Submission | None = None
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
    )


def _conflict_page(
    interaction: str, tier: str, tenant: str | None, submission: editing.Submission, base: int
) -> str:
    fresh = _configuration(interaction, tier, tenant)
    assert submission.values is not None  # noqa: S101 - only values that were accepted can collide
    collision = editing.collide(fresh, submission.values, base_version=base)
    return render_template(
        "configurations/conflict.html", place=place_of(fresh), collision=collision, form=collision.form
    )


def _place_asked_for(given: MultiDict[str, str]) -> Place | None:
    interaction, tier, tenant = (given.get(name, "").strip() for name in ("interaction", "tier", "tenant"))
    return Place.from_words(interaction, tier or DEFAULT_TIER, tenant or None) if interaction else None


def _place_page(form: editing.Form) -> str:
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


def _first_form(place: Place, copied: str | None) -> editing.Form:
    """Filled from the configuration it is copied from, else from the row that it would take calls away from."""
    for each in (_place_copied(copied), Place(place.interaction, place.tier), Place(place.interaction)):
        if each is None or each.interaction != place.interaction:
            continue  # another interaction's template would not fit
        try:
            found = services.get_configuration(
                db_session(), each.interaction, tier=each.tier, tenant=each.tenant
            )
        except NotFound:
            continue
        return editing.form_of(found.versions[0])
    return fill(editing.BLANK)


def _place_copied(path: str | None) -> Place | None:
    try:
        return Place.from_path(path) if path else None
    except ValueError:
        return None


def _new_page(
    environment: str, place: Place, form: editing.Form, sent: editing.Submission | None = None
) -> str:
    session = db_session()
    entries = live.live_entries(session, environment)
    return render_template(
        "configurations/new.html",
        place=place,
        form=form,
        choices=choices.choices_for(session, place.interaction, live=entries),
        effect=editing.effect(session, environment, place, sent, None) if sent else None,
    )


def _archive_page(environment: str, configuration: Configuration, form: editing.Form) -> str:
    page = pages.show_page(db_session(), environment, configuration)
    return render_template("configurations/archive.html", page=page, form=form)
