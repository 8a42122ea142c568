"""Templates in the browser: list, one template, its versions, the editor with its live preview, archiving."""

from dataclasses import replace
from typing import Any

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from controlplane.accounts.actor import Role
from controlplane.errors import Conflict, Refused
from controlplane.prompts import editing, pages, services, textdiff, usage, values
from controlplane.prompts.editing import Editor
from controlplane.prompts.inputs import AsTyped, DraftInput, NewPromptInput, ReasonInput, VersionInput
from controlplane.prompts.models import Prompt
from controlplane.prompts.pages import Filters, State
from controlplane.prompts.preview import panel
from controlplane.prompts.render_pool import RenderBusy, shared
from controlplane.prompts.usage import Use
from controlplane.runtime.entries import DEFAULT_TIER
from controlplane.web.access import current_actor, people_with, requires
from controlplane.web.forms import Parsed, fill, parse
from controlplane.web.unit_of_work import db_session

blueprint = Blueprint("prompts", __name__)

Form = Parsed[Any]


@blueprint.before_request
def warm_up() -> None:
    """Have the render workers ready by the time somebody who came to look begins to write."""
    shared().warm_up()


# Looking


@blueprint.get("/<environment>/templates")
@requires(Role.VIEWER)
def index(environment: str) -> str:
    """The list, with its filters in the address."""
    session, asked = db_session(), request.args
    filters = Filters(
        text=asked.get("q", "").strip(),
        interaction=asked.get("interaction", ""),
        status=asked.get("status", ""),
        page=max(1, asked.get("page", 1, type=int)),
    )
    drafts = services.draft_codes(session, actor=current_actor())
    return render_template(
        "prompts/index.html",
        form=fill({"q": filters.text, "interaction": filters.interaction, "status": filters.status}),
        found=pages.prompt_list(session, environment, filters, drafts_of=drafts),
        is_filtered=filters != Filters(page=filters.page),
        interactions=[(code, code) for code in pages.interaction_codes(session)],
        states=[(state.code, state.label) for state in State],
    )


@blueprint.get("/<environment>/templates/<code>")
@requires(Role.VIEWER)
def show(environment: str, code: str) -> str:
    """One template: what is live here, what is saved, and how it came about."""
    session = db_session()
    draft = services.get_draft(session, code, actor=current_actor())
    found = pages.prompt_page(session, environment, code, draft)
    declared = services.declared_parameters(session, found.prompt.interaction)
    return render_template(
        "prompts/show.html",
        found=found,
        declared=declared,
        editors=people_with(Role.EDITOR),
        use_urls=[_configuration_url(use) for use in found.uses],
        urls={
            "unpublished": _url("releases.unpublished"),
            "interaction": _url("registry.interaction", code=found.prompt.interaction),
            "changes": _url("audit.index", object_kind="prompt", object_key=code),
        },
    )


@blueprint.get("/<environment>/templates/<code>/versions/<int:number>")
@requires(Role.VIEWER)
def version(environment: str, code: str, number: int) -> str:
    """One version, for reading; with what it changed, and how it stands to what is live."""
    session = db_session()
    found = pages.prompt_page(session, environment, code, None)
    this = services.get_version(session, code, number)
    before = next((each for each in found.prompt.versions if each.number == number - 1), None)
    live = found.live_version
    return render_template(
        "prompts/version.html",
        found=found,
        this=this,
        before=before,
        changes=textdiff.lines(before.body, this.body) if before else [],
        against_live=textdiff.lines(live.body, this.body) if live else [],
    )


@blueprint.get("/<environment>/templates/<code>/compare")
@requires(Role.VIEWER)
def compare(environment: str, code: str) -> str:
    """Any two versions."""
    session = db_session()
    found = pages.prompt_page(session, environment, code, None)
    newest = found.saved.number
    to = request.args.get("to", newest, type=int)
    old = services.get_version(session, code, request.args.get("from", max(1, to - 1), type=int))
    new = services.get_version(session, code, to)
    changes = textdiff.lines(old.body, new.body)
    return render_template(
        "prompts/compare.html",
        found=found,
        form=fill({"from": old.number, "to": new.number}),
        versions=[(each.number, f"Version {each.number}") for each in found.prompt.versions],
        old=old,
        new=new,
        changes=changes,
        summary=textdiff.summary(changes),
    )


# A new template


@blueprint.get("/<environment>/templates/new")
@requires(Role.EDITOR)
def new(environment: str) -> str:
    """First choose the interaction; then write, beginning with a text that uses all its parameters."""
    session, interaction = db_session(), request.args.get("interaction")
    if not interaction:
        codes = [(code, code) for code in pages.interaction_codes(session)]
        return render_template("prompts/choose.html", form=fill({}), interactions=codes)
    declared = services.declared_parameters(session, interaction)
    body = editing.skeleton(declared)
    start = {"code": services.free_code(session, interaction), "body": body} | values.examples(declared)
    return _new_page(fill(start), interaction)


