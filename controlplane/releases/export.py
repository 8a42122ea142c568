"""Bringing the stores up to what Postgres says: level-triggered, so that it does not matter what was missed.

`reconcile` compares an environment's newest release with the store's pointer and does what is missing: objects to S3, then
changed entries to DynamoDB, then reads back and loads it as a service would, then moves the pointer in one conditional
write. Every step may be repeated. Any number of workers may do this at once; nothing but that last write decides.

No database transaction is open while the store is asked.
"""

import enum
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Engine, func, or_, select
from sqlalchemy.orm import Session

from controlplane.db import now, transaction
from controlplane.prompts.inspection import inspector
from controlplane.releases import cards, steps, store_check
from controlplane.releases.catching_up import has_caught_up, stranger
from controlplane.releases.history import get_release, latest_release, snapshot_from
from controlplane.releases.models import Release, ReleaseEntry
from controlplane.releases.saved import bodies_by_hash, body_hashes, documents_of, hashes_named, live_texts
from controlplane.releases.steps import State, Step
from controlplane.runtime.entries import minimum_reader
from controlplane.runtime.errors import StoreError
from controlplane.runtime.lookup.cards import SHARED, seal, signed_with
from controlplane.runtime.signing import Signer, Verifier
from controlplane.runtime.snapshot import SCHEMA, Snapshot
from controlplane.runtime.stores import Pointer, ReleaseStore
from controlplane.runtime.validate import validate_raws

_log = logging.getLogger(__name__)
# Losing more than 30 % of the entries looks like an accident to a reader, unless the pointer says that it is meant. Every
# release was reviewed and published by somebody, so here it is; readers may be some releases behind.
_SHRINK_LIMIT = 0.7
_SHRINK_WINDOW = 50
_ENTRIES_READ_BACK = 25
_DRIFTS_LOGGED = 5


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
    cards: Mapping[str, bytes | None]
    """What look-up sources read, beside the entries that it is made from; see `cards.py`."""
    allow_shrink: bool
    minimum_reader: int


def reconcile(
    engine: Engine,
    store: ReleaseStore,
    environment: str,
    *,
    thorough: bool = False,
    signer: Signer | None = None,
) -> Outcome:
    """Bring the store up to the environment's newest release. Raises what went wrong, after telling it on the release.

    `thorough` also looks whether the live release is still there, whole and signed by `signer`, and heals it if not; see
    `store_check` for how much it looks at.
    """
    with transaction(engine) as session:
        latest = latest_release(session, environment)
    if latest is None:
        return Outcome.NOTHING
    pointer = _read_pointer(engine, store, latest)
    if pointer is None:
        return _export(engine, store, latest, since=None, signer=signer)
    with transaction(engine) as session:
        strange = stranger(session, pointer, latest)
        known = session.get(Release, (environment, pointer.release))
    if strange is not None:
        steps.tell_failed(engine, environment, latest.number, Step.COMPARE, strange)
        return Outcome.AHEAD
    if pointer.release == latest.number:
        if thorough and (found := _drifts(engine, store, latest, pointer)):
            _log.warning("%s: writing everything again: %s", environment, "; ".join(found[:_DRIFTS_LOGGED]))
            return _export(engine, store, latest, since=None, signer=signer)
        if thorough and signer is not None and not _is_signed(store, pointer, signer):
            _sign_again(engine, store, latest, signer)
        steps.settle(engine, environment, latest.number)
        return Outcome.CURRENT
    # Where the store's release is of another history, all that it holds is to be written over.
    same = known is not None and known.snapshot_sha256 == pointer.sha256
    since = pointer.release if same else None
    return _export(engine, store, latest, since=since, signer=signer, strange=not same)


def write_again(
    engine: Engine, store: ReleaseStore, environment: str, *, signer: Signer | None = None
) -> Outcome:
    """Write all of the environment's newest release, whatever the store has of it, as `reconcile` writes a new one.

    Nothing is written where `reconcile` would answer `AHEAD`. Raises what went wrong, after telling it on the release.
    """
    with transaction(engine) as session:
        latest = latest_release(session, environment)
    if latest is None:
        return Outcome.NOTHING
    pointer = _read_pointer(engine, store, latest)
    with transaction(engine) as session:
        if pointer is not None and stranger(session, pointer, latest) is not None:
            return Outcome.AHEAD
    return _export(engine, store, latest, since=None, signer=signer, strange=True)


