"""Making, changing, ending and publishing proposals. Agreeing to them is in `reviewing`, the clock in `schedule`.

Every function takes the session first and the actor as a keyword, flushes and never commits, and records one event.
Those that act on a proposal take its environment and number, and `revision`: what the actor's page showed.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.audit.keys_in_text import problem_of
from controlplane.db import now
from controlplane.errors import Conflict, NotFound, Refused
from controlplane.proposals.authors import authors_of
from controlplane.proposals.content import (
    Included,
    chosen_entries,
    content_digest,
    included_in,
    live_of,
    moved_of,
    rows_of,
    summary_of,
)
from controlplane.proposals.models import Proposal, ProposalComment, ProposalEntry
from controlplane.proposals.participants import (
    add_contributors,
    agreement_of,
    forget_agreements,
    participant,
)
from controlplane.proposals.states import OPEN, PUBLISHABLE, State
from controlplane.proposals.steps import Held, hold, require_state, tell, turn
from controlplane.registry.models import Environment
from controlplane.releases import words
from controlplane.releases.authority import Authority
from controlplane.releases.compose import Document
from controlplane.releases.diff import digest_of
from controlplane.releases.history import get_release
from controlplane.releases.models import Release
from controlplane.releases.services import lock_environment, reason_problem
from controlplane.releases.services import publish as publish_release
from controlplane.rollouts.settling import settle_published

LONGEST_NOTE = 2_000
_LARGEST = 2**31 - 1


class Moved(Conflict):
    """Included keys changed meanwhile; `keys` names them. `mark_conflicted` writes it down."""

    def __init__(self, environment: str, number: int, keys: Sequence[str]) -> None:
        self.environment, self.number, self.keys = environment, number, tuple(keys)
        names = ", ".join(words.entry_name(key) for key in keys)
        super().__init__(
            f"Changed meanwhile by somebody else: {names}. Nothing was published; choose what it is to be."
        )


def get_proposal(session: Session, environment: str, number: int) -> Proposal:
    """Return a proposal as it is now; raises `NotFound`."""
    found = (
        session.get(Proposal, (environment, number), populate_existing=True) if number <= _LARGEST else None
    )
    if found is None:
        raise NotFound("proposal", f"{number} of {environment}")
    return found


def comments_on(session: Session, proposal: Proposal) -> Sequence[ProposalComment]:
    """Return what was said about a proposal, the oldest first."""
    query = select(ProposalComment).where(
        ProposalComment.environment == proposal.environment, ProposalComment.number == proposal.number
    )
    return session.scalars(query.order_by(ProposalComment.id)).all()


def create(
    session: Session,
    environment: str,
    *,
    entries: Mapping[str, Document | None],
    base: int,
    reason: str,
    source: str,
    actor: Actor,
    seen: Mapping[str, str] | None = None,
) -> Proposal:
    """Make a draft that would make these documents live (None: removes the key); those that are live already are left out.

    `base` is the release that the chooser saw; `seen` has the `diff.digest_of` each document on the chooser's page, and
    one that differs from `entries` is a `Conflict`. Raises `Refused` when nothing would change, or the reason is missing.
    """
    actor.require(Role.EDITOR)
    row = lock_environment(session, environment)
    _refuse_unseen(entries, seen)
    included = _included(session, environment, entries, base=base)
    at = now()
    proposal = Proposal(
        environment=environment,
        number=row.next_proposal,
        summary=summary_of(included),
        reason=_reason(reason, row),
        source=source,
        state=State.DRAFT.value,
        base=base,
        content_sha256=content_digest({each.key: each.after for each in included}),
        author_id=actor.id,
        author_name=actor.name,
        created_at=at,
        updated_at=at,
        revision=1,
    )
    row.next_proposal += 1
    session.add(proposal)
    session.flush()
    _write_entries(session, proposal, included, actor=actor)
    held = Held(row, proposal)
    tell(session, held, "created", f"made {held.name}", actor=actor, reason=proposal.reason or None)
    return proposal


def replace_entries(
    session: Session,
    environment: str,
    number: int,
    *,
    entries: Mapping[str, Document | None],
    base: int,
    revision: int,
    actor: Actor,
    reason: str | None = None,
    seen: Mapping[str, str] | None = None,
) -> Proposal:
    """Put these entries in the place of a proposal's; whoever agreed has to agree again, and the actor cannot.

    `base`, `seen` and what is raised are as for `create`. `reason` stays as it is unless given.
    """
    actor.require(Role.EDITOR)
    held = hold(session, environment, number, revision=revision)
    require_state(held, OPEN, to="change it")
    _refuse_unseen(entries, seen)
    included = _included(session, environment, entries, base=base)
    proposal = held.proposal
    if reason is not None:
        proposal.reason = _reason(reason, held.environment)
    back = State.DRAFT if held.state in {State.DRAFT, State.REJECTED} else State.IN_REVIEW
    session.execute(
        delete(ProposalEntry).where(ProposalEntry.environment == environment, ProposalEntry.number == number)
    )
    proposal.base, proposal.summary = base, summary_of(included)
    proposal.content_sha256 = content_digest({each.key: each.after for each in included})
    forget_agreements(session, proposal)
    _write_entries(session, proposal, included, actor=actor)
    turn(held, back)
    tell(session, held, "changed", f"changed {held.name}, so nobody has agreed to it yet", actor=actor)
    return proposal


def withdraw(
    session: Session, environment: str, number: int, *, revision: int, actor: Actor, reason: str = ""
) -> Proposal:
    """End a proposal without publishing it: for whoever wrote part of it, and for whoever may publish here."""
    actor.require(Role.EDITOR)
    held = hold(session, environment, number, revision=revision)
    require_state(held, OPEN, to="withdraw it")
    own = participant(session, held.proposal, actor.id)
    if own is None or not own.contributed:
        actor.require(Role(held.environment.publish_role))
    note = checked_note(reason, "reason")
    turn(held, State.WITHDRAWN, note=note or None)
    held.proposal.ended_at, held.proposal.ended_by = held.proposal.updated_at, actor.name
    tell(session, held, "withdrawn", f"withdrew {held.name}", actor=actor, reason=note or None)
    return held.proposal


def publish(session: Session, environment: str, number: int, *, revision: int, actor: Actor) -> Release:
    """Make all entries of a proposal live, as one release.

    Raises `AlreadyPublished`, which names the release; `Moved` when an included key changed meanwhile; `Refused` when too few
    agree by the rules of now, or with every problem of what would become live.
    """
    actor.require(Role.EDITOR)
    held = hold(session, environment, number, revision=revision)
    return make_live(session, held, actor=actor)


def make_live(session: Session, held: Held, *, actor: Actor, remark: str = "") -> Release:
    """Publish a proposal that is held; `remark` is added to what the audit tells. Raises as `publish` does."""
    proposal = held.proposal
    actor.require(Role(held.environment.publish_role))
    refuse_unready(session, held, to="publish it")
    agreed = len(agreement_of(session, proposal, held.environment).given)
    included = included_in(session, proposal)
    _refuse_unlike(proposal, included)
    _refuse_moved(session, proposal, included)
    release = publish_release(
        session,
        proposal.environment,
        source={each.key: each.after for each in included if each.after is not None},
        keys=[each.key for each in included],
        reason=proposal.reason,
        actor=actor,
        source_name=proposal.source,
        authority=Authority.approved(proposal.number, agreed=agreed),
        remark=remark,
    )
    # Once more, now that the end of the audit chain is held: somebody who agreed may have lost their role meanwhile, and
    # the audit would tell of a release after the reason for it was gone.
    _refuse_disagreement(session, held)
    turn(held, State.PUBLISHED)
    proposal.release, proposal.ended_at, proposal.ended_by = release.number, release.created_at, actor.name
    session.flush()
    settle_published(session, release)
    return release


def mark_conflicted(session: Session, environment: str, number: int, *, actor: Actor) -> Proposal:
    """Write down that included keys changed meanwhile, after `Moved` was raised and its transaction rolled back.

    Does nothing where that is no longer so, or written down already.
    """
    actor.require(Role.EDITOR)
    held = hold(session, environment, number)
    keys = moved_keys(session, held.proposal)
    if keys and held.state.may_become(State.CONFLICTED) and held.state is not State.CONFLICTED:
        stop_moved(session, held, keys, actor=actor)
    return held.proposal


def stop_moved(session: Session, held: Held, keys: Sequence[str], *, actor: Actor) -> None:
    """Give a held proposal the state "conflicted", with the names of what changed meanwhile."""
    names = ", ".join(words.entry_name(key) for key in keys)
    turn(held, State.CONFLICTED, note=f"Changed meanwhile by somebody else: {names}.")
    tell(session, held, "conflicted", f"stopped {held.name}: {names} changed meanwhile", actor=actor)


def moved_keys(session: Session, proposal: Proposal) -> list[str]:
    """Return the keys of a proposal that changed in its environment since its base."""
    included = included_in(session, proposal)
    return moved_of(included, live_of(session, proposal.environment, [each.key for each in included]))


def refuse_unready(session: Session, held: Held, *, to: str) -> None:
    """Raise `Conflict` unless a proposal is in a state to go live from, `Refused` unless enough agree to it."""
    require_state(held, PUBLISHABLE, to=to)
    _refuse_disagreement(session, held)


def _refuse_disagreement(session: Session, held: Held) -> None:
    agreement = agreement_of(session, held.proposal, held.environment)
    if agreement.missing:
        raise Refused({"": f"{held.name.capitalize()} {agreement.words}."})


def checked_note(text: str, field: str) -> str:
    """Return what somebody wrote as it is kept; raises `Refused` when it is too long, or holds a key."""
    note = " ".join(text.split())
    if len(note) > LONGEST_NOTE:
        raise Refused({field: f"This has {len(note)} characters; {LONGEST_NOTE} is the most."})
    if problem := problem_of(text):
        raise Refused({field: problem})
    return note


def _included(
    session: Session, environment: str, entries: Mapping[str, Document | None], *, base: int
) -> list[Included]:
    if base:
        get_release(session, environment, base)
    return chosen_entries(session, environment, entries, base=base)


def _refuse_unseen(entries: Mapping[str, Document | None], seen: Mapping[str, str] | None) -> None:
    if seen is None:
        return
    newer = [words.entry_name(key) for key in sorted(entries) if seen.get(key) != digest_of(entries[key])]
    if newer:
        raise Conflict(
            f"Saved again since you opened this page: {', '.join(newer)}. Nothing was proposed; look at it once more."
        )


def _reason(reason: str, environment: Environment) -> str:
    kept = " ".join(reason.split())
    problem = reason_problem(kept, protected=environment.protected)
    if problem:
        raise Refused({"reason": problem})
    return kept


def _write_entries(
    session: Session, proposal: Proposal, included: Sequence[Included], *, actor: Actor
) -> None:
    session.add_all(rows_of(proposal.environment, proposal.number, included))
    session.flush()
    authors = authors_of(session, proposal.environment, included)
    add_contributors(session, proposal, authors | {actor.id: actor.name})


def _refuse_unlike(proposal: Proposal, included: Sequence[Included]) -> None:
    """Raise `Conflict` when the entries are not those that were agreed to: somebody changed them behind the services' back."""
    if content_digest({each.key: each.after for each in included}) != proposal.content_sha256:
        raise Conflict("The entries of this proposal are not what its digest says. Nothing was published.")


def _refuse_moved(session: Session, proposal: Proposal, included: Sequence[Included]) -> None:
    keys = [each.key for each in included]
    moved = moved_of(included, live_of(session, proposal.environment, keys))
    if moved:
        raise Moved(proposal.environment, proposal.number, moved)
