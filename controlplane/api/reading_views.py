"""What programs read: what is live, what was, what waits, why a call gets what it gets, and the record."""

import json
from typing import Any

from flask import Response, request, url_for
from flask.typing import ResponseReturnValue

from controlplane.api import documents
from controlplane.api.inputs import ChangesQuery, ListQuery
from controlplane.api.routing import HERE, answered, blueprint, environment_row, query_as
from controlplane.audit import finding, language
from controlplane.audit.conditions import Wanted
from controlplane.configurations.places import Place
from controlplane.configurations.services import get_configuration
from controlplane.db import now
from controlplane.errors import NotFound, Refused
from controlplane.explain.answering import answers
from controlplane.explain.asked import ExplainInput
from controlplane.fleet.standing import confirmation
from controlplane.prompts.render_pool import shared
from controlplane.prompts.services import get_prompt
from controlplane.proposals import sources
from controlplane.proposals.participants import agreement_of
from controlplane.proposals.services import get_proposal
from controlplane.registry.services import list_environments
from controlplane.releases import history
from controlplane.releases.saved import live_entries
from controlplane.releases.steps import export_of
from controlplane.rollouts import standing
from controlplane.switches.services import thrown_in
from controlplane.tokens.scopes import Scope
from controlplane.tokens.services import OutOfScope
from controlplane.web.access import requires_token
from controlplane.web.bearer import bearer
from controlplane.web.unit_of_work import db_session


@blueprint.get("/environments")
@requires_token(Scope.READ)
def environments() -> Response:
    """The environments that the token is for, with the rules of each and what is live there."""
    session, caller = db_session(), bearer()
    rows = [row for row in list_environments(session) if caller.covers(row.code)]
    found = [documents.environment(row, history.latest_release(session, row.code)) for row in rows]
    return answered({"environments": found})


@blueprint.get(f"{HERE}/live")
@requires_token(Scope.READ)
def live(environment: str) -> Response:
    """What is live, entry by entry, as the export has it; with an ETag, so that asking again costs little."""
    session = db_session()
    row = history.latest_release(session, environment)
    if row is None:
        raise NotFound("release", f"of {environment}")
    etag = f"{row.number}-{row.snapshot_sha256[:32]}"
    if request.if_none_match.contains_weak(etag):
        answer = Response(status=304)
    else:
        # At the number, and not "now": a release that is made in between must not lend it its entries.
        entries = live_entries(session, environment, at=row.number)
        answer = answered({**documents.release(row), "entries": entries})
    answer.set_etag(etag)
    answer.headers["Cache-Control"] = "private, no-cache"
    return answer


@blueprint.get(f"{HERE}/releases")
@requires_token(Scope.READ)
def releases(environment: str) -> Response:
    """The releases, newest first; `next` is what to ask for `before`, null at the end."""
    query = query_as(ListQuery)
    found = history.list_releases(db_session(), environment, before=query.before, limit=query.limit + 1)
    rows = found[: query.limit]
    return answered(
        {
            "releases": [documents.release(row) for row in rows],
            "next": rows[-1].number if len(found) > query.limit else None,
        }
    )


@blueprint.get(f"{HERE}/releases/<int:number>")
@requires_token(Scope.READ)
def release(environment: str, number: int) -> Response:
    """One release: what it changed, and how far it has come."""
    session = db_session()
    row = history.get_release(session, environment, number)
    changes = history.changes_of(session, environment, number)
    arrival = documents.arrival(
        export_of(session, environment, number),
        confirmation(session, environment, number, row.snapshot_sha256),
    )
    return answered(
        {
            **documents.release(row),
            "arrival": arrival,
            "changes": [documents.change(each) for each in changes],
        }
    )


@blueprint.get(f"{HERE}/unpublished")
@requires_token(Scope.READ)
def unpublished(environment: str) -> Response:
    """What is saved and not live here: what `publish` could be asked for."""
    return answered(documents.offer(sources.from_saved(db_session(), environment)))


@blueprint.get(f"{HERE}/proposals/<int:number>")
@requires_token(Scope.READ)
def proposal(environment: str, number: int) -> Response:
    """One proposal, for whoever waits until others have agreed."""
    return answered(proposal_document(environment, number))


@blueprint.get(f"{HERE}/rollouts")
@requires_token(Scope.READ)
def rollouts(environment: str) -> Response:
    """The rollouts that run."""
    found = standing.running(db_session(), environment)
    return answered({"rollouts": [documents.rollout(each) for each in found]})


@blueprint.get(f"{HERE}/switches")
@requires_token(Scope.READ)
def switches(environment: str) -> Response:
    """The kill switches that are thrown."""
    found = thrown_in(db_session(), environment)
    return answered({"thrown": [documents.switch(each) for each in found]})


@blueprint.get(f"{HERE}/explain")
@requires_token(Scope.READ)
def explain(environment: str) -> Response:
    """Why a call gets what it gets, now or at a moment of the past."""
    wanted = query_as(ExplainInput)
    found = answers(db_session(), environment, wanted.questions(), shared())
    return answered(
        {
            "release": found[0].source.release.number,
            "live_at": documents.moment(found[0].source.live_at),
            "answers": [each.document for each in found],
        }
    )


@blueprint.get("/templates/<code>")
@requires_token(Scope.READ)
def template(code: str) -> Response:
    """What is saved of a template."""
    found = get_prompt(db_session(), code.replace("\x00", "?"))
    return answered(documents.template(found, found.versions[0]))


@blueprint.get("/configurations/<interaction>/<tier>")
@blueprint.get("/configurations/<interaction>/<tier>/<tenant>")
@requires_token(Scope.READ)
def configuration(interaction: str, tier: str, tenant: str | None = None) -> Response:
    """What is saved of a configuration."""
    place = Place.from_words(interaction, tier, tenant)
    found = get_configuration(db_session(), place.interaction, tier=place.tier, tenant=place.tenant)
    archived = found.archived_at is not None
    return answered(documents.configuration(place, found.versions[0], archived=archived))


@blueprint.get("/changes")
@requires_token(Scope.READ)
def changes() -> ResponseReturnValue:
    """The record in its own order, from an event on: what a SIEM follows. JSON, or a line for each change."""
    if bearer().environment is not None:
        raise OutOfScope(
            f"The record is of all environments and of people; this token is for {bearer().environment} alone."
        )
    asked = query_as(ChangesQuery)
    reading = language.parse(asked.q)
    if reading.problems:
        raise Refused({"q": " ".join(each.message for each in reading.problems)})
    wanted = Wanted(reading.query, now=now())
    rows, following = finding.following(db_session(), wanted, after=asked.after, limit=asked.limit)
    page = url_for("audit.show", id="", _external=True)
    found = [documents.event(row, url=page + row.id) for row in rows]
    if asked.format == "json":
        return answered(documents.events(found, following=following))
    lines = "".join(json.dumps(each) + "\n" for each in found)
    return Response(lines, mimetype="application/x-ndjson", headers={"Next-After": str(following)})


def proposal_document(environment: str, number: int) -> dict[str, Any]:
    """A proposal as the API tells of it."""
    session = db_session()
    row = get_proposal(session, environment, number)
    page = url_for("proposals.show", environment=environment, number=number, _external=True)
    return documents.proposal(row, agreement_of(session, row, environment_row(environment)), page=page)
