"""Choosing in the browser: what to propose from which source, and which side holds where somebody else was faster."""

from collections.abc import Mapping, Set
from dataclasses import replace
from typing import Any

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from pydantic import BaseModel
from werkzeug.exceptions import RequestEntityTooLarge

from controlplane.accounts.actor import Role
from controlplane.errors import Conflict, NotFound, Refused
from controlplane.proposals import bundle, choosing, conflicts
from controlplane.proposals.choosing import Lacking, Source, Ticked
from controlplane.proposals.choosing_inputs import ChoosingInput, DecidingInput
from controlplane.proposals.choosing_pages import (
    ChoosingPage,
    choosing_page,
    deciding_page,
    forgotten_texts,
)
from controlplane.proposals.decisions import Decision, sent_of
from controlplane.proposals.services import get_proposal
from controlplane.registry.models import Environment
from controlplane.releases.views import entry_url
from controlplane.web.access import current_actor, people_with, requires
from controlplane.web.environments import environments
from controlplane.web.forms import Parsed, fill, parse
from controlplane.web.unit_of_work import db_session, discard

blueprint = Blueprint("proposing", __name__)

ROOT = "/<environment>/proposals"

Form = Parsed[Any]


# From a source to a proposal


@blueprint.get(f"{ROOT}/new")
@requires(Role.EDITOR)
def new(environment: str) -> str:
    """What a source would change, to choose from; without `?source=` the sources. `?entry=` ticks only the entries named."""
    address = request.args.get("source", "")
    if not address:
        return _sources_page(environment, fill({}))
    source = _source(environment, address)
    page = _choosing_page(environment, source, {})
    asked = set(request.args.getlist("entry"))
    ticked = [each.view.key for each in page.entries if (each.view.key in asked if asked else each.ticked)]
    return _choose(page, fill({"entries": ticked, "reason": None}))


@blueprint.post(f"{ROOT}/new")
@requires(Role.EDITOR)
def create(environment: str) -> ResponseReturnValue:
    """Propose what is ticked, or take it back at once."""
    source = _source(environment, request.args.get("source", ""))
    form = _sent(ChoosingInput, shown={"entries", "reason"})
    offered = _choosing_page(environment, source, {})
    form = _without_forgetting(form, [each for entry in offered.entries for each in entry.decisions])
    status, conflict = 422, None
    if form.value is not None:
        try:
            return _done(environment, source, form.value)
        except Lacking as lacking:
            form = form.refused(lacking)
            form.raw["entries"] = [*form.raw.get("entries", []), *lacking.keys]
        except Refused as refusal:
            form = form.refused(refusal)
        except Conflict as moved:
            status, conflict = 409, str(moved)
    discard()
    page = _choosing_page(environment, _source(environment, source.address), form.raw)
    return _choose(page, form, conflict=conflict), status


@blueprint.post(f"{ROOT}/bundle")
@requires(Role.EDITOR)
def upload(environment: str) -> ResponseReturnValue:
    """Take a bundle, and go on to choosing from it."""
    request.max_content_length = bundle.MOST_BYTES + 64 * 1024
    try:
        sent = request.files.get("bundle")
        data = sent.read(bundle.MOST_BYTES + 1) if sent else b""
        if not data:
            raise Refused({"bundle": "Choose a file."})
        uploaded = bundle.keep(
            db_session(), data, verifier=current_app.config["VERIFIER"], actor=current_actor()
        )
    except RequestEntityTooLarge:
        refusal = Refused({"bundle": f"This file is larger than {bundle.MOST_BYTES // 1024 // 1024} MiB."})
    except Refused as problem:
        refusal = problem
    else:
        return redirect(url_for(".new", source=f"bundle:{uploaded.id}"), 303)
    discard()
    return _sources_page(environment, fill({}).refused(refusal)), 422


def _done(environment: str, source: Source, given: ChoosingInput) -> ResponseReturnValue:
    ticked = Ticked(given.entries, given.digests, choosing.sent_choices(source, _raw()))
    reason = given.reason or ""
    session, actor = db_session(), current_actor()
    if given.step == "now":
        release = choosing.revert_now(
            session, environment, source.address, ticked, reason=reason, actor=actor
        )
        flash(f"Taken back: release {release.number} is on its way.")
        return redirect(url_for("releases.show", number=release.number), 303)
    proposal = choosing.propose(
        session,
        environment,
        source.address,
        ticked,
        reason=reason,
        actor=actor,
        for_review=given.step == "review",
    )
    flash(f"Made proposal {proposal.number}.")
    return redirect(url_for("proposals.show", number=proposal.number), 303)


