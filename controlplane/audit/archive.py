"""Months of the record that lie in the store: written as NDJSON with their checksum, read back, and only then dropped here.

    archive/<year>-<month>.<part>.ndjson.gz   one event a line, as the database spells it, in the order of the chain
    archive/<year>-<month>.<part>.json        how many, the SHA-256 of the file, the runs with the hashes at their ends; signed

The chain goes on over the gap by the runs, which stand in the database and, signed, in the store. Dropping is the owner's: the
application's role cannot. A month may have a second part, when an event of it turned up late.

A month in which somebody still has to look at something stays; and who could do what at its end goes into the event that
tells of the move, so that the access list goes on without the months before it.
"""

import datetime as dt
import gzip
import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from sqlalchemy import Engine, func, select, text
from sqlalchemy.orm import Session

from controlplane.accounts.access_list import snapshot
from controlplane.accounts.actor import Actor, Role
from controlplane.audit.chain import LATER, Run, runs_of, walk
from controlplane.audit.identifiers import moment_of
from controlplane.audit.models import AuditArchive
from controlplane.audit.services import record
from controlplane.db import now, transaction
from controlplane.errors import Refused
from controlplane.reviews.listing import unsettled_count
from controlplane.runtime import canonical
from controlplane.runtime.errors import StoreError
from controlplane.runtime.signing import SignatureRefused, Signer, Verifier
from controlplane.runtime.stores import EvidenceStore

_FOLDER = "archive"
_LIMIT = 4 * 1024**3
_CARD_LIMIT = 16 * 1024**2
_LINES_AT_ONCE = 5_000
_MOST_NAMED = 5

_MONTHS = """
    SELECT inhrelid::regclass::text AS name FROM pg_inherits
    WHERE inhparent = 'audit_events'::regclass AND inhrelid::regclass::text ~ '^audit_events_\\d{4}_\\d{2}$'
    ORDER BY 1
"""
_RECOMPUTED = text(f"""
    SELECT (event ->> 'sequence')::bigint AS sequence, event ->> 'previous_hash' AS previous_hash,
           event ->> 'hash' AS hash,
           event ->> 'hash' = encode(sha256(convert_to((event - ARRAY[
               'hash', CASE WHEN event -> 'emergency' = 'false' THEN 'emergency' END,
               {", ".join(f"CASE WHEN event -> '{name}' = 'null' THEN '{name}' END" for name in LATER)}
           ])::text, 'UTF8')), 'hex') AS holds
    FROM (SELECT line::jsonb AS event, ordinality
          FROM unnest(CAST(:lines AS text[])) WITH ORDINALITY AS given (line, ordinality)) AS read
    ORDER BY ordinality
""")  # noqa: S608 - columns of ours


class NotArchivedError(Exception):
    """A month was not archived; the text says why. It is still here, whole."""


@dataclass(frozen=True)
class Month:
    """A month that lies in the database."""

    first: dt.date
    table: str
    events: int

    @property
    def words(self) -> str:
        """For the command line."""
        return f"{self.first:%Y-%m}: {self.events:,} event{'' if self.events == 1 else 's'}"


