"""Whether the record is whole: the chain of hashes recomputed by the database that holds it.

Detects an edited, inserted, removed or reordered event, also one made by an owner who switched the triggers off. It
cannot see a tail that was cut off cleanly: for that the last hash has to be known outside of the database.
"""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

# One pass in the order of the chain; nothing is fetched but what is wrong.
_BROKEN = text("""
    WITH checked AS (
        SELECT sequence,
               hash = audit_event_hash(event) AS content_holds,
               previous_hash = lag(hash, 1, '') OVER chain AS link_holds,
               sequence = lag(sequence, 1, 0::bigint) OVER chain + 1 AS number_follows
        FROM audit_events AS event
        WINDOW chain AS (ORDER BY sequence)
    )
    SELECT sequence, content_holds, link_holds, number_follows
    FROM checked
    WHERE NOT (content_holds AND link_holds AND number_follows)
    ORDER BY sequence
    LIMIT :most
""")
_MOST_NAMED = 20


@dataclass(frozen=True)
class Break:
    """One event that does not fit, and why."""

    sequence: int
    reason: str


@dataclass(frozen=True)
class Report:
    """What the check found: how many events there are, the last hash, and every place where the chain is broken."""

    events: int
    last_hash: str
    breaks: tuple[Break, ...]

    @property
    def intact(self) -> bool:
        """Whether nothing is broken."""
        return not self.breaks

    @property
    def sentence(self) -> str:
        """The finding in words."""
        if self.intact:
            head = f", ending in {self.last_hash[:12]}" if self.last_hash else ""
            return f"The record is whole: {self.events:,} events, each following from the one before{head}."
        named = "; ".join(f"event {each.sequence:,}: {each.reason}" for each in self.breaks)
        return f"The record was tampered with or damaged: {named}."


def verify(session: Session) -> Report:
    """Recompute the chain of all events and report every break, the first twenty by name."""
    rows = session.execute(_BROKEN, {"most": _MOST_NAMED}).all()
    breaks = tuple(
        Break(row.sequence, _reason(content_holds=row.content_holds, number_follows=row.number_follows))
        for row in rows
    )
    events, last_hash = session.execute(
        text(
            "SELECT (SELECT count(*) FROM audit_events),"
            " coalesce((SELECT hash FROM audit_events ORDER BY sequence DESC LIMIT 1), '')"
        )
    ).one()
    return Report(events=events, last_hash=last_hash, breaks=breaks)


def _reason(*, content_holds: bool, number_follows: bool) -> str:
    if not content_holds:
        return "its content is not what was written"
    if not number_follows:
        return "an event before it is missing"
    return "it does not follow from the event before it"
