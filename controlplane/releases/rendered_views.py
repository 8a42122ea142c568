"""What prompts would become, before anything is proposed: of all that is not yet live, of one template, of a text being typed."""

from flask import Blueprint, render_template, request, url_for

from controlplane.accounts.actor import Role
from controlplane.prompts import services as prompts
from controlplane.prompts import tokens
from controlplane.prompts.models import Prompt
from controlplane.prompts.render_pool import RenderBusy, shared
from controlplane.prompts.textdiff import side_by_side
from controlplane.registry import cost
from controlplane.releases import services, trials, words
from controlplane.releases.composed import Composed, compose_now, compose_text
from controlplane.releases.figures import figures
from controlplane.releases.rendered import RenderedText, rendered
from controlplane.releases.saved import bodies_by_hash
from controlplane.releases.views import entry_url
from controlplane.runtime.entries import prompt_key
from controlplane.runtime.profile import normalise
from controlplane.snippets.expansion import SnippetProblem
from controlplane.snippets.texts import library_for
from controlplane.web.access import requires
from controlplane.web.unit_of_work import db_session

blueprint = Blueprint("rendered", __name__)

TEMPLATE = "/<environment>/templates/<code>/rendered"


@blueprint.get("/<environment>/unpublished/rendered")
@requires(Role.VIEWER)
def unpublished(environment: str) -> str:
    """All that is saved and not live here; `?entry=` only the entries named."""
    asked = set(request.args.getlist("entry"))
    changes = services.unpublished(db_session(), environment)
    chosen = {change.key: change.after for change in changes if not asked or change.key in asked}
    return _page(
        compose_now(db_session(), environment, chosen),
        title="What prompts become",
        lead="Everything that is saved and not live here yet, put onto what is live."
        if not asked
        else f"Put onto what is live: {', '.join(words.entry_name(key) for key in sorted(chosen))}.",
        crumbs=[("Not yet live", url_for("releases.unpublished"))],
        after="saved",
    )


@blueprint.get(TEMPLATE)
@requires(Role.VIEWER)
def template(environment: str, code: str) -> str:
    """What is saved of one template."""
    prompt = prompts.get_prompt(db_session(), code)
    newest = prompt.versions[0]
    return _template_page(
        environment,
        prompt,
        bodies_by_hash(db_session(), [newest.sha256])[newest.sha256],
        f"Version {newest.number}, as saved, put onto what is live.",
        "saved",
    )


@blueprint.post(TEMPLATE)
@requires(Role.EDITOR)
def typed(environment: str, code: str) -> str:
    """The text as it stands in the editor; nothing is kept."""
    prompt = prompts.get_prompt(db_session(), code)
    return _template_page(
        environment,
        prompt,
        _with_snippets(normalise(request.form.get("body", ""))),
        "The text as you typed it, put onto what is live. Nothing was saved.",
        "typed",
    )


def _with_snippets(body: str) -> str:
    """The text with what it includes put in; as it is where that cannot be, which rendering it then says."""
    try:
        return library_for(db_session(), body).expand(body).text
    except SnippetProblem:
        return body


def _template_page(environment: str, prompt: Prompt, body: str, lead: str, after: str) -> str:
    return _page(
        compose_text(
            db_session(), environment, prompt_key(prompt.code), body, interaction=prompt.interaction
        ),
        title=f"What {prompt.code} would change",
        lead=lead,
        crumbs=[
            ("Templates", url_for("prompts.index")),
            (prompt.code, url_for("prompts.show", code=prompt.code)),
        ],
        after=after,
    )


def _page(composed: Composed, *, title: str, lead: str, crumbs: list[tuple[str, str]], after: str) -> str:
    renders = trials.Renders(db_session(), shared())
    found, priced, busy = None, [], None
    try:
        found = rendered(composed, renders, shown=request.args.get("input", ""))
        priced = figures(composed, renders)
    except RenderBusy as error:
        busy = str(error)
    return render_template(
        "releases/rendered.html",
        title=title,
        lead=lead,
        crumbs=crumbs,
        found=found,
        figures=priced,
        busy=busy,
        # What was typed is nowhere but in the form that brought it: a link would lead to what is saved.
        can_ask_again=after == "saved",
        split=request.args.get("view") == "split",
        side_by_side=side_by_side,
        input_url=(lambda name: _here(input=name)) if after == "saved" else None,
        here=_here,
        try_url=try_url,
        url_of=entry_url,
        method=tokens.METHOD,
        basis=cost.MEASURED_BASIS,
    )


def try_url(text: RenderedText) -> str:
    """Return where one tries a text with a model; that feature builds on this one."""
    return url_for("trying.ask", code=text.code, sha256=text.sha256)


def _here(**changed: str | None) -> str:
    """Return the address of the page that is shown, with another choice in it."""
    values = {**(request.view_args or {}), **request.args.to_dict(flat=False), **changed}
    return url_for(request.endpoint or "", **{name: value for name, value in values.items() if value})
