"""The chain of the record, recomputed by the database that holds it, a stretch at a time.

What is computed here is not the function that the append used: that one lies in the database too, and who replaced it would
be believed. The same formula stands here in the statement itself. Where months are archived the numbers have a gap; the
archive's runs say with which hashes the chain goes in and comes out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from controlplane.audit.models import AuditArchive, AuditHead

# As in the function `audit_event_hash`: columns that came later than the chain count only where they are set.
LATER = (
    "proposal",
    "ticket",
    "token",
    "owner_id",
    "owner_name",
    "effect_share",
    "approvals",
    "approvals_needed",
)
COMPUTED = (
    "encode(sha256(convert_to((to_jsonb(event) - ARRAY['hash', CASE WHEN NOT event.emergency THEN 'emergency' END, "
    + ", ".join(f"CASE WHEN event.{name} IS NULL THEN '{name}' END" for name in LATER)
    + "])::text, 'UTF8')), 'hex')"
)
_STRETCH = text(f"""
    WITH stretch AS (
        SELECT event.sequence, event.previous_hash, event.hash, event.hash = {COMPUTED} AS holds
        FROM audit_events AS event
        WHERE event.sequence > :after
        ORDER BY event.sequence
        LIMIT :most
    ), linked AS (
        SELECT *, lag(sequence, 1, :after) OVER chain AS earlier, lag(hash, 1, :hash) OVER chain AS earlier_hash
        FROM stretch
        WINDOW chain AS (ORDER BY sequence)
    )
    SELECT sequence, previous_hash, hash, holds, earlier, earlier_hash, total
    FROM (SELECT *, count(*) OVER () AS total, max(sequence) OVER () AS newest FROM linked) AS counted
    WHERE NOT holds OR previous_hash <> earlier_hash OR sequence <> earlier + 1 OR sequence = newest
    ORDER BY sequence
""")  # noqa: S608 - columns of ours
_AT_ONCE = 50_000
MOST_NAMED = 20


@dataclass(frozen=True)
class Break:
    """One event that does not fit, and why."""

    sequence: int
    reason: str

    def __str__(self) -> str:
        return f"event {self.sequence:,}: {self.reason}"


@dataclass(frozen=True)
class Place:
    """A place in the chain: an event's number and its hash. The beginning is number 0."""

    sequence: int = 0
    hash: str = ""


BEGINNING = Place()


@dataclass(frozen=True)
class Run:
    """A stretch of events that lies in an archive."""

    first: int
    last: int
    previous_hash: str
    hash: str


@dataclass(frozen=True)
class Walked:
    """How far the walk came, over how many events, and what did not fit."""

    end: Place
    events: int
    breaks: tuple[Break, ...]


def walk(session: Session, *, since: Place = BEGINNING, at_once: int = _AT_ONCE) -> Walked:
    """Recompute the chain after `since` to its end, so many events at a time."""
    session.execute(text("SELECT set_config('TimeZone', 'UTC', true)"))  # to_jsonb spells times in it
    runs = archived_runs(session)
    breaks: list[Break] = []
    place, events = since, 0
    while len(breaks) < MOST_NAMED:
        rows = session.execute(_STRETCH, {"after": place.sequence, "hash": place.hash, "most": at_once}).all()
        if not rows:
            break
        for row in rows:
            reason = _reason(
                holds=row.holds,
                before=Place(row.earlier, row.earlier_hash),
                sequence=row.sequence,
                previous_hash=row.previous_hash,
                runs=runs,
            )
            if reason is not None:
                breaks.append(Break(row.sequence, reason))
        place, events = Place(rows[-1].sequence, rows[-1].hash), events + rows[-1].total
    return Walked(over(place, runs), events, tuple(breaks[:MOST_NAMED]))


def head_of(session: Session) -> Place | None:
    """What the next event would follow from, at this moment; None where somebody took it away."""
    row = session.execute(select(AuditHead.sequence, AuditHead.hash)).one_or_none()
    return None if row is None else Place(row.sequence, row.hash)


def archived_runs(session: Session) -> dict[int, Run]:
    """The stretches that are archived, by their first number."""
    found = session.query(AuditArchive.runs).order_by(AuditArchive.month, AuditArchive.part)
    return {run["first"]: Run(**run) for (runs,) in found for run in runs}


def over(place: Place, runs: Mapping[int, Run]) -> Place:
    """Where the chain stands after the archived stretches that follow this place, as far as they do."""
    while (run := runs.get(place.sequence + 1)) is not None and run.previous_hash == place.hash:
        place = Place(run.last, run.hash)
    return place


def runs_of(events: Sequence[tuple[int, str, str]]) -> list[Run]:
    """The stretches without a gap in (number, previous hash, hash), which are in order."""
    runs: list[Run] = []
    for sequence, previous_hash, sealed in events:
        if runs and runs[-1].last == sequence - 1 and runs[-1].hash == previous_hash:
            runs[-1] = Run(runs[-1].first, sequence, runs[-1].previous_hash, sealed)
        else:
            runs.append(Run(sequence, sequence, previous_hash, sealed))
    return runs


def _reason(
    *, holds: bool, before: Place, sequence: int, previous_hash: str, runs: Mapping[int, Run]
) -> str | None:
    if not holds:
        return "its content is not what was written"
    reached = over(before, runs)
    if sequence != reached.sequence + 1:
        return "an event before it is missing"
    if previous_hash != reached.hash:
        return "it does not follow from the event before it"
    return None
