"""Taking away from the store what nothing needs any more.

Kept of each environment is everything from one release on: the oldest of the one that its pointer names, its last 50, the one
that was live 30 days ago, and those that running processes say they serve: one that looks single entries up and cannot go on to
a later release still reads the items of its own. Also kept is every object that was written within 30 days, and of each entry the newest
item at or below the oldest kept release. Texts of prompts are shared, so one is kept if any environment needs it.

A worker may be anywhere in an export while this runs. What it exports was committed before, so it is among the last
releases and its objects are needed. A release that is published between the look and the deletion could bring a deleted
object back to use, though: so deletions wait for the environment's lock, which every publisher takes, and under it the
pointer is read again and what is needed is asked again. A release after that finds the object gone, and writes it.
That holds up publishers for one request to the store at a time; nothing else here talks to it with a lock held.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import CompoundSelect, Engine, Select, func, or_, select, union
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.audit import services as audit
from controlplane.db import now, transaction
from controlplane.errors import Conflict
from controlplane.fleet.standing import oldest_served
from controlplane.prompts.models import PromptVersion
from controlplane.registry.models import Environment
from controlplane.releases.catching_up import stranger
from controlplane.releases.history import latest_release
from controlplane.releases.models import ImportedText, Release, ReleaseEntry
from controlplane.releases.saved import hashes_named
from controlplane.runtime.lookup.cards import PREFIX
from controlplane.runtime.stores import PrunableStore, StoredEntry, StoredObject

RELEASES_KEPT: Final = 50
KEPT_FOR: Final = dt.timedelta(days=30)
_OBJECTS_AT_ONCE: Final = 500
_ENTRIES_AT_ONCE: Final = 250


@dataclass
class Pruned:
    """What was deleted, or with `dry_run` would be: a line for each environment, and in all."""

    lines: list[str]
    snapshots: int = 0
    texts: int = 0
    entries: int = 0
    cards: int = 0
    size: int = 0
    """Bytes of the snapshots and texts, as they are kept."""

    @property
    def nothing(self) -> bool:
        """Whether there was nothing to delete."""
        return not (self.snapshots or self.texts or self.entries or self.cards)

    @property
    def words(self) -> str:
        """All of it in words."""
        return (
            f"{_count(self.snapshots, 'snapshot')}, {_count(self.texts, 'template text')} ({self.size:,} bytes),"
            f" {_count(self.entries, 'item')} of entries and {self.cards:,} of cards"
        )


def prune(
    engine: Engine,
    store: PrunableStore,
    *,
    actor: Actor,
    dry_run: bool = False,
    as_of: dt.datetime | None = None,
) -> Pruned:
    """Delete what nothing needs, and record it; `dry_run` only counts. `as_of` is what counts as now (aware).

    Raises `Conflict`, with nothing deleted, where the store holds what this database does not know, and `StoreError`; what
    was deleted until then is recorded.
    """
    actor.require(Role.ADMIN)
    cutoff = (as_of or now()) - KEPT_FOR
    with transaction(engine) as session:
        codes = session.scalars(select(Environment.code).order_by(Environment.code)).all()
    unknown = sorted(set(store.list_environments()) - set(codes))
    if unknown:
        raise Conflict(
            f"The store also serves {', '.join(unknown)}, which this database does not know: nothing was deleted."
        )
    pruned = Pruned([])
    work = _Work(engine, store, codes, cutoff, dry_run, pruned)
    work.check()
    try:
        for code in codes:
            work.environment(code)
        work.texts()
    finally:
        if not dry_run and not pruned.nothing:
            _record(engine, pruned, actor=actor)
    return pruned


@dataclass
class _Work:
    engine: Engine
    store: PrunableStore
    codes: Sequence[str]
    cutoff: dt.datetime
    dry_run: bool
    pruned: Pruned

    def check(self) -> None:
        """Refuse as a whole before anything is deleted."""
        for code in self.codes:
            self.oldest_kept(code)

    def environment(self, code: str) -> None:
        oldest, _ = self.oldest_kept(code)
        made = select(Release.snapshot_sha256).where(Release.environment == code)
        old = self.old(self.store.list_snapshots(code), made)
        deleted = self.delete(
            old, [code], self.snapshots_needed, lambda names: self.store.delete_snapshots(code, names)
        )
        self.pruned.snapshots += len(deleted)
        items = list(superseded(self.store.list_entries(code), oldest))
        cards = sum(item.key.startswith(f"{PREFIX}/") for item in items)
        self.delete_items(code, items)
        self.pruned.entries += len(items) - cards
        self.pruned.cards += cards
        self.tell(
            f"{code} (release {oldest} and later are kept)",
            f"{_count(len(deleted), 'snapshot')}, {_count(len(items) - cards, 'item')} of entries and {cards:,} of cards",
        )

    def texts(self) -> None:
        old = self.old(
            self.store.list_prompts(), union(select(PromptVersion.sha256), select(ImportedText.sha256))
        )
        deleted = self.delete(old, self.codes, self.texts_needed, self.store.delete_prompts)
        self.pruned.texts += len(deleted)
        self.tell("all environments", _count(len(deleted), "template text"))

    def old(
        self, found: Iterable[StoredObject], made: Select[Any] | CompoundSelect[Any]
    ) -> list[StoredObject]:
        """Return what was written before all that is kept, of what this database has made."""
        with transaction(self.engine) as session:
            names: set[str] = set(session.scalars(made))
        return [each for each in found if each.written_at < self.cutoff and each.sha256 in names]

    def tell(self, where: str, what: str) -> None:
        verb = "would delete" if self.dry_run else "deleted"
        self.pruned.lines.append(f"{where}: {verb} {what}")

    def delete(
        self,
        old: Sequence[StoredObject],
        codes: Sequence[str],
        needed: Callable[[Session, Sequence[str]], set[str]],
        delete: Callable[[Iterable[str]], None],
    ) -> list[StoredObject]:
        """Delete the old objects that are not needed, under the lock of whatever could come to need them."""
        with transaction(self.engine) as session:
            named = needed(session, codes)
        candidates = [found for found in old if found.sha256 not in named]
        if self.dry_run:
            self.pruned.size += sum(found.size for found in candidates)
            return candidates
        deleted = []
        for start in range(0, len(candidates), _OBJECTS_AT_ONCE):
            with transaction(self.engine) as session:
                _lock(session, codes)
                named = needed(session, codes)
                batch = [
                    found
                    for found in candidates[start : start + _OBJECTS_AT_ONCE]
                    if found.sha256 not in named
                ]
                delete([found.sha256 for found in batch])
            deleted += batch
            self.pruned.size += sum(found.size for found in batch)
        return deleted

    def delete_items(self, code: str, items: Sequence[StoredEntry]) -> None:
        """Delete items that a newer one stands over; no release can need them again, so this takes no lock."""
        for start in range(0, 0 if self.dry_run else len(items), _ENTRIES_AT_ONCE):
            self.oldest_kept(code)  # the pointer again: whoever put the store in another's hands stops this
            batch = items[start : start + _ENTRIES_AT_ONCE]
            self.store.delete_entries(code, [(item.key, item.release) for item in batch])

    def snapshots_needed(self, session: Session, codes: Sequence[str]) -> set[str]:
        needed: set[str] = set()
        for code in codes:
            oldest, pointed = self.oldest_kept(code, session)
            query = select(Release.snapshot_sha256).where(
                Release.environment == code, Release.number >= oldest
            )
            needed |= {*session.scalars(query), *pointed}
        return needed

    def texts_needed(self, session: Session, codes: Sequence[str]) -> set[str]:
        needed: set[str] = set()
        for code in codes:
            oldest, _ = self.oldest_kept(code, session)
            query = select(ReleaseEntry.key, ReleaseEntry.document).where(
                ReleaseEntry.environment == code,
                or_(ReleaseEntry.valid_to.is_(None), ReleaseEntry.valid_to > oldest),
                ReleaseEntry.document.contains('"sha256":"'),
            )
            for key, document in session.execute(query):  # one by one: a key has had several documents since
                needed |= hashes_named({key: document.encode()})
        return needed

    def oldest_kept(self, code: str, session: Session | None = None) -> tuple[int, set[str]]:
        """Return the number of the oldest release to keep, and the snapshot that the pointer names, read anew."""
        if session is None:
            with transaction(self.engine) as own:
                return self.oldest_kept(code, own)
        pointer = self.store.read_pointer(code)
        if pointer is None:
            return 1, set()
        strange = stranger(session, pointer, latest_release(session, code))
        if strange is not None:
            raise Conflict(f"{code} is not pruned. {strange}")
        served = oldest_served(session, code) or pointer.release
        return min(pointer.release, served, oldest_named(session, code, self.cutoff)), {pointer.sha256}


def oldest_named(session: Session, environment: str, cutoff: dt.datetime) -> int:
    """Return the older of the 50th newest release and the one that was live at `cutoff`; 1 where there are not so many."""
    numbers = select(Release.number).where(Release.environment == environment)
    last = session.scalar(numbers.order_by(Release.number.desc()).offset(RELEASES_KEPT - 1).limit(1))
    then = session.scalar(
        select(func.max(Release.number)).where(
            Release.environment == environment, Release.created_at <= cutoff
        )
    )
    return min(last or 1, then or 1)


def superseded(stored: Iterable[StoredEntry], oldest: int) -> Iterator[StoredEntry]:
    """Yield the items that a newer one of the same key, at or below the oldest kept release, stands over.

    That a key is gone stays said: an export that was held up for long may still write what stood there before.
    """
    by_key: dict[str, list[StoredEntry]] = defaultdict(list)
    for item in stored:
        if item.release <= oldest:
            by_key[item.key].append(item)
    for items in by_key.values():
        newest = max(item.release for item in items)
        yield from (item for item in items if item.release < newest)


def _lock(session: Session, codes: Sequence[str]) -> None:
    query = select(Environment.code).where(Environment.code.in_(codes)).order_by(Environment.code)
    session.execute(query.with_for_update()).all()


def _record(engine: Engine, pruned: Pruned, *, actor: Actor) -> None:
    with transaction(engine) as session:
        audit.record(
            session,
            actor=actor,
            action="store.pruned",
            object_kind="store",
            object_key="store",
            sentence=f"deleted from the store what nothing needs: {pruned.words}",
            after={
                "snapshots": pruned.snapshots,
                "texts": pruned.texts,
                "bytes": pruned.size,
                "entries": pruned.entries,
                "cards": pruned.cards,
            },
        )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
