"""Bringing the stores up to what Postgres says: level-triggered, so that it does not matter what was missed.

`reconcile` compares an environment's newest release with the store's pointer and does what is missing: objects to S3, then
changed entries to DynamoDB, then reads back and loads it as a service would, then moves the pointer in one conditional
write. Every step may be repeated. Any number of workers may do this at once; nothing but that last write decides.

No database transaction is open while the store is asked.
"""

import enum
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, func, or_, select
from sqlalchemy.orm import Session

from controlplane.db import now, transaction
from controlplane.releases import steps
from controlplane.releases.history import get_release, latest_release, snapshot_from
from controlplane.releases.models import Release, ReleaseEntry
from controlplane.releases.saved import bodies_of, body_hashes, live_entries
from controlplane.releases.steps import State, Step
from controlplane.runtime import canonical
from controlplane.runtime.errors import StoreError
from controlplane.runtime.snapshot import SCHEMA, Snapshot
from controlplane.runtime.stores import Pointer, ReleaseStore
from controlplane.runtime.validate import validate

_log = logging.getLogger(__name__)
MINIMUM_READER = 1
# Losing more than 30 % of the entries looks like an accident to a reader, unless the pointer says that it is meant. Every
# release was reviewed and published by somebody, so here it is; readers may be some releases behind.
_SHRINK_LIMIT = 0.7
_SHRINK_WINDOW = 50
_ENTRIES_READ_BACK = 25


class Outcome(enum.StrEnum):
    """What `reconcile` found or did."""

    NOTHING = "nothing"  # no release yet
    CURRENT = "current"  # the store is where it should be
    MOVED = "moved"  # it is now
    SUPERSEDED = "superseded"  # somebody else brought a newer release meanwhile
    AHEAD = "ahead"  # the store holds what this database does not know: a person must decide


class NotReadableError(Exception):
    """What was written cannot be served: it is not read back as it was, or a service would refuse it."""


@dataclass(frozen=True)
class Job:
    """Everything an export needs from the database, so that none is asked while the network is."""

    environment: str
    number: int
    sha256: str
    data: bytes
    bodies: Mapping[str, str]
    documents: Mapping[str, bytes | None]
    allow_shrink: bool


def reconcile(engine: Engine, store: ReleaseStore, environment: str, *, thorough: bool = False) -> Outcome:
    """Bring the store up to the environment's newest release. Raises what went wrong, after telling it on the release.

    `thorough` also looks whether the live snapshot is still there and whole, and heals it if not.
    """
    with transaction(engine) as session:
        latest = latest_release(session, environment)
    if latest is None:
        return Outcome.NOTHING
    pointer = _read_pointer(engine, store, latest)
    with transaction(engine) as session:
        known = None if pointer is None else session.get(Release, (environment, pointer.release))
    stranger = None if pointer is None else _stranger(pointer, latest, known)
    if stranger is not None:
        steps.tell_failed(engine, environment, latest.number, Step.COMPARE, stranger)
        return Outcome.AHEAD
    if pointer is not None and pointer.release == latest.number:
        if not thorough or _is_whole(store, pointer):
            steps.settle(engine, environment, latest.number)
            return Outcome.CURRENT
        _log.warning("%s: the live snapshot is missing or damaged; writing everything again", environment)
        known = None
    return _export(engine, store, latest.environment, latest.number, since=known.number if known else None)


def _read_pointer(engine: Engine, store: ReleaseStore, latest: Release) -> Pointer | None:
    try:
        return store.read_pointer(latest.environment)
    except StoreError as problem:
        words = steps.problem_words(problem)
        steps.tell_failed(engine, latest.environment, latest.number, Step.COMPARE, words)
        raise


def _stranger(pointer: Pointer, latest: Release, known: Release | None) -> str | None:
    """Say in words that the store holds a release this database did not make, or None.

    That is what a database restored from an older copy looks like. Writing then would put other content under numbers
    that services have seen already, so nothing is written.
    """
    if pointer.release > latest.number:
        return (
            f"The store is at release {pointer.release}, but the newest one here is {latest.number}: this database is"
            " older than what it published. Nothing is written, and services go on with what they have."
        )
    if known is not None and known.snapshot_sha256 != pointer.sha256:
        return (
            f"The store's release {pointer.release} has other content than release {pointer.release} here: the two have"
            " different histories. Nothing is written, and services go on with what they have."
        )
    return None


def _is_whole(store: ReleaseStore, pointer: Pointer) -> bool:
    try:
        data = store.read_snapshot(pointer.environment, pointer.sha256, limit=pointer.size)
    except StoreError:
        return False
    return canonical.digest(data) == pointer.sha256


