"""Snippets in the browser: list, one snippet with where it is used, its editor, archiving."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from controlplane.accounts.actor import Role
from controlplane.drafts import Note
from controlplane.errors import Conflict, Refused
from controlplane.prompts import textdiff
from controlplane.prompts.render_pool import RenderBusy
from controlplane.prompts.routing import retry_after
from controlplane.snippets import draft_views, drafts, pages, services
from controlplane.snippets.editing import configuration_url, editor_page
from controlplane.snippets.inputs import AsTyped, NewSnippetInput, ReasonInput, SnippetVersionInput
from controlplane.snippets.routing import blueprint
from controlplane.snippets.services import Broken, WouldBreak
from controlplane.web.access import current_actor, people_with, requires
from controlplane.web.forms import Parsed, fill, parse
from controlplane.web.unit_of_work import db_session, discard

__all__ = ["blueprint", "draft_views"]

Form = Parsed[Any]


# Looking


@blueprint.get("/<environment>/templates/snippets")
@requires(Role.VIEWER)
def index(environment: str) -> str:
    """The list, with its filters in the address."""
    text, status = request.args.get("q", "").strip(), request.args.get("status", "")
    archived = status == "archived"
    return render_template(
        "snippets/index.html",
        form=fill({"q": text, "status": status}),
        found=pages.snippet_list(db_session(), text=text, archived=archived),
        is_filtered=bool(text) or archived,
    )


@blueprint.get("/<environment>/templates/snippets/<code>")
@requires(Role.VIEWER)
def show(environment: str, code: str) -> str:
    """One snippet: its text, how to include it, and everything that a change of it reaches."""
    found = pages.snippet_page(db_session(), code)
    draft = drafts.get_draft(db_session(), code, actor=current_actor())
    return render_template(
        "snippets/show.html",
        found=found,
        note=Note(draft, found.saved, is_open=False) if draft else None,
        editors=people_with(Role.EDITOR),
        configuration_url=configuration_url,
        changes_url=url_for("audit.index", object_kind="snippet", object_key=code),
    )


@blueprint.get("/<environment>/templates/snippets/<code>/versions/<int:number>")
@requires(Role.VIEWER)
def version(environment: str, code: str, number: int) -> str:
    """One version, for reading; with what it changed."""
    snippet = services.get_snippet(db_session(), code)
    this = services.get_version(db_session(), code, number)
    before = next((each for each in snippet.versions if each.number == number - 1), None)
    return render_template(
        "snippets/version.html",
        snippet=snippet,
        this=this,
        before=before,
        changes=textdiff.lines(before.body, this.body) if before else [],
    )


@blueprint.get("/<environment>/templates/snippets/<code>/compare")
@requires(Role.VIEWER)
def compare(environment: str, code: str) -> str:
    """Any two versions."""
    session = db_session()
    snippet = services.get_snippet(session, code)
    to = request.args.get("to", snippet.versions[0].number, type=int)
    old = services.get_version(session, code, request.args.get("from", max(1, to - 1), type=int))
    new = services.get_version(session, code, to)
    changes = textdiff.lines(old.body, new.body)
    return render_template(
        "snippets/compare.html",
        snippet=snippet,
        form=fill({"from": old.number, "to": new.number}),
        versions=[(each.number, f"Version {each.number}") for each in snippet.versions],
        old=old,
        new=new,
        changes=changes,
        summary=textdiff.summary(changes),
    )


# Writing


@blueprint.get("/<environment>/templates/snippets/new")
@requires(Role.EDITOR)
def new(environment: str) -> str:
    """A form for a snippet that is not there yet."""
    return render_template("snippets/new.html", form=fill({}))


@blueprint.post("/<environment>/templates/snippets/new")
@requires(Role.EDITOR)
def create(environment: str) -> ResponseReturnValue:
    """Make the snippet with its first version."""
    form: Form = parse(NewSnippetInput, request.form)
    if form.value is not None:
        given = form.value.model_dump() | {"description": form.value.description or ""}
        try:
            snippet = services.create_snippet(db_session(), **given, actor=current_actor())
        except Refused as refusal:
            form = form.refused(refusal)
        except RenderBusy as busy:
            page = render_template("snippets/new.html", form=_busy(form, busy))
            return page, 429, retry_after(busy)
        else:
            flash(f"Created {snippet.name}. Templates may include it now.", "good")
            return redirect(url_for(".show", code=snippet.code), 303)
    return render_template("snippets/new.html", form=form), 422


@blueprint.get("/<environment>/templates/snippets/<code>/edit")
@requires(Role.EDITOR)
def edit(environment: str, code: str) -> str:
    """The editor, with this person's draft if there is one; `?version=` begins from an older text.

    `?template=` previews in that one.
    """
    session = db_session()
    snippet = services.get_snippet(session, code)
    older = request.args.get("version", type=int)
    draft = drafts.get_draft(session, code, actor=current_actor())
    newest = snippet.versions[0]
    if older is not None:
        start = {"body": services.get_version(session, code, older).body, "base_version": newest.number}
    elif draft is not None:
        start = {"body": draft.body, "reason": draft.reason, "base_version": draft.base_version}
    else:
        start = {"body": newest.body, "base_version": newest.number}
    note = Note(draft, newest, is_open=older is None) if draft else None
    return editor_page(code, fill(start | {"template": request.args.get("template", "")}), note=note)


@blueprint.post("/<environment>/templates/snippets/<code>/edit")
@requires(Role.EDITOR)
def preview_page(environment: str, code: str) -> str:
    """The same page with the preview of what was typed; what the live preview does, without script."""
    return editor_page(code, parse(AsTyped, request.form))


@blueprint.post("/_/<environment>/templates/snippets/<code>/preview")
@requires(Role.EDITOR)
def preview(environment: str, code: str) -> str:
    """The preview of what was typed so far."""
    session, sent = db_session(), request.form
    chosen = pages.chosen_in(session, pages.snippet_page(session, code), sent.get("template", ""))
    # The form holds no transaction open while the worker is busy with a stranger's loop.
    session.rollback()
    found = pages.preview(chosen, sent.get("body", ""))
    return render_template("snippets/_preview.html", preview=found)


@blueprint.post("/<environment>/templates/snippets/<code>/versions")
@requires(Role.EDITOR)
def save(environment: str, code: str) -> ResponseReturnValue:
    """Save the text as the next version, and with it one of each template that follows."""
    snippet = services.get_snippet(db_session(), code)
    form: Form = parse(SnippetVersionInput, request.form)
    broken: Sequence[Broken] = ()
    if form.value is not None:
        given = form.value.model_dump()
        try:
            saved = services.save_version(db_session(), snippet, **given, actor=current_actor())
        except Conflict:
            return _collision_page(code, form, base=given["base_version"]), 409
        except RenderBusy as busy:
            discard()
            return editor_page(code, _busy(form, busy)), 429, retry_after(busy)
        except Refused as refusal:
            discard()
            form = form.refused(refusal)
            broken = refusal.broken if isinstance(refusal, WouldBreak) else ()
        else:
            flash(_saved_words(saved), "good")
            return redirect(url_for(".show", code=code), 303)
    return editor_page(code, form, broken=broken), 422


# Archiving


@blueprint.get("/<environment>/templates/snippets/<code>/archive")
@requires(Role.EDITOR)
def archive(environment: str, code: str) -> str:
    """Ask why, and say what stands in the way."""
    return render_template(
        "snippets/archive.html", found=pages.snippet_page(db_session(), code), form=fill({})
    )


@blueprint.post("/<environment>/templates/snippets/<code>/archive")
@requires(Role.EDITOR)
def archive_or_restore(environment: str, code: str) -> ResponseReturnValue:
    """Archive a snippet, or restore an archived one."""
    session, snippet = db_session(), services.get_snippet(db_session(), code)
    write, done = (
        (services.restore_snippet, "Restored")
        if snippet.archived_at
        else (services.archive_snippet, "Archived")
    )
    form: Form = parse(ReasonInput, request.form)
    if form.value is not None:
        try:
            write(session, snippet, reason=form.value.reason, actor=current_actor())
        except Refused as refusal:
            form = form.refused(refusal)
        else:
            flash(f"{done} {snippet.name}.", "good")
            return redirect(url_for(".show", code=code), 303)
    return render_template("snippets/archive.html", found=pages.snippet_page(session, code), form=form), 422


# Parts of several views


def _collision_page(code: str, form: Form, *, base: int) -> str:
    """The editor again with what was typed, on the newest version now, with what the other person did in sight."""
    discard()
    snippet = services.get_snippet(db_session(), code)
    theirs = snippet.versions[0]
    before = next((each for each in snippet.versions if each.number == base), theirs)
    raw = form.raw | {"base_version": [str(theirs.number)]}
    return editor_page(
        code,
        replace(form, value=None, raw=raw),
        theirs=theirs,
        their_changes=textdiff.lines(before.body, theirs.body),
    )


def _saved_words(saved: services.Saved) -> str:
    if not saved.templates:
        return f"Saved version {saved.version.number}. No template follows it, so none changed."
    names = ", ".join(f"{code} version {each.number}" for code, each in saved.templates.items())
    return (
        f"Saved version {saved.version.number}, and with it {names}. Nothing is live until it is published."
    )


def _busy(form: Form, busy: RenderBusy) -> Form:
    return form.refused(Refused({"": f"{busy} What you typed is below."}))
