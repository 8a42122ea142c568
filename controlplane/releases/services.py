"""Making releases: publish what is saved, move single entries, roll back. Everything that becomes live comes through here.

One transaction: the environment's counter under a row lock, the release, the entries that changed, the audit event, and a
notice to the workers. Nothing here touches the network. A transaction that also writes other audit events must publish
first: every publisher takes the counter, then the end of the audit chain, and the other order could deadlock.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor
from controlplane.audit import services as audit
from controlplane.audit.keys_in_text import problem_of
from controlplane.db import now
from controlplane.errors import Conflict, NotFound, Refused
from controlplane.prompts.render_pool import shared
from controlplane.registry.models import Environment
from controlplane.releases import cards, effect, trials, words
from controlplane.releases.authority import DIRECT, Authority, Way
from controlplane.releases.compose import Document, Entries, compose
from controlplane.releases.composed import Composed
from controlplane.releases.content import Content, Live, live_content
from controlplane.releases.diff import EntryChange, diff, digest_of
from controlplane.releases.history import get_release
from controlplane.releases.models import Release, ReleaseEntry
from controlplane.releases.saved import documents_of, live_entries, saved_entries
from controlplane.runtime import canonical
from controlplane.runtime.validate import Problem

CHANNEL = "controlplane_release"
REASON_LENGTH = range(10, 501)
# An audit event of more changes than these keeps digests; the release itself has the documents for ever.
_DOCUMENTS_IN_AN_EVENT = 200


@dataclass(frozen=True)
class _Told:
    """How the audit tells of a release: the event's action, its object (the release itself, unless given), its words."""

    action: str
    sentence: Callable[[int, Sequence[EntryChange]], str]
    object_kind: str | None = None
    object_key: str | None = None


def unpublished(session: Session, environment: str) -> list[EntryChange]:
    """Return what is saved but not live in this environment, with the saved state as "after"."""
    saved, _ = saved_entries(session, environment)
    return diff(live_entries(session, environment), saved)


def lock_environment(session: Session, environment: str) -> Environment:
    """Hold the environment's counter to the end of the transaction: nobody else makes a release there meanwhile.

    For services that work out a new document from the live one, as moving a share does. Raises `NotFound`.
    """
    query = select(Environment).where(Environment.code == environment).with_for_update()
    found = session.scalar(query.execution_options(populate_existing=True))
    if found is None or found.archived_at is not None:
        raise NotFound("environment", environment)
    return found


def publish(
    session: Session,
    environment: str,
    *,
    source: Entries,
    keys: Iterable[str],
    reason: str,
    actor: Actor,
    source_name: str,
    base: int | None = None,
    authority: Authority = DIRECT,
    remark: str = "",
) -> Release:
    """Make the chosen keys live as `source` has them, as a new release; a chosen key it lacks is removed.

    `base` is the release that the chooser saw: a chosen key that moved since is a `Conflict`. Raises `Refused` with every
    problem of what would become live, and where others have to agree first and `authority` is not their agreement.
    `remark` is added to what the audit tells.
    """
    told = _Told(
        "release.published",
        lambda number, changes: (
            f"published release {number} of {environment}: {words.release_sentence(changes)}{remark}"
        ),
    )
    return _publish(
        session,
        environment,
        source=source,
        keys=keys,
        reason=reason,
        actor=actor,
        source_name=source_name,
        base=base,
        told=told,
        authority=authority,
    )


def publish_saved(
    session: Session,
    environment: str,
    *,
    keys: Iterable[str],
    seen: Mapping[str, str],
    reason: str,
    actor: Actor,
    base: int,
) -> Release:
    """Publish the chosen keys as they are saved, if that is still what the chooser saw.

    `seen` has for each key the `diff.digest_of` what the page showed: nothing goes live that nobody looked at.
    """
    DIRECT.check(lock_environment(session, environment), actor)
    source, _ = saved_entries(session, environment)
    chosen = list(keys)
    newer = [words.entry_name(key) for key in chosen if seen.get(key) != digest_of(source.get(key))]
    if newer:
        raise Conflict(
            f"Saved again since you opened this page: {', '.join(newer)}. Nothing was published; look at it once more."
        )
    return publish(
        session,
        environment,
        source=source,
        keys=chosen,
        reason=reason,
        actor=actor,
        source_name="saved",
        base=base,
    )