@blueprint.post("/<environment>/templates/new/preview")
@requires(Role.EDITOR)
def preview_new_page(environment: str) -> str:
    """The same page with the preview of what was typed; what the live preview does, without script."""
    return _new_page(parse(AsTyped, request.form), request.form.get("interaction", ""))


@blueprint.post("/<environment>/templates/new")
@requires(Role.EDITOR)
def create(environment: str) -> ResponseReturnValue:
    """Make the template with its first version."""
    form: Form = parse(NewPromptInput, request.form)
    if form.value is not None:
        given = form.value.model_dump() | {"description": form.value.description or ""}
        try:
            prompt = services.create_prompt(db_session(), **given, actor=current_actor())
        except Refused as refusal:
            form = form.refused(refusal)
        except RenderBusy as busy:
            return _new_page(_busy(form, busy), given["interaction"]), 429, _retry_after(busy)
        else:
            flash(f"Created {prompt.code}. It is not live until it is published.", "good")
            return redirect(url_for(".show", code=prompt.code), 303)
    return _new_page(form, request.form.get("interaction", "")), 422


# The editor


@blueprint.get("/<environment>/templates/<code>/edit")
@requires(Role.EDITOR)
def edit(environment: str, code: str) -> str:
    """The editor, with this person's draft if there is one; `?version=` begins from an older text."""
    session = db_session()
    prompt = services.get_prompt(session, code)
    declared = services.declared_parameters(session, prompt.interaction)
    older = request.args.get("version", type=int)
    if older is not None:
        body = services.get_version(session, code, older).body
        return _editor_page(prompt, fill(editing.starting_values(prompt, body, None, declared)))
    draft = services.get_draft(session, code, actor=current_actor())
    return _editor_page(
        prompt, fill(editing.starting_values(prompt, prompt.versions[0].body, draft, declared))
    )


@blueprint.post("/<environment>/templates/<code>/edit")
@requires(Role.EDITOR)
def preview_page(environment: str, code: str) -> str:
    """The same page with the preview of what was typed; what the live preview does, without script."""
    return _editor_page(services.get_prompt(db_session(), code), parse(AsTyped, request.form))


@blueprint.post("/<environment>/templates/<code>/versions")
@requires(Role.EDITOR)
def save(environment: str, code: str) -> ResponseReturnValue:
    """Save the text as the next version."""
    prompt = services.get_prompt(db_session(), code)
    form: Form = parse(VersionInput, request.form)
    if form.value is not None:
        try:
            saved = services.save_version(
                db_session(), prompt, **form.value.model_dump(), actor=current_actor()
            )
        except Refused as refusal:
            form = form.refused(refusal)
        except RenderBusy as busy:
            return _editor_page(prompt, _busy(form, busy)), 429, _retry_after(busy)
        except Conflict:
            return _collision_page(code, form), 409
        else:
            flash(f"Saved version {saved.number}. It is not live until it is published.", "good")
            return redirect(url_for(".show", code=code), 303)
    return _editor_page(prompt, form), 422


@blueprint.post("/<environment>/templates/<code>/draft")
@requires(Role.EDITOR)
def save_draft(environment: str, code: str) -> ResponseReturnValue:
    """Keep what was typed for this person; nobody else sees it."""
    form: Form = parse(DraftInput, request.form)
    if form.value is None:
        return _editor_page(services.get_prompt(db_session(), code), form), 422
    _keep_draft(code, form.value)
    flash("Saved your draft. Only you see it.", "good")
    return redirect(url_for(".edit", code=code), 303)


@blueprint.post("/<environment>/templates/<code>/draft/discard")
@requires(Role.EDITOR)
def discard_draft(environment: str, code: str) -> ResponseReturnValue:
    """Go back to what is saved."""
    services.discard_draft(db_session(), services.get_prompt(db_session(), code), actor=current_actor())
    flash("Discarded your draft.")
    return redirect(url_for(".show", code=code), 303)


# Fragments


@blueprint.post("/_/<environment>/templates/<code>/preview")
@requires(Role.EDITOR)
def preview(environment: str, code: str) -> str:
    """The preview of what was typed so far."""
    return _preview(services.get_prompt(db_session(), code).interaction)


@blueprint.post("/_/<environment>/templates/new/<interaction>/preview")
@requires(Role.EDITOR)
def preview_new(environment: str, interaction: str) -> str:
    """The preview of a template that is not there yet."""
    return _preview(interaction)


