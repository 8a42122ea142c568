"""The editor of templates with its live preview: a next version of one that is there, or the first of a new one."""

from dataclasses import replace
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from controlplane.accounts.actor import Role
from controlplane.drafts import Note
from controlplane.errors import Conflict, Refused
from controlplane.prompts import editing, pages, services, values
from controlplane.prompts.editing import Editor
from controlplane.prompts.inputs import AsTyped, NewPromptInput, VersionInput
from controlplane.prompts.models import Prompt, PromptDraft
from controlplane.prompts.preview import Panel, panel
from controlplane.prompts.render_pool import RenderBusy
from controlplane.prompts.routing import blueprint, retry_after
from controlplane.runtime.entries import Parameter
from controlplane.web.access import current_actor, requires
from controlplane.web.forms import Parsed, fill, parse
from controlplane.web.unit_of_work import db_session, discard, independent

Form = Parsed[Any]


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
            return _new_page(_busy(form, busy), given["interaction"]), 429, retry_after(busy)
        else:
            flash(f"Created {prompt.code}. It is not live until it is published.", "good")
            return redirect(url_for(".show", code=prompt.code), 303)
    return _new_page(form, request.form.get("interaction", "")), 422


@blueprint.get("/<environment>/templates/<code>/edit")
@requires(Role.EDITOR)
def edit(environment: str, code: str) -> str:
    """The editor, with this person's draft if there is one; `?version=` begins from an older text."""
    session = db_session()
    prompt = services.get_prompt(session, code)
    declared = services.declared_parameters(session, prompt.interaction)
    draft = services.get_draft(session, code, actor=current_actor())
    older = request.args.get("version", type=int)
    if older is None:
        form = fill(editing.starting_values(prompt, prompt.versions[0].body, draft, declared))
    else:
        body = services.get_version(session, code, older).body
        form = fill(editing.starting_values(prompt, body, None, declared))
    return editor_page(prompt, form, note=_note(prompt, draft, is_open=older is None))


@blueprint.post("/<environment>/templates/<code>/edit")
@requires(Role.EDITOR)
def preview_page(environment: str, code: str) -> str:
    """The same page with the preview of what was typed; what the live preview does, without script."""
    return editor_page(services.get_prompt(db_session(), code), parse(AsTyped, request.form))


@blueprint.post("/<environment>/templates/<code>/versions")
@requires(Role.EDITOR)
def save(environment: str, code: str) -> ResponseReturnValue:
    """Save the text as the next version."""
    prompt = services.get_prompt(db_session(), code)
    form: Form = parse(VersionInput, request.form)
    given: VersionInput | None = form.value
    if given is not None:
        try:
            saved = services.save_version(db_session(), prompt, **given.model_dump(), actor=current_actor())
        except Refused as refusal:
            form = form.refused(refusal)
        except RenderBusy as busy:
            return editor_page(prompt, _busy(form, busy)), 429, retry_after(busy)
        except Conflict:
            return _collision_page(code, form, given), 409
        else:
            flash(f"Saved version {saved.number}. It is not live until it is published.", "good")
            return redirect(url_for(".show", code=code), 303)
    return editor_page(prompt, form), 422


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


def _preview(interaction: str) -> str:
    session, body = db_session(), request.form.get("body", "")
    declared, pool = services.declared_parameters(session, interaction), services.pool_for(session, body)
    # The form holds no transaction open while the worker is busy with a stranger's loop.
    session.rollback()
    typed = editing.typed_values(request.form)
    return render_template(
        "prompts/_preview.html",
        panel=panel(pool, body, typed, declared),
        oob=True,
    )


def editor_page(
    prompt: Prompt, form: Form, collision: editing.Collision | None = None, *, note: Note | None = None
) -> str:
    """The editor around a form: a text to go on with, or what was sent and could not be saved."""
    declared = services.declared_parameters(db_session(), prompt.interaction)
    editor = Editor(
        interaction=prompt.interaction,
        declared=declared,
        panel=_panel(form, declared),
        prompt=prompt,
        saved=prompt.versions[0],
        note=note,
        collision=collision,
        is_unsaved=request.method == "POST",
    )
    return render_template("prompts/edit.html", editor=editor, form=form)


def _note(prompt: Prompt, draft: PromptDraft | None, *, is_open: bool) -> Note | None:
    return Note(draft, prompt.versions[0], is_open=is_open) if draft else None


def _collision_page(code: str, form: Form, sent: VersionInput) -> str:
    """The editor again, on the newest version now, with what the other person did in sight.

    What was sent is kept as the person's draft, for whoever closes this page.
    """
    discard()
    with independent() as session:
        services.save_draft(
            session,
            services.get_prompt(session, code),
            body=sent.body,
            parameters=editing.typed_values(_first(form)),
            base_version=sent.base_version,
            actor=current_actor(),
        )
    prompt = services.get_prompt(db_session(), code)
    collision = editing.collision(db_session(), prompt, base=sent.base_version, mine=sent.body)
    raw = form.raw | {"body": [collision.text], "base_version": [str(collision.theirs.number)]}
    return editor_page(prompt, replace(form, value=None, raw=raw), collision)


def _new_page(form: Form, interaction: str) -> str:
    declared = services.declared_parameters(db_session(), interaction)
    shown = _panel(form, declared)
    is_unsaved = request.method == "POST"
    editor = Editor(interaction=interaction, declared=declared, panel=shown, is_unsaved=is_unsaved)
    return render_template("prompts/new.html", editor=editor, form=form)


def _panel(form: Form, declared: tuple[Parameter, ...]) -> Panel:
    body = form["body"].value
    pool = services.pool_for(db_session(), body)
    return editing.safe_panel(pool, body, editing.typed_values(_first(form)), declared)


def _first(form: Form) -> dict[str, str]:
    return {name: sent[0] for name, sent in form.raw.items() if sent}


def _busy(form: Form, busy: RenderBusy) -> Form:
    return form.refused(Refused({"": f"{busy} What you typed is below."}))
