"""When the store holds what this database did not make: noticing it, and going on from there when a person says so.

That is what restoring an older copy of Postgres looks like. The numbers after that copy were given out once already, and
services have seen them; writing other content under them would leave some with the one and some with the other. So
nothing is written until somebody decides: restore a newer copy, or have this database's state go out under a number
that nobody has seen.
"""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.audit import services as audit
from controlplane.db import now
from controlplane.errors import Conflict, Refused
from controlplane.releases.history import LARGEST, latest_release
from controlplane.releases.models import Release
from controlplane.releases.services import CHANNEL, lock_environment, reason_problem
from controlplane.runtime.stores import Pointer

_SOURCE = "this database, over the store's release "


def stranger(session: Session, pointer: Pointer, latest: Release | None) -> str | None:
    """Say in words that the store holds a release this database did not make, or None.

    `latest` is the environment's newest release here. One that went out over this very pointer by `catch_up` settles it.
    """
    newest = 0 if latest is None else latest.number
    if pointer.release > newest:
        return (
            f"The store is at release {pointer.release}, but the newest one here is {newest}: this database is"
            " older than what it published. Nothing is written, and services go on with what they have. Restore a newer"
            f" copy, or go on from here with ./run cli catch-up {pointer.environment}"
        )
    known = session.get(Release, (pointer.environment, pointer.release))
    if known is not None and known.snapshot_sha256 == pointer.sha256:
        return None
    if _goes_over(session, pointer):
        return None
    return (
        f"The store's release {pointer.release} has other content than release {pointer.release} here: the two have"
        " different histories. Nothing is written, and services go on with what they have. Restore the copy that made"
        f" it, or go on from here with ./run cli catch-up {pointer.environment}"
    )


def catch_up(session: Session, environment: str, *, pointer: Pointer, reason: str, actor: Actor) -> Release:
    """Make what is live here a new release, with a number above all that the store has seen; readers follow to it.

    `pointer` is the store's, just read. The numbers between stay unused. Raises `Conflict` when the store is not ahead and
    has the same history, and `Refused` for a reason that is none or when there is nothing here that could go out.
    """
    actor.require(Role.ADMIN)
    counter = lock_environment(session, environment)
    latest = latest_release(session, environment)
    if stranger(session, pointer, latest) is None:
        raise Conflict(
            f"{environment} need not catch up: the store is at release {pointer.release}, which is of this database's"
            " own history, or a release that goes over it waits for the worker."
        )
    reason = " ".join(reason.split())
    if problem := reason_problem(reason, protected=counter.protected):
        raise Refused({"reason": problem})
    if latest is None:
        raise Refused(
            {"": f"{environment} has no release here that could go out: publish one after restoring a copy."}
        )
    number = max(counter.next_release, pointer.release + 1)
    if number > LARGEST:
        raise Refused(
            {
                "": f"The store's pointer names release {pointer.release}, which nobody can go above: no worker wrote"
                " that. Take the pointer away, and the worker writes its own."
            }
        )
    counter.next_release = number + 1
    release = Release(
        environment=environment,
        number=number,
        source=_source(pointer),
        summary=f"the content of release {latest.number}, over the store's release {pointer.release}",
        reason=reason,
        author_id=actor.id,
        author_name=actor.name,
        created_at=now(),
        snapshot_sha256=latest.snapshot_sha256,
        snapshot_size=latest.snapshot_size,
        entry_count=latest.entry_count,
    )
    session.add(release)
    session.flush()
    _record(session, release, latest, pointer, actor=actor)
    session.execute(select(func.pg_notify(CHANNEL, environment)))
    return release


def has_caught_up(session: Session, environment: str, *, since: int, until: int) -> bool:
    """Say whether one of these releases went out over another history: what readers have may be of any size."""
    query = select(Release.number).where(
        Release.environment == environment,
        Release.number.between(since, until),
        Release.source.startswith(_SOURCE, autoescape=True),
    )
    return session.scalar(query.limit(1)) is not None


def _goes_over(session: Session, pointer: Pointer) -> bool:
    query = select(Release.number).where(
        Release.environment == pointer.environment,
        Release.number > pointer.release,
        Release.source == _source(pointer),
    )
    return session.scalar(query.limit(1)) is not None


def _source(pointer: Pointer) -> str:
    return f"{_SOURCE}{pointer.release} ({pointer.sha256[:12]})"


def _record(session: Session, release: Release, latest: Release, pointer: Pointer, *, actor: Actor) -> None:
    audit.record(
        session,
        actor=actor,
        action="release.caught_up",
        object_kind="release",
        object_key=f"{release.environment}/{release.number}",
        sentence=(
            f"had {release.environment} go on as release {release.number} with the content of release {latest.number},"
            f" over release {pointer.release} of the store, which this database did not make"
        ),
        environment=release.environment,
        reason=release.reason or None,
        before={"store": {"release": pointer.release, "sha256": pointer.sha256}},
        after={"store": {"release": release.number, "sha256": release.snapshot_sha256}},
        release=release.number,
    )