@blueprint.post("/_/<environment>/templates/<code>/draft")
@requires(Role.EDITOR)
def autosave(environment: str, code: str) -> ResponseReturnValue:
    """Keep what was typed, and say since when."""
    form: Form = parse(DraftInput, request.form)
    if form.value is None:
        abort(413)
    state = render_template("prompts/_draft_state.html", draft=_keep_draft(code, form.value))
    return state, {"HX-Trigger": "saved"}  # the leave guard counts from here


# Archiving


@blueprint.get("/<environment>/templates/<code>/archive")
@requires(Role.EDITOR)
def archive(environment: str, code: str) -> str:
    """Ask why, and say what stands in the way."""
    return _archive_page(services.get_prompt(db_session(), code), fill({}))


@blueprint.post("/<environment>/templates/<code>/archive")
@requires(Role.EDITOR)
def archive_or_restore(environment: str, code: str) -> ResponseReturnValue:
    """Archive a template, or restore an archived one."""
    session, prompt = db_session(), services.get_prompt(db_session(), code)
    write, done = (
        (services.restore_prompt, "Restored") if prompt.archived_at else (services.archive_prompt, "Archived")
    )
    form: Form = parse(ReasonInput, request.form)
    if form.value is not None:
        try:
            write(session, prompt, reason=form.value.reason, actor=current_actor())
        except Refused as refusal:
            form = form.refused(refusal)
        else:
            flash(f"{done} {code}. Each environment follows when it is next published.", "good")
            return redirect(url_for(".show", code=code), 303)
    return _archive_page(prompt, form), 422


# Parts of several views


@blueprint.app_errorhandler(RenderBusy)
def busy_page(error: RenderBusy) -> ResponseReturnValue:
    """Say when to come back; HTMX shows it as a notice and leaves the last preview where it is."""
    page = render_template("prompts/busy.html", message=str(error))
    return page, 429, _retry_after(error)


def _url(endpoint: str, **values: Any) -> str | None:
    """Return a page of a feature above this one, when the site has it."""
    return url_for(endpoint, **values) if endpoint in current_app.view_functions else None


def _configuration_url(use: Use) -> str | None:
    place = {"interaction": use.interaction, "tier": use.tier or DEFAULT_TIER, "tenant": use.tenant}
    return _url("configurations.show", **place)


def _preview(interaction: str) -> str:
    declared = services.declared_parameters(db_session(), interaction)
    # The form holds no transaction open while the worker is busy with a stranger's loop.
    db_session().rollback()
    typed = editing.typed_values(request.form)
    return render_template(
        "prompts/_preview.html",
        panel=panel(shared(), request.form.get("body", ""), typed, declared),
        oob=True,
    )


def _editor_page(prompt: Prompt, form: Form, collision: editing.Collision | None = None) -> str:
    session = db_session()
    declared = services.declared_parameters(session, prompt.interaction)
    editor = Editor(
        interaction=prompt.interaction,
        declared=declared,
        panel=editing.safe_panel(form["body"].value, editing.typed_values(_first(form)), declared),
        prompt=prompt,
        saved=prompt.versions[0],
        draft=services.get_draft(session, prompt.code, actor=current_actor()),
        collision=collision,
    )
    return render_template("prompts/edit.html", editor=editor, form=form)


def _collision_page(code: str, form: Form) -> str:
    """The editor again, on the newest version now, with what the other person did in sight."""
    session = db_session()
    prompt = services.get_prompt(session, code)
    collision = editing.collision(
        session, prompt, base=int(form["base_version"].value), mine=form["body"].value
    )
    raw = form.raw | {"body": [collision.text], "base_version": [str(collision.theirs.number)]}
    return _editor_page(prompt, replace(form, value=None, raw=raw), collision)


def _new_page(form: Form, interaction: str) -> str:
    declared = services.declared_parameters(db_session(), interaction)
    shown = editing.safe_panel(form["body"].value, editing.typed_values(_first(form)), declared)
    editor = Editor(interaction=interaction, declared=declared, panel=shown)
    return render_template("prompts/new.html", editor=editor, form=form)


def _archive_page(prompt: Prompt, form: Form) -> str:
    session = db_session()
    uses = [*usage.saved_uses(session, prompt.code), *usage.live_uses(session, prompt.code)]
    return render_template("prompts/archive.html", prompt=prompt, form=form, uses=uses)


def _keep_draft(code: str, given: DraftInput) -> Any:
    session = db_session()
    return services.save_draft(
        session,
        services.get_prompt(session, code),
        body=given.body or "",
        parameters=editing.typed_values(request.form),
        base_version=given.base_version,
        actor=current_actor(),
    )


def _first(form: Form) -> dict[str, str]:
    return {name: sent[0] for name, sent in form.raw.items() if sent}


def _busy(form: Form, busy: RenderBusy) -> Form:
    return form.refused(Refused({"": f"{busy} What you typed is below."}))


def _retry_after(busy: RenderBusy) -> dict[str, str]:
    return {"Retry-After": str(busy.retry_after)}
