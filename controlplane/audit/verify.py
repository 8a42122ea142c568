"""Whether the record is whole: its chain, its end, what guards it, what was left of it outside, and what is archived.

The chain alone finds an edited, inserted, removed or reordered event, also one made by an owner who switched the triggers off.
A tail that was cut off, and an older copy of the database put in its place, are whole in themselves: those the anchors find.
"""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from controlplane.audit import anchors, archive, guards
from controlplane.audit.chain import BEGINNING, MOST_NAMED, Break, Place, head_of, walk
from controlplane.runtime.signing import Verifier
from controlplane.runtime.stores import EvidenceStore

__all__ = ["Break", "Report", "verify", "verify_all"]


@dataclass(frozen=True)
class Report:
    """What a check found: up to where, over how many events, every broken place in the chain, and whatever else is wrong."""

    events: int
    end: Place
    breaks: tuple[Break, ...]
    findings: tuple[str, ...] = ()
    checked: tuple[str, ...] = ()
    """What was looked at besides the chain, in words."""

    @property
    def last_hash(self) -> str:
        """The hash that the next event will follow from."""
        return self.end.hash

    @property
    def intact(self) -> bool:
        """Whether nothing is wrong."""
        return not self.breaks and not self.findings

    @property
    def named(self) -> tuple[str, ...]:
        """Everything that is wrong, the first twenty by name."""
        return (*(str(each) for each in self.breaks), *self.findings)[:MOST_NAMED]

    @property
    def sentence(self) -> str:
        """The finding in words."""
        if self.intact:
            head = f", ending in {self.last_hash[:12]}" if self.last_hash else ""
            also = "".join(f" {words}." for words in self.checked)
            return f"The record is whole: {self.events:,} events, each following from the one before{head}.{also}"
        return f"The record was tampered with or damaged: {'; '.join(self.named)}."


def verify(session: Session, *, since: Place = BEGINNING) -> Report:
    """Recompute the chain after `since`, and look at its end and at what guards it: all that the database alone can say."""
    before = head_of(session)
    walked = walk(session, since=since)
    findings = [*_end(session, walked.end, before), *guards.findings(session)]
    return Report(walked.events, walked.end, walked.breaks, tuple(findings))


def verify_all(session: Session, store: EvidenceStore, *, verifier: Verifier) -> Report:
    """As `verify`, and compare with every anchor in the store and with every archived month."""
    found = verify(session)
    left = anchors.compare(session, store, found.end, verifier=verifier)
    archived = archive.check(session, store, verifier=verifier)
    return Report(
        events=found.events + archived.events,
        end=found.end,
        breaks=found.breaks,
        findings=(*found.findings, *left.findings, *archived.findings),
        checked=(left.words, *([archived.words] if archived.words else [])),
    )


def _end(session: Session, end: Place, before: Place | None) -> list[str]:
    """Hold the end against the head: as it was before the walk, which came as far at least, and as it is now, which is as far."""
    after = head_of(session)
    if before is None or after is None:
        return ["the head of the chain is gone"]
    if end.sequence < before.sequence:
        return [
            f"the record ends with event {end.sequence:,}, but event {before.sequence:,} was written: its end was cut off"
        ]
    if end.sequence > after.sequence or (end.sequence == after.sequence and end.hash != after.hash):
        return [f"event {end.sequence:,} is not the one that was written last"]
    return []
