"""Included entries that somebody else made live meanwhile, and what a proposal becomes once each is decided."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.errors import Conflict, Refused
from controlplane.proposals import decisions, services
from controlplane.proposals.choosing import own_version
from controlplane.proposals.content import included_in, live_of, moved_of
from controlplane.proposals.decisions import Sent
from controlplane.proposals.merge import Merged, merge, resolve
from controlplane.proposals.models import Proposal
from controlplane.proposals.saving import hold_what_may_be_saved, with_a_version
from controlplane.proposals.steps import hold
from controlplane.releases import words
from controlplane.releases.compose import Document
from controlplane.releases.diff import digest_of, same
from controlplane.releases.history import latest_release
from controlplane.releases.models import Release, ReleaseEntry


@dataclass(frozen=True)
class EntryConflict:
    """An entry that moved since the proposal's base: what was live then, what is now, what is proposed, both together.

    `release` is the one that moved it.
    """

    key: str
    merged: Merged
    release: Release | None

    @property
    def name(self) -> str:
        """What people call the entry."""
        return words.entry_name(self.key)

    @property
    def digest(self) -> str:
        """By what a form knows again what was live when its page was made."""
        return digest_of(self.merged.theirs)


def conflicts_of(session: Session, proposal: Proposal) -> list[EntryConflict]:
    """Return the included entries whose live document is neither what the proposal was made from nor what it proposes."""
    included = {each.key: each for each in included_in(session, proposal)}
    live = live_of(session, proposal.environment, included)
    moved = moved_of(included.values(), live)
    releases = _moved_by(session, proposal.environment, moved)
    return [
        EntryConflict(key, merge(included[key].before, live.get(key), included[key].after), releases.get(key))
        for key in moved
    ]


def decide(
    session: Session,
    environment: str,
    number: int,
    *,
    revision: int,
    seen: Mapping[str, str],
    sent: Mapping[str, Sent],
    actor: Actor,
) -> Proposal:
    """Put what was decided into a proposal, compared with what is live now; whoever agreed has to agree again.

    `seen` has for each entry what was live on the actor's page. Raises `Conflict` when one moved again, `TextRefused`,
    and `Refused` when nothing would be left to propose.
    """
    actor.require(Role.EDITOR)
    proposal = hold(session, environment, number, revision=revision).proposal
    conflicts = conflicts_of(session, proposal)
    again = [each.name for each in conflicts if seen.get(each.key) != each.digest]
    if again:
        raise Conflict(
            f"Changed again since you opened this page: {', '.join(again)}. Nothing was done; what you chose is still here."
        )
    hold_what_may_be_saved(session, {each.key: each.merged for each in conflicts})
    reason = f"Put together for proposal {number} of {environment}: {proposal.reason}"
    entries: dict[str, Document | None] = {each.key: each.after for each in included_in(session, proposal)}
    for each in conflicts:
        entries[each.key] = _decided(
            session, each, sent.get(each.key, Sent({}, None)), reason=reason, actor=actor
        )
    latest = latest_release(session, environment)
    _refuse_nothing(session, environment, entries)
    return services.replace_entries(
        session,
        environment,
        number,
        entries=entries,
        base=latest.number if latest else 0,
        revision=revision,
        actor=actor,
    )


def _decided(
    session: Session, conflict: EntryConflict, sent: Sent, *, reason: str, actor: Actor
) -> Document | None:
    merged = conflict.merged
    body = decisions.own_text(sent)
    if body is not None:
        return own_version(session, conflict.key, body, reason=reason, actor=actor)
    document = resolve(merged, decisions.sides_of(sent, merged, otherwise="ours"))
    if same(document, merged.ours) or same(document, merged.theirs):
        return document
    return with_a_version(session, conflict.key, document, reason=reason, actor=actor)


def _refuse_nothing(session: Session, environment: str, entries: Mapping[str, Document | None]) -> None:
    live = live_of(session, environment, entries)
    if all(same(document, live.get(key)) for key, document in entries.items()):
        raise Refused(
            {
                "": "With these choices all of it is live already. Choose something of yours, or withdraw the proposal."
            }
        )


def _moved_by(session: Session, environment: str, keys: list[str]) -> dict[str, Release]:
    """Return the release that last moved each of these keys."""
    moved = func.max(func.coalesce(ReleaseEntry.valid_to, ReleaseEntry.valid_from))
    query = (
        select(ReleaseEntry.key, moved)
        .where(ReleaseEntry.environment == environment, ReleaseEntry.key.in_(keys))
        .group_by(ReleaseEntry.key)
    )
    numbers = dict(session.execute(query).all())
    query_releases = select(Release).where(
        Release.environment == environment, Release.number.in_(set(numbers.values()))
    )
    releases = {release.number: release for release in session.scalars(query_releases)}
    return {key: releases[number] for key, number in numbers.items()}
