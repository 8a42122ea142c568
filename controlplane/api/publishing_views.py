"""How programs bring something live: what is saved, by the rules of the environment, or as a proposal.

Asked twice, nothing is done twice: what is live already is not published again, and what waits for an answer is not
proposed again.
"""

from collections.abc import Sequence
from typing import Any

from flask import Response, url_for
from sqlalchemy import select

from controlplane.api import documents
from controlplane.api.inputs import NothingInput, ProposeInput, PublishInput
from controlplane.api.reading_views import proposal_document
from controlplane.api.routing import HERE, answered, blueprint, body_as, environment_row
from controlplane.errors import Refused
from controlplane.proposals import choosing, sources
from controlplane.proposals import services as proposals
from controlplane.proposals.choosing import Ticked
from controlplane.proposals.models import Proposal
from controlplane.proposals.sources import Offer
from controlplane.proposals.states import OPEN, State
from controlplane.proposals.steps import AlreadyPublished
from controlplane.releases import history
from controlplane.releases import services as releases
from controlplane.releases.diff import digest_of
from controlplane.releases.models import Release
from controlplane.releases.saved import live_entries
from controlplane.tokens.scopes import Scope
from controlplane.web.access import current_actor, requires_token
from controlplane.web.bearer import bearer
from controlplane.web.unit_of_work import db_session


@blueprint.post(f"{HERE}/publish")
@requires_token(Scope.PUBLISH)
def publish(environment: str) -> Response:
    """Make what is saved live; where others have to agree first, 202 and a proposal that asks them."""
    wanted, session = body_as(PublishInput), db_session()
    # Held before anybody looks: the same call sent again while the first is on its way finds that all is live.
    row = releases.lock_environment(session, environment)
    offer = sources.from_saved(session, environment)
    keys = chosen(environment, offer, wanted.entries)
    if not keys:
        return answered({"published": False, "detail": "Nothing to publish: what is saved is live already."})
    if row.approvals:
        return _proposed(
            environment, "saved", offer, keys, reason=wanted.reason, for_review=True, publishing=True
        )
    offered = {each.key: each for each in offer.entries}
    release = releases.publish_saved(
        session,
        environment,
        keys=keys,
        seen={key: digest_of(offered[key].after) for key in keys},
        reason=wanted.reason,
        actor=current_actor(),
        base=offer.base,
    )
    return made(release, published=True)


@blueprint.post(f"{HERE}/proposals")
@requires_token(Scope.EDIT)
def propose(environment: str) -> Response:
    """Propose entries from a source: what is saved, another environment, an earlier release, one release taken back."""
    wanted = body_as(ProposeInput)
    kind, _, other = wanted.source.partition(":")
    if kind == "environment" and not bearer().covers(other):
        raise bearer().elsewhere()
    row = environment_row(environment)
    offer = choosing.source_at(db_session(), row, wanted.source, actor=current_actor()).offer
    keys = chosen(environment, offer, wanted.entries)
    if not keys:
        return answered({"proposed": False, "detail": "Nothing to propose: it is live already."})
    return _proposed(
        environment, wanted.source, offer, keys, reason=wanted.reason, for_review=not wanted.draft
    )


@blueprint.post(f"{HERE}/proposals/<int:number>/publish")
@requires_token(Scope.PUBLISH)
def publish_proposal(environment: str, number: int) -> Response:
    """Make a proposal live that enough others have agreed to; 200 with its release when it is live already."""
    body_as(NothingInput)
    session = db_session()
    revision = proposals.get_proposal(session, environment, number).revision
    try:
        release = proposals.publish(session, environment, number, revision=revision, actor=current_actor())
    except AlreadyPublished as already:
        done = history.get_release(session, environment, already.release)
        return answered({"published": False, **documents.release(done)})
    return made(release, published=True)


def chosen(environment: str, offer: Offer, wanted: str | Sequence[str]) -> list[str]:
    """Return the keys of an offer that are wanted; what is live as offered is none of them. `Refused` for what is nowhere."""
    if isinstance(wanted, str):
        return [each.key for each in offer.entries if each.ticked]
    offered = {each.key for each in offer.entries}
    missing = sorted(set(wanted) - offered - live_entries(db_session(), environment).keys())
    if missing:
        raise Refused({"entries": f"Neither live nor offered: {', '.join(missing)}."})
    return sorted(set(wanted) & offered)


def made(release: Release, **more: Any) -> Response:
    """The answer for a release that was made."""
    where = url_for(".release", environment=release.environment, number=release.number)
    return answered({**more, **documents.release(release)}, 201, location=where)


def _proposed(
    environment: str,
    address: str,
    offer: Offer,
    keys: Sequence[str],
    *,
    reason: str,
    for_review: bool,
    publishing: bool = False,
) -> Response:
    """Make the proposal, unless the same one of the same person waits already: then answer with that.

    A draft is nobody's turn: whoever asks for review is not answered with one that nobody looks at.
    """
    session, actor = db_session(), current_actor()
    ticked = Ticked(keys, {each.key: each.digest for each in offer.entries}, {})
    attempt = session.begin_nested()
    proposal = choosing.propose(
        session, environment, address, ticked, reason=reason, actor=actor, for_review=for_review
    )
    twin = _waiting_twin(proposal, drafts=not for_review)
    if twin is None:
        attempt.commit()
    else:
        attempt.rollback()
    number = proposal.number if twin is None else twin
    told = {"published": False} if publishing else {}
    status = 202 if publishing else 201 if twin is None else 200
    where = url_for(".proposal", environment=environment, number=number)
    return answered({**told, **proposal_document(environment, number)}, status, location=where)


def _waiting_twin(proposal: Proposal, *, drafts: bool) -> int | None:
    """Return the number of an open proposal of the same person with the same content, if there is one before this."""
    passed_over = {State.REJECTED, State.CONFLICTED} | (set() if drafts else {State.DRAFT})
    waiting = [each.value for each in OPEN - passed_over]
    query = select(Proposal.number).where(
        Proposal.environment == proposal.environment,
        Proposal.number < proposal.number,
        Proposal.content_sha256 == proposal.content_sha256,
        Proposal.base == proposal.base,
        Proposal.author_id == proposal.author_id,
        Proposal.state.in_(waiting),
    )
    return db_session().scalar(query.order_by(Proposal.number.desc()).limit(1))
