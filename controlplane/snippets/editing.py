"""The editor of a snippet as a page, for whatever it is shown again: opened, previewed, refused, or overtaken."""

from collections.abc import Sequence
from typing import Any

from flask import current_app, render_template, request, url_for

from controlplane.drafts import Note
from controlplane.prompts import textdiff
from controlplane.prompts.usage import Use
from controlplane.runtime.entries import DEFAULT_TIER
from controlplane.snippets import pages
from controlplane.snippets.models import SnippetVersion
from controlplane.snippets.pages import SnippetEditor
from controlplane.snippets.services import Broken
from controlplane.web.forms import Parsed
from controlplane.web.unit_of_work import db_session

Form = Parsed[Any]


def editor_page(
    code: str,
    form: Form,
    *,
    broken: Sequence[Broken] = (),
    theirs: SnippetVersion | None = None,
    their_changes: Sequence[textdiff.Row] = (),
    note: Note | None = None,
) -> str:
    """The page with this form, and the preview of what stands in it."""
    session = db_session()
    page = pages.snippet_page(session, code)
    editor = SnippetEditor(
        page=page,
        preview=pages.preview(pages.chosen_in(session, page, form["template"].value), form["body"].value),
        templates=[(use.template, use.template) for use in page.following],
        broken=broken,
        theirs=theirs,
        their_changes=list(their_changes),
        is_unsaved=request.method == "POST",
        note=note,
    )
    return render_template(
        "snippets/edit.html", editor=editor, form=form, configuration_url=configuration_url
    )


def configuration_url(use: Use) -> str | None:
    """Where a use of a template is set; None where there are no pages of configurations."""
    if "configurations.show" not in current_app.view_functions:
        return None
    return url_for(
        "configurations.show", interaction=use.interaction, tier=use.tier or DEFAULT_TIER, tenant=use.tenant
    )