@dataclass(frozen=True)
class File:
    """A month as it goes to the store."""

    data: bytes
    events: int
    runs: tuple[Run, ...]

    @property
    def sha256(self) -> str:
        """Of the bytes as they are kept."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True)
class Checked:
    """What looking through the archives found."""

    events: int
    months: int
    findings: tuple[str, ...]

    @property
    def words(self) -> str:
        """For a report that found nothing wrong; nothing when nothing is archived."""
        if not self.months:
            return ""
        return f"{self.events:,} of them lie in the archive, in {self.months} files that were read through"


def months(session: Session, *, before: dt.date) -> list[Month]:
    """The months here that lie wholly before a day, oldest first; never the present one."""
    this_month = now().date().replace(day=1)
    if before > this_month:
        raise Refused(
            {"before": f"Months before {this_month:%Y-%m} can be archived; {before:%Y-%m} is later."}
        )
    found: list[Month] = []
    for table in session.scalars(text(_MONTHS)):
        year, month = table.removeprefix("audit_events_").split("_")
        first = dt.date(int(year), int(month), 1)
        if first < before:
            events = session.scalar(text(f"SELECT count(*) FROM {table}")) or 0  # noqa: S608 - a table of ours
            found.append(Month(first, table, events))
    return found


def archive(
    engine: Engine,
    store: EvidenceStore,
    *,
    before: dt.date,
    signer: Signer | None,
    actor: Actor,
    told: Callable[[str], None] = lambda _: None,
) -> list[Month]:
    """Move every month before a day to the store, as the owner of the tables; return those that were moved.

    Raises `NotArchivedError` where something does not fit: nothing is dropped that was not read back from the store as it is.
    """
    actor.require(Role.ADMIN)
    with transaction(engine) as session:
        wanted = months(session, before=before)
        if wanted and walk(session).breaks:
            raise NotArchivedError("The record is not whole; see `audit verify`. Nothing was archived.")
        if hindered := hindrance(session, before=before):
            raise NotArchivedError(f"{hindered} Nothing was archived.")
    for month in wanted:
        if month.events:
            _archive(engine, store, month, signer=signer, actor=actor)
        else:
            with transaction(engine) as session:
                _drop(session, month)
        told(month.words)
    return wanted


def hindrance(session: Session, *, before: dt.date) -> str | None:
    """What keeps the months before a day from being archived: looks at changes that nobody has finished."""
    waiting = unsettled_count(session, before=dt.datetime.combine(before, dt.time.min, tzinfo=dt.UTC))
    if not waiting:
        return None
    changes = "1 change waits" if waiting == 1 else f"{waiting:,} changes wait"
    return f"{changes} in these months for a review, or for the end of a dispute."


def where_it_lies(session: Session, identifier: str) -> Sequence[AuditArchive]:
    """The files in which a change of this id would be; none where its month is here, or it is no id."""
    moment = moment_of(identifier)
    if moment is None:
        return []
    query = select(AuditArchive).where(AuditArchive.month == moment.date().replace(day=1))
    return session.scalars(query.order_by(AuditArchive.part)).all()


def archived_months(session: Session) -> Sequence[AuditArchive]:
    """What is archived, oldest first."""
    return session.scalars(select(AuditArchive).order_by(AuditArchive.month, AuditArchive.part)).all()


def check(session: Session, store: EvidenceStore, *, verifier: Verifier) -> Checked:
    """Read every archive through: its checksum, its signed card, every event's hash, and the runs they make."""
    archives = archived_months(session)
    findings: list[str] = []
    for each in archives:
        findings.extend(
            f"archive {each.month:%Y-%m}: {problem}" for problem in _problems(session, store, each, verifier)
        )
    return Checked(sum(each.events for each in archives), len(archives), tuple(findings))


def _archive(
    engine: Engine, store: EvidenceStore, month: Month, *, signer: Signer | None, actor: Actor
) -> None:
    with transaction(engine) as session:
        part = 1 + (
            session.scalar(select(func.max(AuditArchive.part)).where(AuditArchive.month == month.first)) or 0
        )
        file = _file(session, month)
    name = f"{_FOLDER}/{month.first:%Y-%m}.{part}"
    row = AuditArchive(
        month=month.first,
        part=part,
        name=f"{name}.ndjson.gz",
        events=file.events,
        size=len(file.data),
        sha256=file.sha256,
        runs=[asdict(run) for run in file.runs],
        archived_at=now(),
    )
    if not store.create_evidence(row.name, file.data):
        raise NotArchivedError(f"The store has another {row.name}. Nothing was dropped.")
    card = _card(row)
    signed = card if signer is None else signer.sign_document(card)
    card_name = f"{name}.json"
    if not store.create_evidence(card_name, canonical.dumps(signed)) and _read_card(store, row) is None:
        raise NotArchivedError(f"The store has another {card_name}. Nothing was dropped.")
    with transaction(engine) as session:
        if problems := _problems(session, store, row, Verifier()):
            raise NotArchivedError(
                f"{month.first:%Y-%m} is not read back as it was written: {'; '.join(problems)}."
            )
        session.execute(text(f"LOCK TABLE {month.table} IN ACCESS EXCLUSIVE MODE"))
        if _file(session, month).sha256 != file.sha256:
            raise NotArchivedError(f"{month.first:%Y-%m} changed meanwhile. Nothing was dropped.")
        people = snapshot(session, _last_day(month.first))
        session.add(row)
        _drop(session, month)
        record(
            session,
            actor=actor,
            action="record.archived",
            object_kind="record",
            object_key=f"{month.first:%Y-%m}",
            sentence=f"archived {month.first:%B %Y} of this record: {month.words.partition(': ')[2]} now in {row.name}",
            after={"name": row.name, "events": file.events, "sha256": file.sha256, "people": people},
        )


