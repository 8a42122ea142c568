"""Proposing what another page is about to make live: what is ticked of what was saved, and a rollout that is to begin."""

from flask import Blueprint, flash, redirect, url_for
from flask.typing import ResponseReturnValue

from controlplane.accounts.actor import Role
from controlplane.configurations.documents import place_of
from controlplane.errors import Conflict, Refused
from controlplane.proposals import reviewing, services
from controlplane.proposals.models import Proposal
from controlplane.releases.history import latest_release
from controlplane.releases.saved import saved_entries
from controlplane.releases.views import chosen, refused, unpublished_page
from controlplane.rollouts import views as rollouts
from controlplane.rollouts.starting import start_document
from controlplane.web.access import current_actor, requires
from controlplane.web.unit_of_work import db_session, discard

blueprint = Blueprint("offering", __name__)


@blueprint.post("/<environment>/proposals")
@requires(Role.EDITOR)
def saved(environment: str) -> ResponseReturnValue:
    """Propose what is ticked of what is saved and not yet live, and ask others to look at it."""
    form = chosen()
    status, problems = 422, None
    if form.value is not None:
        entries, _ = saved_entries(db_session(), environment)
        try:
            proposal = services.create(
                db_session(),
                environment,
                entries={key: entries.get(key) for key in form.value.entries},
                seen=form.value.digests,
                base=form.value.base,
                reason=form.value.reason or "",
                source="saved",
                actor=current_actor(),
            )
            return _submitted(proposal)
        except Refused as refusal:
            form, problems = refused(form, refusal)
        except Conflict as conflict:
            status, problems = 409, [str(conflict)]
    discard()
    return unpublished_page(environment, form, problems=problems), status


@blueprint.post("/<environment>/proposals/rollout")
@requires(Role.PUBLISHER)
def rollout(environment: str) -> ResponseReturnValue:
    """Propose what starting this rollout would make live, and ask others to look at it."""
    configuration, form = rollouts.start_asked_for()
    if form.value is None:
        return rollouts.start_page(environment, configuration, form), 422
    wanted, session = form.value, db_session()
    if wanted.plan:
        # Documents are what others agree to; a plan moves shares in the name of whoever gives it, once there is a rollout.
        refusal = Refused({"plan": "A proposal brings no plan: give it one on its page once it has started."})
        return rollouts.start_page(environment, configuration, form.refused(refusal)), 422
    try:
        document = start_document(
            session,
            environment,
            configuration,
            candidates=wanted.candidates,
            unit=wanted.unit,
            base=wanted.base,
        )
        latest = latest_release(session, environment)
        proposal = services.create(
            session,
            environment,
            entries={place_of(configuration).key: document},
            base=latest.number if latest else 0,
            reason=wanted.reason,
            source="rollout",
            actor=current_actor(),
        )
        return _submitted(proposal)
    except Refused as refusal:
        discard()
        return rollouts.start_page(environment, configuration, form.refused(refusal)), 422
    except Conflict as conflict:
        discard()
        return rollouts.start_page(environment, configuration, form, conflict=str(conflict)), 409


def _submitted(proposal: Proposal) -> ResponseReturnValue:
    """Ask for the agreement at once: whoever wants to think about it first has not proposed it yet."""
    reviewing.submit(
        db_session(),
        proposal.environment,
        proposal.number,
        revision=proposal.revision,
        actor=current_actor(),
    )
    flash(f"Proposed as proposal {proposal.number}.")
    return redirect(url_for("proposals.show", number=proposal.number), 303)
