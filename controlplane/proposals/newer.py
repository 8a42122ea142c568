"""A proposal of what was saved, and what was saved of it since: taken in by its author after changes were asked for."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor
from controlplane.errors import Refused
from controlplane.proposals.content import Included, included_in
from controlplane.proposals.models import Proposal
from controlplane.proposals.services import get_proposal, moved_keys, replace_entries
from controlplane.releases import words
from controlplane.releases.diff import same
from controlplane.releases.history import latest_release
from controlplane.releases.saved import saved_entries

SAVED = "saved"


def saved_since(session: Session, proposal: Proposal, included: Sequence[Included]) -> list[str]:
    """Return the names of the entries that were saved once more since they were proposed."""
    if proposal.source != SAVED:
        return []
    saved, _ = saved_entries(session, proposal.environment)
    return [words.entry_name(each.key) for each in included if not same(saved.get(each.key), each.after)]


def take_in(session: Session, environment: str, number: int, *, revision: int, actor: Actor) -> Proposal:
    """Put what is saved now in the place of what was proposed: whoever agreed has to agree again.

    Raises what `services.replace_entries` does, and `Refused` where others changed an entry meanwhile: what is saved knows
    nothing of theirs, so somebody has to choose first.
    """
    proposal = get_proposal(session, environment, number)
    if moved_keys(session, proposal):
        raise Refused(
            {"": "Something it changes was changed by others meanwhile: choose what shall hold first."}
        )
    saved, _ = saved_entries(session, environment)
    latest = latest_release(session, environment)
    return replace_entries(
        session,
        environment,
        number,
        entries={each.key: saved.get(each.key) for each in included_in(session, proposal)},
        base=latest.number if latest else 0,
        revision=revision,
        actor=actor,
    )
