"""Asking others to look at a proposal, and what they answer.

An agreement is to the content that the reviewer's page showed and to no other; it does not raise the proposal's revision,
so that two reviewers at the same time are not in each other's way.
"""

from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.audit.identifiers import new_identifier
from controlplane.db import now
from controlplane.errors import Conflict, Forbidden, Refused
from controlplane.proposals.models import Proposal, ProposalComment
from controlplane.proposals.participants import agree, agreement_of, forget_agreements, participant
from controlplane.proposals.services import checked_note, moved_keys, stop_moved
from controlplane.proposals.states import State
from controlplane.proposals.steps import Held, hold, require_state, tell, turn

_SUBMITTABLE = frozenset({State.DRAFT, State.REJECTED, State.CONFLICTED})
_REVIEWABLE = frozenset({State.IN_REVIEW, State.APPROVED, State.SCHEDULED})


def submit(session: Session, environment: str, number: int, *, revision: int, actor: Actor) -> Proposal:
    """Ask others to look at a proposal; where nobody has to agree it is approved at once.

    When an included key changed meanwhile it is conflicted instead: look at its state afterwards.
    """
    actor.require(Role.EDITOR)
    held = hold(session, environment, number, revision=revision)
    require_state(held, _SUBMITTABLE, to="submit it")
    moved = moved_keys(session, held.proposal)
    if moved:
        stop_moved(session, held, moved, actor=actor)
        return held.proposal
    agreement = agreement_of(session, held.proposal, held.environment)
    turn(held, State.IN_REVIEW if agreement.missing else State.APPROVED)
    effect = f"it {agreement.words}" if agreement.missing else "nobody else has to agree"
    tell(session, held, "submitted", f"submitted {held.name} ({effect})", actor=actor)
    return held.proposal


def approve(
    session: Session, environment: str, number: int, *, revision: int, seen_sha256: str, actor: Actor
) -> Proposal:
    """Agree to a proposal as the actor's page showed it; with enough of these it is approved.

    Raises `Forbidden` to a lower role and to anything but a person, `Refused` to whoever wrote part of it, `Conflict` when
    its content is another by now.
    """
    held = _reviewed(session, environment, number, revision=revision, actor=actor)
    proposal = held.proposal
    require_state(held, _REVIEWABLE, to="approve it")
    if seen_sha256 != proposal.content_sha256:
        raise Conflict(
            f"The content of {held.name} is not what you looked at. Nothing was approved; look at it once more."
        )
    own = participant(session, proposal, actor.id)
    if own is not None and own.contributed and not held.environment.self_approval:
        raise Refused({"": "You wrote part of this: somebody else has to agree to it."})
    if own is not None and own.approved_sha256 == proposal.content_sha256:
        raise Refused({"": "You agreed to this already."})
    agree(session, proposal, actor.id, actor.name)
    agreement = agreement_of(session, proposal, held.environment)
    if actor.id not in {each.person_id for each in agreement.given}:
        # Disabled or given a lower role since this request began.
        raise Forbidden(Role(held.environment.publish_role).label)
    if not agreement.missing and held.state is State.IN_REVIEW:
        proposal.state, proposal.updated_at = State.APPROVED.value, now()
    effect = f" (it {agreement.words})" if agreement.missing else ""
    tell(session, held, "approved", f"approved {held.name}{effect}", actor=actor)
    return proposal


def reject(
    session: Session, environment: str, number: int, *, revision: int, comment: str, actor: Actor
) -> Proposal:
    """Ask for changes, saying which: nobody's agreement counts any more, and its author may change it and submit again."""
    held = _reviewed(session, environment, number, revision=revision, actor=actor)
    require_state(held, _REVIEWABLE, to="reject it")
    body = checked_note(comment, "comment")
    if not body:
        raise Refused({"comment": "Say what is to change."})
    forget_agreements(session, held.proposal)
    turn(held, State.REJECTED, note=body)
    _say(session, held, comment.strip(), actor)
    tell(session, held, "rejected", f"asked for changes of {held.name}", actor=actor, reason=body)
    return held.proposal


def comment(session: Session, environment: str, number: int, *, body: str, actor: Actor) -> ProposalComment:
    """Say something about a proposal. It changes nothing of it, so no revision is asked for; an ended one has comments too."""
    actor.require(Role.EDITOR)
    held = hold(session, environment, number, published=True)
    if not checked_note(body, "body"):
        raise Refused({"body": "Write something."})
    said = _say(session, held, body.strip(), actor)
    tell(
        session,
        held,
        "commented",
        f"commented on {held.name}",
        actor=actor,
        reason=checked_note(body, "body"),
    )
    return said


def _reviewed(session: Session, environment: str, number: int, *, revision: int, actor: Actor) -> Held:
    """Hold a proposal for somebody who may agree to it."""
    actor.require(Role.EDITOR)
    held = hold(session, environment, number, revision=revision)
    needed = Role(held.environment.publish_role)
    actor.require(needed)
    if actor.kind != "person":
        raise Forbidden(f"{needed.label}, and a person")
    return held


def _say(session: Session, held: Held, body: str, actor: Actor) -> ProposalComment:
    said = ProposalComment(
        id=new_identifier(),
        environment=held.proposal.environment,
        number=held.proposal.number,
        author_id=actor.id,
        author_name=actor.name,
        at=now(),
        body=body.replace("\r\n", "\n"),
    )
    session.add(said)
    session.flush()
    return said