def _last_day(first: dt.date) -> dt.date:
    return (first + dt.timedelta(days=32)).replace(day=1) - dt.timedelta(days=1)


def _file(session: Session, month: Month) -> File:
    session.execute(text("SELECT set_config('TimeZone', 'UTC', true)"))
    query = f"SELECT sequence, previous_hash, hash, to_jsonb(event)::text AS line FROM {month.table} AS event ORDER BY event.sequence"  # noqa: S608
    rows = session.execute(text(query), execution_options={"yield_per": 1_000})
    kept = io.BytesIO()
    linked: list[tuple[int, str, str]] = []
    # No time and no name inside: who is cut off between writing and dropping writes the same bytes again.
    with gzip.GzipFile(fileobj=kept, mode="wb", compresslevel=6, mtime=0, filename="") as packed:
        for row in rows:
            packed.write(row.line.encode() + b"\n")
            linked.append((row.sequence, row.previous_hash, row.hash))
    return File(kept.getvalue(), len(linked), tuple(runs_of(linked)))


def _drop(session: Session, month: Month) -> None:
    session.execute(text("SET LOCAL lock_timeout = '10s'"))  # behind a long reader all others would queue
    session.execute(text(f"ALTER TABLE audit_events DETACH PARTITION {month.table}"))
    session.execute(text(f"DROP TABLE {month.table}"))


def _card(row: AuditArchive) -> dict[str, Any]:
    return {
        "kind": "archive of the record of changes",
        "name": row.name,
        "events": row.events,
        "size": row.size,
        "sha256": row.sha256,
        "runs": row.runs,
    }


def _read_card(store: EvidenceStore, row: AuditArchive) -> dict[str, Any] | None:
    """The card in the store, when it says the same as the row."""
    data = store.read_evidence(row.name.replace(".ndjson.gz", ".json"), limit=_CARD_LIMIT)
    try:
        document = None if data is None else canonical.loads(data)
    except ValueError:
        return None
    wanted = _card(row)
    same = isinstance(document, dict) and {key: document.get(key) for key in wanted} == wanted
    return document if same else None


def _problems(session: Session, store: EvidenceStore, row: AuditArchive, verifier: Verifier) -> list[str]:
    try:
        card = _read_card(store, row)
        data = store.read_evidence(row.name, limit=_LIMIT)
    except StoreError as problem:
        return [f"it cannot be read: {problem}"]
    if data is None:
        return ["it is gone from the store"]
    problems = [] if card else ["its card in the store is gone, or says something else than the database"]
    if card and verifier.knows(card.get("key_id")):
        try:
            verifier.verify_document(card)
        except SignatureRefused as refused:
            problems.append(f"its card is {refused}")
    if hashlib.sha256(data).hexdigest() != row.sha256:
        return [*problems, "the file is not the one that was written: its checksum differs"]
    return [*problems, *_content(session, row, data)]


def _content(session: Session, row: AuditArchive, data: bytes) -> list[str]:
    problems: list[str] = []
    linked: list[tuple[int, str, str]] = []
    for lines in _lines(data):
        for event in session.execute(_RECOMPUTED, {"lines": lines}):
            linked.append((event.sequence, event.previous_hash, event.hash))
            if not event.holds:
                problems.append(f"event {event.sequence:,}: its content is not what was written")
    if [asdict(run) for run in runs_of(linked)] != row.runs:
        problems.append("its events do not follow from one another as they did")
    return problems[:_MOST_NAMED]


def _lines(data: bytes) -> Iterator[list[str]]:
    with gzip.open(io.BytesIO(data), "rt", encoding="utf-8", newline="\n") as unpacked:
        while lines := [line.rstrip("\n") for line in islice(unpacked, _LINES_AT_ONCE)]:
            yield lines
