"""What a store holds against what Postgres says it should: every difference in a line.

`verify-store` asks for everything. The worker's thorough look asks for the pointer, the snapshot and a sample: all of
10,000 entries would be 10,000 reads a minute for each environment. What somebody emptied or restored shows in any
sample; a single lost entry of 10,000 is found within hours, and `verify-store` finds it at once.
"""

import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from controlplane.db import transaction
from controlplane.releases import cards
from controlplane.releases.catching_up import stranger
from controlplane.releases.history import get_release, latest_release, snapshot_from
from controlplane.releases.models import Release
from controlplane.releases.saved import bodies_by_hash, hashes_named, live_texts
from controlplane.runtime.entries import minimum_reader
from controlplane.runtime.errors import SnapshotRefused, StoreError, StoreUnavailable
from controlplane.runtime.lookup.cards import SHARED, unseal
from controlplane.runtime.signing import Verifier
from controlplane.runtime.snapshot import SCHEMA
from controlplane.runtime.stores import Pointer, PointerUnreadableError, PrunableStore, ReleaseStore
from controlplane.runtime.switches import SwitchesRefused, parse

T = TypeVar("T")
_AT_ONCE: Final = 8
SAMPLE: Final = 50
"""Entries and cards, and as many texts, that a thorough look reads. DynamoDB bills some 4 million reads a month for it
with entries of up to 4 KB: about half a dollar for each environment."""


@dataclass(frozen=True)
class Expected:
    """What a store holds of a release when it is right."""

    release: Release
    data: bytes
    texts: Mapping[str, bytes]
    bodies: Mapping[str, str]
    cards: Mapping[str, cards.Card]

    @property
    def environment(self) -> str:
        """The environment's code."""
        return self.release.environment


def expected(session: Session, environment: str, number: int) -> Expected:
    """Return what a store should hold when this release is live. Raises `NotFound`."""
    release = get_release(session, environment, number)
    texts = live_texts(session, environment, at=number)
    bodies = bodies_by_hash(session, hashes_named(texts))
    made = {key: card for key, card in cards.cards(texts).items() if card is not None}
    return Expected(release, snapshot_from(release, texts, bodies), texts, bodies, made)


def look(engine: Engine, store: ReleaseStore, environment: str, *, verifier: Verifier) -> list[str]:
    """Return how a store differs from this database, a line for each: nothing when it is as it should be.

    A release that the worker has not brought there yet counts. Raises `StoreUnavailable`.
    """
    with transaction(engine) as session:
        latest = latest_release(session, environment)
    try:
        pointer = store.read_pointer(environment)
    except PointerUnreadableError as problem:
        return [str(problem)]
    if pointer is None:
        return [f"there is no pointer, and release {latest.number} is to be live"] if latest else []
    with transaction(engine) as session:
        strange = stranger(session, pointer, latest)
        known = session.get(Release, (environment, pointer.release))
        same = known is not None and known.snapshot_sha256 == pointer.sha256
        try:
            wanted = expected(session, environment, pointer.release) if same else None
        except ValueError as problem:  # the database is not what it was: nothing can be compared with it
            return [f"this database: {problem}"]
    if strange is not None or latest is None:
        return [str(strange)]
    late = [f"the store is at release {pointer.release}, and release {latest.number} is to be live"]
    found = [] if pointer.release == latest.number else late
    return found if wanted is None else found + drifts(store, wanted, pointer, verifier=verifier)