def _read_pointer(engine: Engine, store: ReleaseStore, latest: Release) -> Pointer | None:
    try:
        return store.read_pointer(latest.environment)
    except StoreError as problem:
        words = steps.problem_words(problem)
        steps.tell_failed(engine, latest.environment, latest.number, Step.COMPARE, words)
        raise


def _drifts(engine: Engine, store: ReleaseStore, latest: Release, pointer: Pointer) -> list[str]:
    """Return what a look at a sample finds. Signatures are looked at by who has the key to make them."""
    with transaction(engine) as session:
        wanted = store_check.expected(session, latest.environment, latest.number)
    try:
        return store_check.drifts(store, wanted, pointer, verifier=Verifier(), sample=store_check.SAMPLE)
    except StoreError as problem:
        words = steps.problem_words(problem)
        steps.tell_failed(engine, latest.environment, latest.number, Step.COMPARE, words)
        raise


def _is_signed(store: ReleaseStore, pointer: Pointer, signer: Signer) -> bool:
    """Say whether pointer and cards bear this key's signature; one key makes one signature of the same bytes."""
    return signer.sign(pointer) == pointer and _has_cards(store, pointer.environment, pointer.release, signer)


def _sign_again(engine: Engine, store: ReleaseStore, latest: Release, signer: Signer) -> None:
    """Put this key's signature under the live release: keys were turned on or changed, or somebody changed the pointer.

    What is signed comes from the database, as for a new release: nothing that only the store says gets a signature. The
    release went live when it did, so its steps are told of only when this fails.
    """
    environment, number = latest.environment, latest.number
    _log.info("%s: release %d is signed again, with the key %s", environment, number, signer.key_id)
    try:
        with transaction(engine) as session:
            job = prepare(session, environment, number, since=number, carded=False, signer=signer)
        _write_entries(store, job)
        _check(store, job)
        store.replace_signature(
            signer.sign(_pointer(job))
        )  # where a newer release came meanwhile, that is signed
    except Exception as problem:
        steps.tell_failed(engine, environment, number, Step.CHECK, steps.problem_words(problem))
        raise


def _export(
    engine: Engine,
    store: ReleaseStore,
    release: Release,
    *,
    since: int | None,
    signer: Signer | None,
    strange: bool = False,
) -> Outcome:
    """Bring a release to the store, which is at release `since`; None writes everything, whatever is there.

    `strange` is for a store that may hold what another history wrote: it is listed as a whole, and what should not be
    there is ended. Every other store has nothing of the kind, and is not listed: that reads all of a table.
    """
    environment, number = release.environment, release.number
    with steps.told(engine, environment, number, Step.COMPARE) as detail:
        carded = since is not None and _has_cards(store, environment, since, signer)
        with transaction(engine) as session:
            job = prepare(session, environment, number, since=since, carded=carded, signer=signer)
        if strange:
            job = _without_leftovers(store, job)
        found = "everything is written" if since is None else f"the store is at release {since}"
        detail["words"] = f"{found}; {_entries(job)} to write"
    with steps.told(engine, environment, number, Step.OBJECTS) as detail:
        detail["words"] = _write_objects(store, job)
    with steps.told(engine, environment, number, Step.ENTRIES) as detail:
        _write_entries(store, job)
        detail["words"] = _entries(job)
    with steps.told(engine, environment, number, Step.CHECK) as detail:
        detail["words"] = _check(store, job)
    return _move_pointer(engine, store, job, signer, again=since is None)


def _without_leftovers(store: ReleaseStore, job: Job) -> Job:
    """Add that keys are gone which only another history knows."""
    held = store_check.leftovers(store, job.environment, job.number, {*job.documents, *job.cards})
    return replace(job, documents={**job.documents, **dict.fromkeys(held)})


def prepare(
    session: Session,
    environment: str,
    number: int,
    *,
    since: int | None,
    carded: bool,
    signer: Signer | None = None,
) -> Job:
    """Return all there is to write to bring a store from release `since` (None: from nothing) to this one.

    `carded` says whether the store has that release's cards, signed with this key; if not, all of them are written.
    """
    release = get_release(session, environment, number)
    texts = live_texts(session, environment, at=number)
    touched = None if since is None else _touched(session, environment, number, since)
    changed = sorted(texts if touched is None else {key for key, _ in touched})
    bodies = bodies_by_hash(session, hashes_named(texts))
    written = documents_of(texts, changed)
    return Job(
        environment=environment,
        number=number,
        sha256=release.snapshot_sha256,
        data=snapshot_from(release, texts, bodies),
        bodies={sha256: bodies[sha256] for sha256 in body_hashes(written) if sha256 in bodies},
        documents={key: texts.get(key) for key in changed},
        cards=_sealed(cards.cards(texts, touched if carded else None), environment, number, signer),
        allow_shrink=_may_shrink(session, release),
        minimum_reader=minimum_reader(texts),
    )


