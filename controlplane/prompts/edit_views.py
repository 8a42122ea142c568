"""The editor of templates with its live preview: a next version of one that is there, or the first of a new one."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from controlplane.accounts.actor import Role
from controlplane.drafts import Note
from controlplane.errors import Conflict, Refused
from controlplane.prompts import drafts, editing, figures, new_drafts, pages, presence, services, trying
from controlplane.prompts.editing import Editor
from controlplane.prompts.figures import NOTHING, Basis, Figures
from controlplane.prompts.inputs import AsTyped, NewPromptInput, VersionInput
from controlplane.prompts.models import Prompt, PromptDraft
from controlplane.prompts.preview import Panel, panel
from controlplane.prompts.render_pool import RenderBusy, shared
from controlplane.prompts.routing import blueprint, retry_after
from controlplane.runtime.profile import normalise
from controlplane.samples import services as samples
from controlplane.samples import values
from controlplane.web.access import current_actor, requires
from controlplane.web.forms import Parsed, fill, parse
from controlplane.web.session import count_as_idle
from controlplane.web.unit_of_work import db_session, discard, independent

Form = Parsed[Any]


@blueprint.get("/<environment>/templates/new")
@requires(Role.EDITOR)
def new(environment: str) -> str:
    """First choose the interaction; then write, beginning with a text that uses all its parameters."""
    session, interaction = db_session(), request.args.get("interaction")
    if not interaction:
        codes = [(code, code) for code in pages.interaction_codes(session)]
        begun = new_drafts.list_drafts(session, actor=current_actor())
        return render_template("prompts/choose.html", form=fill({}), interactions=codes, begun=begun)
    draft = new_drafts.get_draft(session, interaction, actor=current_actor())
    if draft is not None:
        return _new_page(Parsed(raw=draft.fields), interaction, note=Note(draft, None, is_open=True))
    declared = services.declared_parameters(session, interaction)
    start = {"code": services.free_code(session, interaction), "body": editing.skeleton(declared)}
    default = samples.list_samples(session, interaction)[0]
    return _new_page(fill(start | editing.sample_values(default, declared)), interaction)


@blueprint.post("/<environment>/templates/new/preview")
@requires(Role.EDITOR)
def preview_new_page(environment: str) -> str:
    """The same page with the preview of what was typed; what the live preview does, without script."""
    interaction = request.form.get("interaction", "")
    return _new_page(_as_typed(interaction), interaction)


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
    draft = drafts.get_draft(session, code, actor=current_actor())
    older, wanted = request.args.get("version", type=int), request.args.get("sample")
    known = samples.list_samples(session, prompt.interaction)
    sample = next((each for each in known if each.slug == wanted), known[0])
    if older is None:
        start = editing.starting_values(prompt, prompt.versions[0].body, draft, sample, declared)
    else:
        body = services.get_version(session, code, older).body
        start = editing.starting_values(prompt, body, None, sample, declared)
    if wanted:
        start = editing.without_values(start) | editing.sample_values(sample, declared)
    return editor_page(prompt, fill(start), note=_note(prompt, draft, is_open=older is None))


@blueprint.post("/<environment>/templates/<code>/edit")
@requires(Role.EDITOR)
def preview_page(environment: str, code: str) -> str:
    """The same page with the preview of what was typed; what the live preview does, without script."""
    prompt = services.get_prompt(db_session(), code)
    return editor_page(prompt, _as_typed(prompt.interaction))


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
    prompt = services.get_prompt(db_session(), code)
    return _preview(prompt.interaction, figures.basis(db_session(), environment, code))


@blueprint.post("/_/<environment>/templates/new/<interaction>/preview")
@requires(Role.EDITOR)
def preview_new(environment: str, interaction: str) -> str:
    """The preview of a template that is not there yet."""
    return _preview(interaction)


@blueprint.post("/_/<environment>/templates/<code>/others")
@requires(Role.EDITOR)
def others(environment: str, code: str) -> str:
    """Who else has it open; and that this person has."""
    count_as_idle()
    prompt = services.get_prompt(db_session(), code)
    found = presence.look_in(db_session(), prompt.code, actor=current_actor())
    return render_template("prompts/_others.html", others=found, code=code, asked=True)


def _preview(interaction: str, basis: Basis = NOTHING) -> str:
    session, body = db_session(), request.form.get("body", "")
    declared = services.declared_parameters(session, interaction)
    known = [sample.values for sample in samples.list_samples(session, interaction)]
    pool = services.pool_for(session, body)
    # The form holds no transaction open while the worker is busy with a stranger's loop.
    session.rollback()
    shown = panel(
        pool,
        body,
        editing.typed_values(request.form),
        declared,
        samples=known,
        spaces="spaces" in request.form,
    )
    found = _figures(basis, body, shown, editing.typed_values(request.form))
    return render_template("prompts/_preview.html", panel=shown, figures=found, oob=True)


def _figures(basis: Basis, body: str, shown: Panel, typed: Mapping[str, str]) -> Figures | None:
    """The figures of the text that is shown; none of one that does not come out."""
    if shown.preview.text is None:
        return None
    given = values.read(shown.declared, typed).given
    return basis.figures(
        normalise(body), shown.preview.text, given=given, declared=shown.declared, pool=shared()
    )


def editor_page(
    prompt: Prompt, form: Form, collision: editing.Collision | None = None, *, note: Note | None = None
) -> str:
    """The editor around a form: a text to go on with, or what was sent and could not be saved."""
    editor = replace(
        _editor(form, prompt.interaction),
        prompt=prompt,
        saved=prompt.versions[0],
        note=note,
        collision=collision,
    )
    basis = figures.basis(db_session(), (request.view_args or {})["environment"], prompt.code)
    return render_template(
        "prompts/edit.html", editor=editor, form=form, figures=_page_figures(basis, form, editor)
    )


def _page_figures(basis: Basis, form: Form, editor: Editor) -> Figures | None:
    return _figures(basis, form["body"].value, editor.panel, editing.typed_values(_first(form)))


def _editor(form: Form, interaction: str) -> Editor:
    session = db_session()
    declared = services.declared_parameters(session, interaction)
    known = samples.list_samples(session, interaction)
    body, typed = form["body"].value, editing.typed_values(_first(form))
    pool = services.pool_for(session, body)
    return Editor(
        interaction=interaction,
        declared=declared,
        panel=editing.safe_panel(
            pool, body, typed, declared, samples=known, spaces=bool(form["spaces"].value)
        ),
        is_unsaved=request.method == "POST",
        samples=known,
        trial=trying.trial(pool, body, declared, known) if "all" in request.form else None,
    )


def _note(prompt: Prompt, draft: PromptDraft | None, *, is_open: bool) -> Note | None:
    return Note(draft, prompt.versions[0], is_open=is_open) if draft else None


def _collision_page(code: str, form: Form, sent: VersionInput) -> str:
    """The editor again, on the newest version now, with what the other person did in sight.

    What was sent is kept as the person's draft, for whoever closes this page.
    """
    discard()
    with independent() as session:
        drafts.save_draft(
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


def _new_page(form: Form, interaction: str, *, note: Note | None = None) -> str:
    editor = replace(_editor(form, interaction), note=note)
    found = _page_figures(NOTHING, form, editor)
    return render_template("prompts/new.html", editor=editor, form=form, figures=found)


def _as_typed(interaction: str) -> Form:
    """What was sent; with the values of a sample set, or typed the other way, when that was asked for."""
    form: Form = parse(AsTyped, request.form)
    declared = services.declared_parameters(db_session(), interaction)
    others = editing.without_values(form.raw)
    if "use" in request.form and form["sample"].value:
        sample = samples.get_sample(db_session(), interaction, form["sample"].value)
        return replace(form, raw=others | _spread(editing.sample_values(sample, declared)))
    if "switch" in request.form:
        shown, errors = values.switched(declared, request.form, to=request.form["switch"])
        form = replace(form, raw=others | _spread(shown))
        return form.refused(Refused(errors)) if errors else form
    return form


def _spread(typed: dict[str, str]) -> dict[str, list[str]]:
    return {name: [text] for name, text in typed.items()}


def _first(form: Form) -> dict[str, str]:
    return {name: sent[0] for name, sent in form.raw.items() if sent}


def _busy(form: Form, busy: RenderBusy) -> Form:
    return form.refused(Refused({"": f"{busy} What you typed is below."}))