def _source(environment: str, address: str) -> Source:
    return choosing.source_at(db_session(), _environment(environment), address, actor=current_actor())


def _choosing_page(environment: str, source: Source, raw: Mapping[str, list[str]]) -> ChoosingPage:
    return choosing_page(
        db_session(),
        _environment(environment),
        source,
        actor=current_actor(),
        url_of=entry_url,
        sent=choosing.sent_choices(source, raw),
    )


def _choose(page: ChoosingPage, form: Form, *, conflict: str | None = None) -> str:
    asked = [each for entry in page.entries for each in entry.decisions]
    return render_template(
        "proposals/choose.html",
        page=page,
        form=_with_texts(form, asked),
        conflict=conflict,
        on_call=people_with(Role.ON_CALL),
    )


def _sources_page(environment: str, form: Form) -> str:
    others = [each for each in environments() if each.code != environment]
    return render_template("proposals/sources.html", others=others, form=form)


# Where somebody else was faster


@blueprint.get(f"{ROOT}/<int:number>/conflict")
@requires(Role.EDITOR)
def conflict(environment: str, number: int) -> str:
    """The entries of a proposal that somebody else changed meanwhile, field by field."""
    return _deciding(environment, number, fill({}))


@blueprint.post(f"{ROOT}/<int:number>/conflict")
@requires(Role.EDITOR)
def decide(environment: str, number: int) -> ResponseReturnValue:
    """Put what was decided into the proposal; it is looked at again."""
    session, proposal = db_session(), get_proposal(db_session(), environment, number)
    offered = deciding_page(session, proposal, {})
    form = _without_forgetting(
        _sent(DecidingInput), [each for entry in offered.entries for each in entry.decisions]
    )
    status, faster = 422, None
    if form.value is not None:
        found = conflicts.conflicts_of(session, proposal)
        try:
            conflicts.decide(
                session,
                environment,
                number,
                revision=form.value.revision,
                seen=form.value.digests,
                sent={each.key: sent_of(_raw(), each.key, each.merged) for each in found},
                actor=current_actor(),
            )
        except Refused as refusal:
            form = form.refused(refusal)
        except Conflict as moved:
            status, faster = 409, str(moved)
        else:
            flash("Your choices are in the proposal. Whoever had agreed has to look at it again.")
            return redirect(url_for("proposals.show", number=number), 303)
    discard()
    return _deciding(environment, number, form, faster=faster), status


def _deciding(environment: str, number: int, form: Form, *, faster: str | None = None) -> str:
    session = db_session()
    page = deciding_page(session, get_proposal(session, environment, number), form.raw)
    asked = [each for entry in page.entries for each in entry.decisions]
    return render_template("proposals/conflict.html", page=page, form=_with_texts(form, asked), faster=faster)


# What both share


def _sent(model: type[BaseModel], *, shown: Set[str] = frozenset()) -> Form:
    """What was sent. What people cannot see on the form they cannot mend: it is told of the form as a whole."""
    form: Form = parse(model, request.form)
    if not form.errors.keys() - shown:
        return form
    whole = "The form did not arrive whole. Look at it once more and send it again."
    return replace(
        form, errors={"": whole} | {name: form.errors[name] for name in form.errors if name in shown}
    )


def _without_forgetting(form: Form, offered: list[Decision]) -> Form:
    """The form, refused when it holds a text that somebody worked on and that would go unused."""
    forgotten = forgotten_texts(offered, form.raw)
    return form.refused(Refused(forgotten)) if forgotten else form


def _with_texts(form: Form, asked: list[Decision]) -> Form:
    """The form with a text in every field that has one: as typed, else as both changes make it."""
    begun = {each.text.name: [each.text.body] for each in asked if each.text is not None}
    return replace(form, raw={**begun, **form.raw})


def _raw() -> dict[str, list[str]]:
    return {name: request.form.getlist(name) for name in request.form}


def _environment(code: str) -> Environment:
    found = db_session().get(Environment, code)
    if found is None:
        raise NotFound("environment", code)
    return found