def _export(
    engine: Engine, store: ReleaseStore, environment: str, number: int, *, since: int | None
) -> Outcome:
    with steps.told(engine, environment, number, Step.COMPARE) as detail:
        with transaction(engine) as session:
            job = prepare(session, environment, number, since=since)
        found = "the store is empty" if since is None else f"the store is at release {since}"
        detail["words"] = f"{found}; {_entries(job)} to write"
    with steps.told(engine, environment, number, Step.OBJECTS) as detail:
        detail["words"] = _write_objects(store, job)
    with steps.told(engine, environment, number, Step.ENTRIES) as detail:
        store.write_entries(environment, number, job.documents)
        detail["words"] = _entries(job)
    with steps.told(engine, environment, number, Step.CHECK) as detail:
        detail["words"] = _check(store, job)
    return _move_pointer(engine, store, job)


def prepare(session: Session, environment: str, number: int, *, since: int | None) -> Job:
    """Return all there is to write to bring a store from release `since` (None: from nothing) to this one."""
    release = get_release(session, environment, number)
    live = live_entries(session, environment, at=number)
    changed = list(live) if since is None else _changed(session, environment, number, since)
    bodies = bodies_of(session, live)
    written = {key: live[key] for key in changed if key in live}
    most = session.scalar(
        select(func.max(Release.entry_count)).where(
            Release.environment == environment,
            Release.number < number,
            Release.number >= number - _SHRINK_WINDOW,
        )
    )
    return Job(
        environment=environment,
        number=number,
        sha256=release.snapshot_sha256,
        data=snapshot_from(release, live, bodies),
        bodies={sha256: bodies[sha256] for sha256 in body_hashes(written) if sha256 in bodies},
        documents={key: canonical.dumps(live[key]) if key in live else None for key in changed},
        allow_shrink=most is not None and release.entry_count < most * _SHRINK_LIMIT,
    )


def _changed(session: Session, environment: str, number: int, since: int) -> Sequence[str]:
    """Return the keys that came, changed or went after `since`, up to `number`."""
    touched = or_(
        ReleaseEntry.valid_from.between(since + 1, number), ReleaseEntry.valid_to.between(since + 1, number)
    )
    query = select(ReleaseEntry.key).where(ReleaseEntry.environment == environment, touched)
    return session.scalars(query.distinct().order_by(ReleaseEntry.key)).all()


def _entries(job: Job) -> str:
    return "1 entry" if len(job.documents) == 1 else f"{len(job.documents)} entries"


def _write_objects(store: ReleaseStore, job: Job) -> str:
    for sha256, body in job.bodies.items():
        store.write_prompt(sha256, body)
    store.write_snapshot(job.environment, job.sha256, job.data)
    texts = f"{len(job.bodies)} {'text' if len(job.bodies) == 1 else 'texts'}"
    return f"{texts}, snapshot {job.sha256[:12]} of {len(job.data):,} bytes"


def _check(store: ReleaseStore, job: Job) -> str:
    """Read back what was written and load it with the code that services run; nothing invalid ever gets a pointer."""
    data = store.read_snapshot(job.environment, job.sha256, limit=len(job.data))
    if data != job.data:
        raise NotReadableError("The snapshot is not read back as it was written.")
    snapshot = Snapshot.load(data, release=job.number, environment=job.environment)
    problems = validate(snapshot.documents(), snapshot.bodies())
    if problems:
        raise NotReadableError(
            "A service would refuse it: "
            + " ".join(f"{problem.key} {problem.field}: {problem.message}" for problem in problems[:5])
        )
    for key in list(job.documents)[:_ENTRIES_READ_BACK]:
        if store.read_entry(job.environment, key, at=job.number) != job.documents[key]:
            raise NotReadableError(f"The entry {key} is not read back as it was written.")
    return f"{len(snapshot)} entries load and are valid"


def _move_pointer(engine: Engine, store: ReleaseStore, job: Job) -> Outcome:
    pointer = Pointer(
        environment=job.environment,
        release=job.number,
        sha256=job.sha256,
        size=len(job.data),
        schema=SCHEMA,
        minimum_reader=MINIMUM_READER,
        published_at=now().isoformat().replace("+00:00", "Z"),
        allow_shrink=job.allow_shrink,
    )
    steps.begin(engine, job.environment, job.number, Step.POINTER)
    try:
        moved = store.move_pointer(pointer)
    except Exception as problem:
        words = {"words": steps.problem_words(problem)}
        steps.finish(engine, job.environment, job.number, Step.POINTER, State.FAILED, words)
        raise
    if not moved:
        words = {"words": "A newer release is there already."}
        steps.finish(engine, job.environment, job.number, Step.POINTER, State.SUPERSEDED, words)
        return Outcome.SUPERSEDED
    steps.finish(engine, job.environment, job.number, Step.POINTER, State.DONE, None)
    steps.supersede_older(engine, job.environment, job.number)
    _log.info("%s: release %d is live in the store", job.environment, job.number)
    return Outcome.MOVED
