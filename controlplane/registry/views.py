"""The pages of the registry. What is saved here is the same for every environment, and live once it is published."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from pydantic import BaseModel
from werkzeug.datastructures import MultiDict

from controlplane.accounts.actor import Role
from controlplane.audit.object_links import link_to
from controlplane.audit.queries import changes_of
from controlplane.errors import Conflict, NotFound, Refused
from controlplane.registry import inputs, services
from controlplane.registry.models import Environment, Interaction, Model, Tier
from controlplane.registry.structure import write_structure
from controlplane.registry.usage import Use
from controlplane.registry.words import fields_of
from controlplane.runtime.entries import PARAMETER_TYPES
from controlplane.web.access import current_actor, people_with, requires
from controlplane.web.environments import current_environment
from controlplane.web.forms import Parsed, fill, parse
from controlplane.web.unit_of_work import db_session

blueprint = Blueprint("registry", __name__)

SPARE_ROWS: Final = 3


@dataclass(frozen=True)
class Kind:
    """One kind of thing in the registry: its table, its input, and the words its pages use."""

    word: str
    plural: str
    table: type[Any]
    takes: type[BaseModel]
    create: Any


KINDS: Final = {
    kind.plural: kind
    for kind in (
        Kind(
            "interaction", "interactions", Interaction, inputs.InteractionInput, services.create_interaction
        ),
        Kind("model", "models", Model, inputs.ModelInput, services.create_model),
        Kind("tier", "tiers", Tier, inputs.TierInput, services.create_tier),
        Kind(
            "environment", "environments", Environment, inputs.EnvironmentInput, services.create_environment
        ),
    )
}
View = TypeVar("View", bound=Callable[..., ResponseReturnValue])


def at_every_kind(rest: str, method: str) -> Callable[[View], View]:
    """One view under an address of each kind; spelled out, because `/models/<code>` would win over a placeholder."""

    def mark(view: View) -> View:
        for plural in KINDS:
            blueprint.add_url_rule(
                f"/{plural}{rest}", view_func=view, methods=[method], defaults={"plural": plural}
            )
        return view

    return mark


@blueprint.get("/interactions")
@requires(Role.VIEWER)
def interactions() -> str:
    """Every named place in the product that calls a model."""
    return _list_page("interactions", services.list_interactions(db_session(), archived=_archived_too()))


@blueprint.get("/models")
@requires(Role.VIEWER)
def models() -> str:
    """Every model that may be chosen."""
    return _list_page("models", services.list_models(db_session(), archived=_archived_too()))


@blueprint.get("/tiers")
@requires(Role.VIEWER)
def tiers() -> str:
    """The subscription levels, lowest first."""
    return _list_page("tiers", services.list_tiers(db_session(), archived=_archived_too()))


@blueprint.get("/environments")
@requires(Role.VIEWER)
def environments() -> str:
    """The places with a live set of their own."""
    return _list_page("environments", services.list_environments(db_session(), archived=_archived_too()))


@blueprint.get("/interactions/<code>")
@requires(Role.VIEWER)
def interaction(code: str) -> ResponseReturnValue:
    """One interaction: its parameters, where it is used, what happened to it."""
    return _one_page(KINDS["interactions"], code)


@blueprint.get("/models/<code>")
@requires(Role.VIEWER)
def model(code: str) -> ResponseReturnValue:
    """One model: limits, prices, where it is used, what happened to it."""
    return _one_page(KINDS["models"], code)


@at_every_kind("/new", "GET")
@requires(Role.ADMIN)
def new(plural: str) -> str:
    """The form for one more."""
    return _form_page(KINDS[plural], fill({"active": True} if plural == "models" else {}))


@at_every_kind("/new", "POST")
@requires(Role.ADMIN)
def create(plural: str) -> ResponseReturnValue:
    """Add one more."""
    kind = KINDS[plural]
    form = parse(kind.takes, _sent())
    if "more" in request.form:
        return _form_page(kind, _as_typed(form))
    if form.value is not None:
        try:
            row = kind.create(db_session(), form.value, actor=current_actor())
        except Refused as refusal:
            form = form.refused(refusal)
        else:
            flash(f"Added {kind.word} {row.code}. {_when_live(kind)}")
            return redirect(_home_of(kind, row.code), 303)
    return _form_page(kind, form), 422


@at_every_kind("/<code>/edit", "GET")
@requires(Role.ADMIN)
def edit(plural: str, code: str) -> str:
    """The form to change one."""
    kind = KINDS[plural]
    row = services.get(db_session(), kind.table, code)
    return _form_page(kind, fill(_values_of(row)), row)


@at_every_kind("/<code>/edit", "POST")
@requires(Role.ADMIN)
def update(plural: str, code: str) -> ResponseReturnValue:
    """Change one."""
    kind = KINDS[plural]
    row = services.get(db_session(), kind.table, code)
    form = parse(kind.takes, _sent(code=code))
    if "more" in request.form:
        return _form_page(kind, _as_typed(form), row)
    revision = request.form.get("revision", type=int, default=0)
    if form.value is not None:
        try:
            services.update(db_session(), row, form.value, revision=revision, actor=current_actor())
        except Refused as refusal:
            form = form.refused(refusal)
        except Conflict as conflict:
            return _form_page(
                kind, form.refused(Refused({"": f"{conflict} {_THEIRS}"})), row, theirs=row
            ), 409
        else:
            flash(f"Changed {kind.word} {code}. {_when_live(kind)}")
            return redirect(_home_of(kind, code), 303)
    return _form_page(kind, form, row), 422


@at_every_kind("/<code>/archive", "GET")
@requires(Role.ADMIN)
def archive(plural: str, code: str) -> str:
    """Ask why, and show what stands against it."""
    kind = KINDS[plural]
    return _archive_page(kind, services.get(db_session(), kind.table, code), fill({}))


@at_every_kind("/<code>/archive", "POST")
@requires(Role.ADMIN)
def archive_or_restore(plural: str, code: str) -> ResponseReturnValue:
    """Take one out of use, or bring it back."""
    kind = KINDS[plural]
    row = services.get(db_session(), kind.table, code)
    form = parse(inputs.ReasonInput, request.form)
    if form.value is not None:
        change = services.restore if request.form.get("do") == "restore" else services.archive
        try:
            change(db_session(), row, reason=form.value.reason, actor=current_actor())
        except Refused as refusal:
            form = form.refused(refusal)
        else:
            flash(f"{'Brought back' if change is services.restore else 'Archived'} {kind.word} {code}.")
            return redirect(url_for(f".{kind.plural}"), 303)
    return _archive_page(kind, row, form), 422


_THEIRS = "What they made of it stands beside your form; nothing of yours is lost. Save again to put yours in its place."


def _archived_too() -> bool:
    return request.args.get("archived") == "1"


def _list_page(plural: str, rows: Sequence[Any]) -> str:
    return render_template(
        f"registry/{plural}.html", rows=rows, archived_too=_archived_too(), admins=people_with(Role.ADMIN)
    )


def _one_page(kind: Kind, code: str) -> ResponseReturnValue:
    session = db_session()
    try:
        row = services.get(session, kind.table, code)
    except NotFound:
        # Codes of interactions and models are upper-case; an address that was typed otherwise leads to the right one.
        if code == code.upper():
            raise
        return redirect(url_for(f".{kind.word}", code=services.get(session, kind.table, code.upper()).code))
    return render_template(
        f"registry/{kind.word}.html",
        row=row,
        structure_of=write_structure,
        uses=_linked(services.uses_of(session, row)),
        changes=changes_of(session, kind.word, row.code),
        all_changes_url=url_for("audit.index", object_kind=kind.word, object_key=row.code),
        admins=people_with(Role.ADMIN),
    )


def _form_page(kind: Kind, form: Parsed[Any], row: Any = None, *, theirs: Any = None) -> str:
    rows = form.indexes("parameters")
    return render_template(
        f"registry/{kind.word}_form.html",
        kind=kind,
        form=form,
        row=row,
        theirs=fields_of(theirs) if theirs is not None else None,
        cancel_url=_home_of(kind, row.code) if row is not None else url_for(f".{kind.plural}"),
        parameter_rows=[*rows, *range(max(rows, default=-1) + 1, max(rows, default=-1) + 1 + SPARE_ROWS)],
        parameter_types=[(each, each) for each in PARAMETER_TYPES],
        recorded_choices=list(inputs.RECORDED_CHOICES.items()),
        providers=[(each, each) for each in inputs.PROVIDERS],
        model_parameters=[(each, each.replace("_", " ")) for each in inputs.MODEL_PARAMETERS],
        capabilities=[(each, each) for each in inputs.CAPABILITIES],
    )


def _archive_page(kind: Kind, row: Any, form: Parsed[Any]) -> str:
    return render_template(
        "registry/archive.html",
        kind=kind,
        row=row,
        form=form,
        uses=_linked(services.uses_of(db_session(), row)),
        home=_home_of(kind, row.code),
    )


def _home_of(kind: Kind, code: str) -> str:
    return (
        url_for(f".{kind.word}", code=code)
        if kind.word in ("interaction", "model")
        else url_for(f".{kind.plural}")
    )


def _when_live(kind: Kind) -> str:
    if kind.word == "environment":
        return "Runtimes read it once CONTROLPLANE_ENVIRONMENTS names it where they run."
    return "It is live in an environment when it is published there."


def _linked(uses: Sequence[Use]) -> list[tuple[str, str | None]]:
    here = current_environment()
    code = here.code if here else None
    return [
        (use.words, link_to(use.object_kind, use.object_key, environment=use.environment or code))
        for use in uses
    ]


def _sent(**fixed: str) -> MultiDict[str, str]:
    """What the form sent, without the rows of parameters that were left blank or ticked for removal."""
    sent = request.form.copy()
    for name, value in fixed.items():
        sent[name] = value
    # A box that is not ticked sends nothing, and for a model the default is yes.
    sent.setdefault("active", "false")
    for index in range(inputs.MOST_PARAMETERS * 2):
        prefix = f"parameters.{index}."
        parts = ("name", "description", "example", "structure")
        typed = [sent.get(prefix + part, "").strip() for part in parts]
        if sent.get(prefix + "remove") or not any(typed):
            for name in [name for name in sent if name.startswith(prefix)]:
                del sent[name]
    return sent


def _as_typed(form: Parsed[Any]) -> Parsed[Any]:
    """The form with nothing said against it: it was only asked for more rows."""
    return Parsed(None, {}, form.raw)


def _values_of(row: Any) -> dict[str, Any]:
    values = {**fields_of(row), "code": row.code, "revision": row.revision}
    if isinstance(row, Interaction):
        values["parameters"] = [
            {
                **{name: value for name, value in parameter.items() if name not in ("fields", "items")},
                "structure": write_structure(parameter),
                "example": inputs.spell_example(parameter),
            }
            for parameter in row.parameters
        ]
    return values
