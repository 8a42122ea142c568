"""The private drafts of templates: kept while one types or by a button, compared with what is saved, thrown away."""

from typing import Any

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from controlplane.accounts.actor import Role
from controlplane.drafts import Note
from controlplane.prompts import drafts, editing, new_drafts, services, textdiff
from controlplane.prompts.edit_views import editor_page
from controlplane.prompts.inputs import LONGEST_BODY, DraftInput
from controlplane.prompts.models import NewPromptDraft, PromptDraft
from controlplane.prompts.routing import blueprint
from controlplane.web.access import current_actor, requires
from controlplane.web.forms import Parsed, parse
from controlplane.web.unit_of_work import db_session

Form = Parsed[Any]


@blueprint.get("/<environment>/templates/<code>/draft")
@requires(Role.EDITOR)
def draft(environment: str, code: str) -> ResponseReturnValue:
    """The draft against the version it was begun from and the newest one."""
    prompt = services.get_prompt(db_session(), code)
    found = drafts.get_draft(db_session(), code, actor=current_actor())
    if found is None:
        return _without_draft(code)
    newest = prompt.versions[0]
    before = next((each for each in prompt.versions if each.number == found.base_version), newest)
    return render_template(
        "prompts/draft.html",
        prompt=prompt,
        note=Note(found, newest, is_open=False),
        before=before,
        changes=textdiff.lines(before.body, found.body),
        against_newest=textdiff.lines(newest.body, found.body),
    )


@blueprint.post("/<environment>/templates/<code>/draft")
@requires(Role.EDITOR)
def save_draft(environment: str, code: str) -> ResponseReturnValue:
    """Keep what was typed, as the button does where no script runs."""
    form: Form = parse(DraftInput, request.form)
    if form.value is None:
        return editor_page(services.get_prompt(db_session(), code), form), 422
    _keep(code, form.value)
    flash("Saved your draft. Only you see it.", "good")
    return redirect(url_for(".edit", code=code), 303)


@blueprint.post("/_/<environment>/templates/<code>/draft")
@requires(Role.EDITOR)
def autosave(environment: str, code: str) -> ResponseReturnValue:
    """Keep what was typed, and say since when."""
    form: Form = parse(DraftInput, request.form)
    if form.value is None:
        abort(413)
    kept = _keep(code, form.value)
    # The leave guard counts from here.
    return render_template("components/_draft_state.html", draft=kept, is_new=True), {"HX-Trigger": "saved"}


@blueprint.post("/<environment>/templates/<code>/draft/discard")
@requires(Role.EDITOR)
def discard_draft(environment: str, code: str) -> ResponseReturnValue:
    """Throw the draft away; the next page offers to have it back."""
    drafts.discard_draft(db_session(), services.get_prompt(db_session(), code), actor=current_actor())
    flash(url_for(".bring_draft_back", code=code), "undo")
    return redirect(url_for(".show", code=code), 303)


@blueprint.post("/<environment>/templates/<code>/draft/restore")
@requires(Role.EDITOR)
def bring_draft_back(environment: str, code: str) -> ResponseReturnValue:
    """Undo discarding."""
    prompt = services.get_prompt(db_session(), code)
    if not drafts.bring_draft_back(db_session(), prompt, actor=current_actor()):
        return _without_draft(code)
    flash("Your draft is back.", "good")
    return redirect(url_for(".edit", code=code), 303)


@blueprint.post("/<environment>/templates/new/<interaction>/draft")
@requires(Role.EDITOR)
def save_new_draft(environment: str, interaction: str) -> ResponseReturnValue:
    """Keep what was typed of a template that is not there yet."""
    _keep_new(interaction)
    flash("Saved your draft. Only you see it.", "good")
    return redirect(url_for(".new", interaction=interaction), 303)


@blueprint.post("/_/<environment>/templates/new/<interaction>/draft")
@requires(Role.EDITOR)
def autosave_new(environment: str, interaction: str) -> ResponseReturnValue:
    """Keep it, and say since when."""
    kept = _keep_new(interaction)
    return render_template("components/_draft_state.html", draft=kept, is_new=True), {"HX-Trigger": "saved"}


@blueprint.post("/<environment>/templates/new/<interaction>/draft/discard")
@requires(Role.EDITOR)
def discard_new_draft(environment: str, interaction: str) -> ResponseReturnValue:
    """Throw it away; the next page offers to have it back."""
    new_drafts.discard_draft(db_session(), interaction, actor=current_actor())
    flash(url_for(".bring_new_draft_back", interaction=interaction), "undo")
    return redirect(url_for(".index"), 303)


@blueprint.post("/<environment>/templates/new/<interaction>/draft/restore")
@requires(Role.EDITOR)
def bring_new_draft_back(environment: str, interaction: str) -> ResponseReturnValue:
    """Undo discarding."""
    if new_drafts.bring_draft_back(db_session(), interaction, actor=current_actor()):
        flash("Your draft is back.", "good")
    else:
        flash(f"You have no draft for {interaction}.", "info")
    return redirect(url_for(".new", interaction=interaction), 303)


def _keep_new(interaction: str) -> NewPromptDraft:
    services.declared_parameters(db_session(), interaction)  # no such interaction: not found
    if len(request.form.get("body", "")) > LONGEST_BODY:
        abort(413)
    form = {name: request.form.getlist(name) for name in request.form}
    return new_drafts.save_draft(db_session(), interaction, form=form, actor=current_actor())


def _keep(code: str, given: DraftInput) -> PromptDraft | None:
    session = db_session()
    return drafts.save_draft(
        session,
        services.get_prompt(session, code),
        body=given.body or "",
        parameters=editing.typed_values(request.form),
        base_version=given.base_version,
        actor=current_actor(),
    )


def _without_draft(code: str) -> ResponseReturnValue:
    flash(f"You have no draft of {code}.", "info")
    return redirect(url_for(".show", code=code), 303)