def _may_shrink(session: Session, release: Release) -> bool:
    earliest = release.number - _SHRINK_WINDOW
    most = session.scalar(
        select(func.max(Release.entry_count)).where(
            Release.environment == release.environment,
            Release.number < release.number,
            Release.number >= earliest,
        )
    )
    if most is not None and release.entry_count < most * _SHRINK_LIMIT:
        return True
    return has_caught_up(session, release.environment, since=earliest, until=release.number)


def _touched(session: Session, environment: str, number: int, since: int) -> list[tuple[str, bytes]]:
    """Return the keys that came, changed or went after `since`, up to `number`, with each document they had meanwhile."""
    touched = or_(
        ReleaseEntry.valid_from.between(since + 1, number), ReleaseEntry.valid_to.between(since + 1, number)
    )
    query = select(ReleaseEntry.key, ReleaseEntry.document).where(
        ReleaseEntry.environment == environment, touched
    )
    rows = session.execute(query.order_by(ReleaseEntry.key, ReleaseEntry.valid_from))
    return [(key, document.encode()) for key, document in rows]


def _sealed(
    made: cards.Cards, environment: str, number: int, signer: Signer | None
) -> dict[str, bytes | None]:
    problems = cards.problems(made)
    if problems:
        raise NotReadableError(" ".join(problems.values()))
    return {
        key: None
        if card is None
        else seal(card, environment=environment, key=key, release=number, signer=signer)
        for key, card in made.items()
    }


def _has_cards(store: ReleaseStore, environment: str, at: int, signer: Signer | None) -> bool:
    """Say whether cards were written, and with this key: those of a store filled by an older worker are to be made."""
    shared = store.read_entry(environment, SHARED, at=at)
    return shared is not None and (signer is None or signed_with(shared) == signer.key_id)


def _write_entries(store: ReleaseStore, job: Job) -> None:
    """Write what changed; last the card that tells that all cards are there, or a kill in between would leave some out."""
    first = {key: card for key, card in job.cards.items() if key != SHARED}
    store.write_entries(job.environment, job.number, {**job.documents, **first})
    if SHARED in job.cards:
        store.write_entries(job.environment, job.number, {SHARED: job.cards[SHARED]})


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
    bodies = snapshot.bodies()
    problems = validate_raws(snapshot.raws, bodies, inspect=inspector(bodies))
    if problems:
        raise NotReadableError(
            "A service would refuse it: "
            + " ".join(f"{problem.key} {problem.field}: {problem.message}" for problem in problems[:5])
        )
    written = [*job.documents.items()][:_ENTRIES_READ_BACK] + [*job.cards.items()][:_ENTRIES_READ_BACK]
    for key, document in written:
        if store.read_entry(job.environment, key, at=job.number) != document:
            raise NotReadableError(f"The entry {key} is not read back as it was written.")
    return f"{len(snapshot)} entries load and are valid"


def _pointer(job: Job) -> Pointer:
    return Pointer(
        environment=job.environment,
        release=job.number,
        sha256=job.sha256,
        size=len(job.data),
        schema=SCHEMA,
        minimum_reader=job.minimum_reader,
        published_at=now().isoformat().replace("+00:00", "Z"),
        allow_shrink=job.allow_shrink,
    )


def _put_pointer(store: ReleaseStore, pointer: Pointer, *, again: bool) -> bool:
    """Move the pointer; `again` also writes the one that names this release already, in case it says something wrong."""
    if not store.move_pointer(pointer):
        return False
    if again:
        live = store.read_pointer(pointer.environment)
        if live is not None and (pointer.key_id or not live.key_id):  # a signature is never taken away
            store.replace_signature(pointer)
    return True


def _move_pointer(
    engine: Engine, store: ReleaseStore, job: Job, signer: Signer | None, *, again: bool
) -> Outcome:
    pointer = _pointer(job)
    steps.begin(engine, job.environment, job.number, Step.POINTER)
    try:
        moved = _put_pointer(store, signer.sign(pointer) if signer else pointer, again=again)
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
