"""Sample sets in the browser: the list of an interaction, one of them, making, changing and removing."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from controlplane.accounts.actor import Role
from controlplane.audit.queries import changes_of
from controlplane.errors import Conflict, Refused
from controlplane.registry.models import Interaction
from controlplane.registry.services import get
from controlplane.samples import pages, services, values
from controlplane.samples.inputs import SampleInput
from controlplane.samples.models import Sample
from controlplane.web.access import current_actor, people_with, requires
from controlplane.web.forms import Parsed, fill, parse
from controlplane.web.unit_of_work import db_session

blueprint = Blueprint("samples", __name__)

Form = Parsed[Any]


@blueprint.app_template_global("samples_of")
def samples_of(interaction: str) -> list[pages.Listed]:
    """The sample sets of an interaction, for its page."""
    return pages.listed(db_session(), interaction)


# Looking


@blueprint.get("/interactions/<code>/samples")
@requires(Role.VIEWER)
def index(code: str) -> str:
    """All sample sets of an interaction."""
    return render_template(
        "samples/index.html",
        interaction=get(db_session(), Interaction, code),
        found=pages.listed(db_session(), code),
        editors=people_with(Role.EDITOR),
    )


@blueprint.get("/interactions/<code>/samples/<slug>")
@requires(Role.VIEWER)
def show(code: str, slug: str) -> str:
    """One sample set with its values."""
    sample = services.get_sample(db_session(), code, slug)
    return _show_page(sample)


# Changing


@blueprint.get("/interactions/<code>/samples/new")
@requires(Role.EDITOR)
def new(code: str) -> str:
    """A new one, begun with the declared examples or with the values of another: `?from=`."""
    session, like = db_session(), request.args.get("from")
    start = services.get_sample(session, code, like) if like else services.list_samples(session, code)[0]
    return _form_page(code, fill(values.typed(services.declared_parameters(session, code), start.values)))


@blueprint.post("/interactions/<code>/samples/new")
@requires(Role.EDITOR)
def create(code: str) -> ResponseReturnValue:
    """Store a new one."""
    if "switch" in request.form:
        return _switched_page(code)
    form, given = _sent(code)
    if form.value is not None:
        try:
            sample = services.create_sample(
                db_session(),
                code,
                name=form.value.name,
                values=given,
                must_pass=form.value.must_pass,
                is_default=form.value.is_default,
                actor=current_actor(),
            )
        except Refused as refusal:
            form = form.refused(refusal)
        else:
            flash(f"Added the sample set “{sample.name}”.", "good")
            return redirect(url_for(".show", code=code, slug=sample.slug), 303)
    return _form_page(code, form), 422


@blueprint.get("/interactions/<code>/samples/<slug>/edit")
@requires(Role.EDITOR)
def edit(code: str, slug: str) -> ResponseReturnValue:
    """Change one; the declared examples are no row that could be changed, and become one first."""
    session = db_session()
    sample = services.get_sample(session, code, slug)
    if sample.is_declared:
        like: dict[str, Any] = {"from": slug}  # a word of Python
        return redirect(url_for(".new", code=code, **like))
    start = values.typed(services.declared_parameters(session, code), sample.values)
    fixed = {"name": sample.name, "must_pass": sample.must_pass, "revision": sample.revision}
    return _form_page(code, fill(start | fixed), sample)


@blueprint.post("/interactions/<code>/samples/<slug>/edit")
@requires(Role.EDITOR)
def update(code: str, slug: str) -> ResponseReturnValue:
    """Keep what was changed."""
    sample = services.get_sample(db_session(), code, slug)
    if "switch" in request.form:
        return _switched_page(code, sample)
    form, given = _sent(code)
    if form.value is not None:
        asked = form.value.model_dump(exclude={"is_default"})
        try:
            services.change_sample(db_session(), sample, **asked, values=given, actor=current_actor())
        except Refused as refusal:
            form = form.refused(refusal)
        except Conflict as conflict:
            theirs = Refused({"": f"{conflict} Theirs stands below; save again to put yours in its place."})
            return _form_page(code, form.refused(theirs), sample, is_behind=True), 409
        else:
            flash(f"Changed the sample set “{sample.name}”.", "good")
            return redirect(url_for(".show", code=code, slug=slug), 303)
    return _form_page(code, form, sample), 422


@blueprint.post("/interactions/<code>/samples/<slug>/default")
@requires(Role.EDITOR)
def make_default(code: str, slug: str) -> ResponseReturnValue:
    """Have previews begin with it."""
    sample = services.get_sample(db_session(), code, slug)
    try:
        services.make_default(db_session(), sample, actor=current_actor())
    except Refused as refusal:
        flash(str(refusal), "warning")
    else:
        flash(f"“{sample.name}” is the default now.", "good")
    return redirect(url_for(".show", code=code, slug=slug), 303)


@blueprint.get("/interactions/<code>/samples/<slug>/remove")
@requires(Role.EDITOR)
def remove(code: str, slug: str) -> str:
    """Ask once."""
    return _remove_page(services.get_sample(db_session(), code, slug), fill({}))


@blueprint.post("/interactions/<code>/samples/<slug>/remove")
@requires(Role.EDITOR)
def confirm_removal(code: str, slug: str) -> ResponseReturnValue:
    """Remove it."""
    sample = services.get_sample(db_session(), code, slug)
    try:
        services.remove_sample(db_session(), sample, actor=current_actor())
    except Refused as refusal:
        return _remove_page(sample, fill({}).refused(refusal)), 422
    flash(f"Removed the sample set “{sample.name}”.", "good")
    return redirect(url_for(".index", code=code), 303)


# Parts of several views


def _sent(code: str) -> tuple[Form, Mapping[str, Any]]:
    """What was typed, checked, and the values in it."""
    form: Form = parse(SampleInput, request.form)
    read = values.read(services.declared_parameters(db_session(), code), request.form)
    return (form.refused(Refused(read.errors)) if read.errors else form), read.given


def _switched_page(code: str, sample: Sample | None = None) -> str:
    """The same form with the values typed the other way."""
    declared = services.declared_parameters(db_session(), code)
    shown, errors = values.switched(declared, request.form, to=request.form["switch"])
    others = {name: text for name, text in request.form.items() if not name.startswith(values.PREFIX)}
    form: Form = fill(others | shown)
    return _form_page(code, form.refused(Refused(errors)) if errors else form, sample)


def _form_page(code: str, form: Form, sample: Sample | None = None, *, is_behind: bool = False) -> str:
    session = db_session()
    declared = services.declared_parameters(session, code)
    return render_template(
        "samples/form.html",
        code=code,
        form=form,
        sample=sample,
        theirs=pages.look(sample, declared) if sample and is_behind else None,
        value_fields=values.fields(declared),
        is_unsaved=request.method == "POST",
    )


def _show_page(sample: Sample) -> str:
    return render_template(
        "samples/show.html",
        found=pages.look(sample, services.declared_parameters(db_session(), sample.interaction)),
        changes=changes_of(db_session(), "sample", f"{sample.interaction}/{sample.slug}"),
        all_changes_url=url_for(
            "audit.index", object_kind="sample", object_key=f"{sample.interaction}/{sample.slug}"
        ),
        editors=people_with(Role.EDITOR),
    )


def _remove_page(sample: Sample, form: Form) -> str:
    return render_template("samples/remove.html", sample=sample, form=form)
