"""Templates in the browser: list, one template, its versions, archiving."""

from typing import Any

from flask import current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from controlplane.accounts.actor import Role
from controlplane.drafts import Note
from controlplane.errors import Refused
from controlplane.prompts import (
    draft_views,
    drafts,
    edit_views,
    pages,
    sample_views,
    services,
    standing,
    textdiff,
    usage,
)
from controlplane.prompts.contract import summary
from controlplane.prompts.inputs import ReasonInput
from controlplane.prompts.models import Prompt
from controlplane.prompts.pages import Filters, State
from controlplane.prompts.render_pool import RenderBusy, shared
from controlplane.prompts.routing import blueprint, retry_after
from controlplane.prompts.usage import Use
from controlplane.runtime.entries import DEFAULT_TIER
from controlplane.web.access import current_actor, people_with, requires
from controlplane.web.forms import Parsed, fill, parse
from controlplane.web.unit_of_work import db_session

# The other modules with pages of this blueprint: imported, they are part of it.
__all__ = ["blueprint", "draft_views", "edit_views", "sample_views"]

Form = Parsed[Any]

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
    begun = drafts.draft_codes(session, actor=current_actor())
    found = pages.prompt_list(session, environment, filters, drafts_of=begun)
    wrong = standing.verdicts_of(session, shared(), [row.code for row in found.rows])
    return render_template(
        "prompts/index.html",
        form=fill({"q": filters.text, "interaction": filters.interaction, "status": filters.status}),
        found=found,
        wrong={code: summary(verdicts) for code, verdicts in wrong.items()},
        is_filtered=filters != Filters(page=filters.page),
        interactions=[(code, code) for code in pages.interaction_codes(session)],
        states=[(state.code, state.label) for state in State],
    )


@blueprint.get("/<environment>/templates/<code>")
@requires(Role.VIEWER)
def show(environment: str, code: str) -> str:
    """One template: what is live here, what is saved, and how it came about."""
    session = db_session()
    draft = drafts.get_draft(session, code, actor=current_actor())
    found = pages.prompt_page(session, environment, code)
    declared = services.declared_parameters(session, found.prompt.interaction)
    return render_template(
        "prompts/show.html",
        found=found,
        note=Note(draft, found.saved, is_open=False) if draft else None,
        declared=declared,
        wrong=standing.verdicts_of(session, shared(), [code]).get(code, []),
        editors=people_with(Role.EDITOR),
        use_urls=[_configuration_url(use) for use in found.uses],
        urls={
            "unpublished": _url("releases.unpublished"),
            "rendered": _url("rendered.template", code=code),
            "interaction": _url("registry.interaction", code=found.prompt.interaction),
            "changes": _url("audit.index", object_kind="prompt", object_key=code),
        },
    )


@blueprint.get("/<environment>/templates/<code>/versions/<int:number>")
@requires(Role.VIEWER)
def version(environment: str, code: str, number: int) -> str:
    """One version, for reading; with what it changed, and how it stands to what is live."""
    session = db_session()
    found = pages.prompt_page(session, environment, code)
    this = services.get_version(session, code, number)
    before = next((each for each in found.prompt.versions if each.number == number - 1), None)
    live = found.live_version
    return render_template(
        "prompts/version.html",
        found=found,
        this=this,
        before=before,
        changes=pages.changes_between(before, this) if before else [],
        against_live=pages.changes_between(live, this) if live else [],
    )


@blueprint.get("/<environment>/templates/<code>/compare")
@requires(Role.VIEWER)
def compare(environment: str, code: str) -> str:
    """Any two versions."""
    session = db_session()
    found = pages.prompt_page(session, environment, code)
    newest = found.saved.number
    to = request.args.get("to", newest, type=int)
    old = services.get_version(session, code, request.args.get("from", max(1, to - 1), type=int))
    new = services.get_version(session, code, to)
    changes = pages.changes_between(old, new)
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
    return page, 429, retry_after(error)


def _url(endpoint: str, **values: Any) -> str | None:
    """Return a page of a feature above this one, when the site has it."""
    return url_for(endpoint, **values) if endpoint in current_app.view_functions else None


def _configuration_url(use: Use) -> str | None:
    place = {"interaction": use.interaction, "tier": use.tier or DEFAULT_TIER, "tenant": use.tenant}
    return _url("configurations.show", **place)


def _archive_page(prompt: Prompt, form: Form) -> str:
    session = db_session()
    uses = [*usage.saved_uses(session, prompt.code), *usage.live_uses(session, prompt.code)]
    return render_template("prompts/archive.html", prompt=prompt, form=form, uses=uses)
