"""The private drafts of snippets: kept while one types or by a button, compared with what is saved, thrown away."""

from typing import Any

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from controlplane.accounts.actor import Role
from controlplane.drafts import Note
from controlplane.prompts import textdiff
from controlplane.snippets import drafts, services
from controlplane.snippets.editing import editor_page
from controlplane.snippets.inputs import SnippetDraftInput
from controlplane.snippets.models import SnippetDraft
from controlplane.snippets.routing import blueprint
from controlplane.web.access import current_actor, requires
from controlplane.web.forms import Parsed, parse
from controlplane.web.unit_of_work import db_session

Form = Parsed[Any]


@blueprint.get("/<environment>/templates/snippets/<code>/draft")
@requires(Role.EDITOR)
def draft(environment: str, code: str) -> ResponseReturnValue:
    """The draft against the version it was begun from and the newest one."""
    snippet = services.get_snippet(db_session(), code)
    found = drafts.get_draft(db_session(), code, actor=current_actor())
    if found is None:
        return _without_draft(code)
    newest = snippet.versions[0]
    before = next((each for each in snippet.versions if each.number == found.base_version), newest)
    return render_template(
        "snippets/draft.html",
        snippet=snippet,
        note=Note(found, newest, is_open=False),
        before=before,
        changes=textdiff.lines(before.body, found.body),
        against_newest=textdiff.lines(newest.body, found.body),
    )


@blueprint.post("/<environment>/templates/snippets/<code>/draft")
@requires(Role.EDITOR)
def save_draft(environment: str, code: str) -> ResponseReturnValue:
    """Keep what was typed, as the button does where no script runs."""
    form: Form = parse(SnippetDraftInput, request.form)
    if form.value is None:
        return editor_page(code, form), 422
    _keep(code, form.value)
    flash("Saved your draft. Only you see it.", "good")
    return redirect(url_for(".edit", code=code), 303)


@blueprint.post("/_/<environment>/templates/snippets/<code>/draft")
@requires(Role.EDITOR)
def autosave(environment: str, code: str) -> ResponseReturnValue:
    """Keep what was typed, and say since when."""
    form: Form = parse(SnippetDraftInput, request.form)
    if form.value is None:  # only what the editor cannot send: too long, or with no version it began from
        abort(413)
    kept = _keep(code, form.value)
    # The leave guard counts from here.
    return render_template("components/_draft_state.html", draft=kept, is_new=True), {"HX-Trigger": "saved"}


@blueprint.post("/<environment>/templates/snippets/<code>/draft/discard")
@requires(Role.EDITOR)
def discard_draft(environment: str, code: str) -> ResponseReturnValue:
    """Throw the draft away; the next page offers to have it back."""
    drafts.discard_draft(db_session(), services.get_snippet(db_session(), code), actor=current_actor())
    flash(url_for(".bring_draft_back", code=code), "undo")
    return redirect(url_for(".show", code=code), 303)


@blueprint.post("/<environment>/templates/snippets/<code>/draft/restore")
@requires(Role.EDITOR)
def bring_draft_back(environment: str, code: str) -> ResponseReturnValue:
    """Undo discarding."""
    snippet = services.get_snippet(db_session(), code)
    if not drafts.bring_draft_back(db_session(), snippet, actor=current_actor()):
        return _without_draft(code)
    flash("Your draft is back.", "good")
    return redirect(url_for(".edit", code=code), 303)


def _keep(code: str, given: SnippetDraftInput) -> SnippetDraft | None:
    session = db_session()
    return drafts.save_draft(
        session,
        services.get_snippet(session, code),
        body=given.body or "",
        reason=given.reason or "",
        base_version=given.base_version,
        actor=current_actor(),
    )


def _without_draft(code: str) -> ResponseReturnValue:
    flash(f"You have no draft of shared/{code}.", "info")
    return redirect(url_for(".show", code=code), 303)
