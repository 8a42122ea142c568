"""Moving gates: which share of an interaction's calls goes through configuration lookup at all."""

from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.errors import NotFound, Refused
from controlplane.registry.documents import gate_document
from controlplane.registry.models import Interaction
from controlplane.releases.authority import MOVE
from controlplane.releases.models import Release
from controlplane.releases.services import lock_environment
from controlplane.rollouts import documents, standing, wording
from controlplane.rollouts.moving import check_share, publish, refuse_moved
from controlplane.rollouts.ranges import share_words
from controlplane.runtime.bucketing import size
from controlplane.runtime.entries import gate_key, interaction_key


def set_gate(
    session: Session,
    environment: str,
    interaction: str,
    *,
    share: int,
    reason: str,
    actor: Actor,
    base: int | None = None,
) -> Release:
    """Let this share of units through configuration lookup; the rest take the legacy path. No gate lets everyone in."""
    actor.require(Role.PUBLISHER)
    check_share(share)
    row = session.get(Interaction, interaction)
    if row is None:
        raise NotFound("interaction", interaction)
    lock_environment(session, environment)
    live = standing.live_entry(session, environment, gate_key(interaction))
    refuse_moved(session, environment, f"The gate of {interaction}", live, base)
    if standing.live_entry(session, environment, interaction_key(interaction)).document is None:
        raise Refused({"": f"{interaction} is not live in {environment} yet: publish it there first."})
    document = live.document or gate_document(row)
    before = size(document["ranges"])
    if before == share:
        raise Refused({"share": f"It is at {share_words(share)} already."})
    verb = wording.move_verb(before, share)
    sentence = (
        f"{verb} the gate of {interaction} from {share_words(before)} to {share_words(share)} of "
        f"{wording.units_of(document)} in {environment}: {wording.gate_effect(share)}"
    )
    return publish(
        session,
        environment,
        gate_key(interaction),
        documents.gate_with_share(document, share),
        told=(f"gate.{verb}", sentence),
        on=("gate", interaction),
        reason=reason,
        actor=actor,
        authority=MOVE,
    )