def publish_entries(
    session: Session,
    environment: str,
    changes: Mapping[str, Document | None],
    *,
    reason: str,
    actor: Actor,
    action: str,
    sentence: str,
    source_name: str,
    base: int | None = None,
    object_kind: str | None = None,
    object_key: str | None = None,
    authority: Authority = DIRECT,
) -> Release:
    """Make these documents live (None removes the key), told in the audit as the caller says: for rollouts and gates."""
    return _publish(
        session,
        environment,
        source={key: document for key, document in changes.items() if document is not None},
        keys=changes,
        reason=reason,
        actor=actor,
        source_name=source_name,
        base=base,
        told=_Told(action, lambda _number, _changes: sentence, object_kind, object_key),
        authority=authority,
    )


def roll_back(
    session: Session,
    environment: str,
    *,
    to: int,
    reason: str,
    actor: Actor,
    keys: Iterable[str] | None = None,
    base: int | None = None,
    authority: Authority = DIRECT,
) -> Release:
    """Make the chosen keys (None: all that differ) live again as they were at release `to`, as a new, higher release.

    As an emergency (`authority`) it asks for nobody's agreement, and is looked at afterwards.
    """
    authority.check(lock_environment(session, environment), actor)
    get_release(session, environment, to)
    earlier = live_entries(session, environment, at=to)
    if keys is None:
        keys = [change.key for change in diff(live_entries(session, environment), earlier)]
    told = _Told(
        "release.rolled_back",
        lambda number, changes: (
            f"rolled {environment} back to release {to}, as release {number}: {words.release_sentence(changes)}"
        ),
    )
    return _publish(
        session,
        environment,
        source=earlier,
        keys=keys,
        reason=reason,
        actor=actor,
        source_name=f"release {to}",
        base=base,
        told=told,
        authority=authority,
        takes_back=True,
    )


def _publish(
    session: Session,
    environment: str,
    *,
    source: Entries,
    keys: Iterable[str],
    reason: str,
    actor: Actor,
    source_name: str,
    base: int | None,
    told: _Told,
    authority: Authority,
    takes_back: bool = False,
) -> Release:
    counter = lock_environment(session, environment)
    authority.check(counter, actor)
    chosen = sorted(set(keys))
    _refuse_moved(session, environment, chosen, base)
    live = live_content(session, environment)
    before = documents_of(live.content.texts, chosen)
    changes = diff(before, compose(before, source, chosen))
    after, unwritten = live.content.changed(session, changes)
    emergency = authority.is_emergency_in(counter)
    reason = _checked(
        changes, after, live, unwritten, reason=reason, protected=counter.protected or emergency
    )
    # What takes something back was live before and is wanted at once; a sample that was added since must not stand in the
    # way of whoever mends an incident.
    if not takes_back and authority.way is not Way.EMERGENCY:
        trials.refuse_failing(session, shared(), Composed(changes, live, after, unwritten))
    release = _new_release(counter, after, summary=words.release_sentence(changes), source_name=source_name)
    release.reason, release.author_id, release.author_name = reason, actor.id, actor.name
    release.proposal, release.emergency = authority.proposal, emergency
    session.add(release)
    session.flush()
    _move_entries(session, release, changes, after)
    _record(session, release, changes, counter, actor=actor, told=told, authority=authority)
    # Delivered when, and only if, the transaction commits; the worker's clock makes up for a lost one.
    session.execute(select(func.pg_notify(CHANNEL, environment)))
    return release


def _refuse_moved(session: Session, environment: str, keys: Sequence[str], base: int | None) -> None:
    if base is None:
        return
    query = (
        select(ReleaseEntry.key, func.max(func.coalesce(ReleaseEntry.valid_to, ReleaseEntry.valid_from)))
        .where(
            ReleaseEntry.environment == environment,
            ReleaseEntry.key.in_(keys),
            or_(ReleaseEntry.valid_from > base, ReleaseEntry.valid_to > base),
        )
        .group_by(ReleaseEntry.key)
        .order_by(ReleaseEntry.key)
    )
    moved = [f"{words.entry_name(key)} (release {number})" for key, number in session.execute(query)]
    if moved:
        raise Conflict(
            f"Changed meanwhile by somebody else: {', '.join(moved)}. Nothing was published; look at what is live now."
        )