def drifts(
    store: ReleaseStore,
    wanted: Expected,
    pointer: Pointer,
    *,
    verifier: Verifier,
    sample: int | None = None,
) -> list[str]:
    """Return how a store differs from what it should hold of the release its pointer names, a line for each.

    `verifier` has the keys that pointer, cards and kill switches must be signed with. `sample` is how many entries and
    texts to look at, chosen by chance; None looks at all, and also for what should not be there. Raises
    `StoreUnavailable` when the store does not answer: that tells nothing of what it holds.
    """
    found = [*_pointer_drifts(wanted, pointer, verifier), *_snapshot_drifts(store, wanted)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found += filter(None, pool.map(_of_text(store, wanted), _some(wanted.bodies, sample)))
        # The card that says that all cards are there is never left to chance: a worker that is killed leaves it out.
        keys = dict.fromkeys([SHARED, *_some([*wanted.texts, *wanted.cards], sample)])
        found += filter(None, pool.map(_of_entry(store, wanted, verifier), keys))
    if sample is None:
        found += [
            f"{key} is in the store, and not in release {wanted.release.number}"
            for key in leftovers(
                store, wanted.environment, wanted.release.number, {*wanted.texts, *wanted.cards}
            )
        ]
        found += _switches_drifts(store, wanted.environment, verifier)
    return found


def leftovers(store: ReleaseStore, environment: str, at: int, wanted: Collection[str]) -> list[str]:
    """Return the keys, sorted, that a reader of this release finds in the store although it should not.

    They are what another history of the environment wrote. A store that cannot list tells of none.
    """
    if not isinstance(store, PrunableStore):
        return []
    newest: dict[str, tuple[int, bool]] = {}
    for key, release, gone in store.list_entries(environment):
        if key not in wanted and release <= at:
            newest[key] = max(newest.get(key, (0, True)), (release, gone))
    return sorted(key for key, (_, gone) in newest.items() if not gone)


def _pointer_drifts(wanted: Expected, pointer: Pointer, verifier: Verifier) -> Iterator[str]:
    release = wanted.release
    said = (pointer.sha256, pointer.size, pointer.schema, pointer.minimum_reader)
    right = (release.snapshot_sha256, release.snapshot_size, SCHEMA, minimum_reader(wanted.texts))
    if said != right:
        yield f"the pointer does not say of release {release.number} what this database does"
    try:
        verifier.verify(pointer)
    except SnapshotRefused as refused:
        yield f"the pointer: {refused}"


def _snapshot_drifts(store: ReleaseStore, wanted: Expected) -> Iterator[str]:
    name = wanted.release.snapshot_sha256
    data, problem = _read(lambda: store.read_snapshot(wanted.environment, name, limit=len(wanted.data)))
    if problem:
        yield f"the snapshot {name[:12]}: {problem}"
    elif data != wanted.data:
        yield f"the snapshot {name[:12]} has other bytes"


def _of_text(store: ReleaseStore, wanted: Expected) -> Callable[[str], str | None]:
    def look(name: str) -> str | None:
        text, problem = _read(lambda: store.read_prompt(name))
        if problem:
            return f"the template text {name[:12]}: {problem}"
        return None if text == wanted.bodies[name] else f"the template text {name[:12]} is another"

    return look


def _of_entry(store: ReleaseStore, wanted: Expected, verifier: Verifier) -> Callable[[str], str | None]:
    def look(key: str) -> str | None:
        number = wanted.release.number
        data, problem = _read(lambda: store.read_entry(wanted.environment, key, at=number))
        if problem or data is None:
            return f"{key}: {problem or 'it is not there'}"
        if key in wanted.texts:
            return None if data == wanted.texts[key] else f"{key} has another content"
        try:
            card = unseal(data, environment=wanted.environment, key=key, at=number, verifier=verifier)
        except SnapshotRefused as refused:
            return str(refused)
        right = {one: bytes(text) for one, text in card.items()} == dict(wanted.cards[key])
        return None if right else f"the card {key} has another content"

    return look


def _switches_drifts(store: ReleaseStore, environment: str, verifier: Verifier) -> Iterator[str]:
    data, problem = _read(lambda: store.read_switches(environment))
    if problem:
        yield f"the kill switches: {problem}"
    if data is not None:
        try:
            parse(data, environment=environment, verifier=verifier)
        except SwitchesRefused as refused:
            yield f"the kill switches: {refused}"


def _read(ask: Callable[[], T]) -> tuple[T | None, str | None]:
    """Return what is there, or what is wrong with it in words."""
    try:
        return ask(), None
    except StoreUnavailable:
        raise
    except (StoreError, ValueError) as problem:  # `ValueError`: bytes that are no text
        return None, str(problem)


def _some(keys: Iterable[str], sample: int | None) -> list[str]:
    found = sorted(keys)
    # By chance, so that any number of workers need to agree on nothing.
    return found if sample is None or sample >= len(found) else random.sample(found, sample)