def _checked(
    changes: Sequence[EntryChange],
    after: Content,
    live: Live,
    unwritten: Sequence[Problem],
    *,
    reason: str,
    protected: bool,
) -> str:
    """Return the reason as it is kept, or raise `Refused` with everything that is wrong."""
    errors: dict[str, str] = {}
    reason = " ".join(reason.split())
    problem = reason_problem(reason, protected=protected)
    if problem:
        errors["reason"] = problem
    if not changes:
        errors["entries"] = "Nothing would change: what you chose is live already."
    elif not after.texts and not unwritten:
        errors["entries"] = "Nothing would be left: an environment cannot be emptied."
    else:
        errors |= _in_words([*unwritten, *after.problems(after=live)])
    if not errors:
        errors |= cards.too_large(after.texts, [change.key for change in changes])
    if errors:
        raise Refused(errors)
    return reason


def reason_problem(reason: str, *, protected: bool) -> str | None:
    """Return what is wrong with a reason in this kind of environment, in words, or None; an emergency has one as well."""
    shortest, longest = REASON_LENGTH[0], REASON_LENGTH[-1]
    if len(reason) > longest:
        return f"The reason has {len(reason)} characters; {longest} is the most."
    if protected and len(reason) < shortest:
        return f"Say why in {shortest} to {longest} characters: this environment asks for it."
    return problem_of(reason)


def _in_words(problems: Iterable[Problem]) -> dict[str, str]:
    """Return problems of what would become live by their place; the same check runs in the worker and in every reader."""
    errors: dict[str, str] = {}
    for problem in problems:
        place = f"{problem.key} {problem.field}".strip()
        message = f"{words.entry_name(problem.key)}: {problem.message}" if problem.key else problem.message
        errors[place] = f"{errors[place]} {message}" if place in errors else message
    return errors


def _new_release(
    counter: Environment,
    after: Content,
    *,
    summary: str,
    source_name: str,
) -> Release:
    """Take the next number. The row is locked, so no two releases share one, and a rolled back transaction leaves no gap."""
    number = counter.next_release
    counter.next_release = number + 1
    return Release(
        environment=counter.code,
        number=number,
        source=source_name,
        summary=summary,
        created_at=now(),
        snapshot_sha256=after.sha256,
        snapshot_size=len(after.data),
        entry_count=len(after.texts),
    )


def _move_entries(session: Session, release: Release, changes: Sequence[EntryChange], after: Content) -> None:
    """Write the delta: the changed keys' live rows end with this release, their new documents begin with it."""
    ended = [change.key for change in changes if change.before is not None]
    session.execute(
        update(ReleaseEntry)
        .where(
            ReleaseEntry.environment == release.environment,
            ReleaseEntry.key.in_(ended),
            ReleaseEntry.valid_to.is_(None),
        )
        .values(valid_to=release.number)
        .execution_options(synchronize_session=False)
    )
    session.add_all(
        _entry(release, change.key, after.texts[change.key]) for change in changes if change.after is not None
    )
    session.flush()


def _entry(release: Release, key: str, data: bytes) -> ReleaseEntry:
    return ReleaseEntry(
        environment=release.environment,
        key=key,
        valid_from=release.number,
        document=data.decode(),
        digest=canonical.digest(data),
    )


def _record(
    session: Session,
    release: Release,
    changes: Sequence[EntryChange],
    counter: Environment,
    *,
    actor: Actor,
    told: _Told,
    authority: Authority,
) -> None:
    audit.record(
        session,
        actor=actor,
        action=told.action,
        object_kind=told.object_kind or "release",
        object_key=told.object_key or f"{release.environment}/{release.number}",
        sentence=told.sentence(release.number, changes) + effect.in_words(changes),
        environment=release.environment,
        reason=release.reason or None,
        before=_by_key((change.key, change.before) for change in changes),
        after=_by_key((change.key, change.after) for change in changes),
        release=release.number,
        proposal=release.proposal,
        emergency=release.emergency,
        effect_share=effect.share_moved(changes),
        approvals=authority.agreed,
        approvals_needed=authority.asked_in(counter),
    )


def _by_key(pairs: Iterable[tuple[str, Document | None]]) -> dict[str, Any]:
    found = {key: document for key, document in pairs if document is not None}
    if len(found) <= _DOCUMENTS_IN_AN_EVENT:
        return dict(found)
    return {key: {"sha256": canonical.digest(canonical.dumps(document))} for key, document in found.items()}
