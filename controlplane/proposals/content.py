"""What a proposal holds: its entries, their digest, what of it moved meanwhile."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.errors import Refused
from controlplane.proposals.models import Proposal, ProposalEntry
from controlplane.releases import words
from controlplane.releases.compose import Document
from controlplane.releases.diff import EntryChange, diff, same
from controlplane.releases.saved import documents_of, live_texts
from controlplane.runtime import canonical
from controlplane.runtime.validate import written


@dataclass(frozen=True)
class Included:
    """One key of a proposal: what was live at its base, and what it is to become; None: nothing."""

    key: str
    before: Document | None
    after: Document | None


def content_digest(entries: Mapping[str, Document | None]) -> str:
    """Return the digest of what these entries would make live: the SHA-256 of their canonical JSON, by key."""
    return canonical.digest(canonical.dumps(dict(entries)))


def included_in(session: Session, proposal: Proposal) -> list[Included]:
    """Return the entries of a proposal, by key."""
    query = select(ProposalEntry).where(
        ProposalEntry.environment == proposal.environment, ProposalEntry.number == proposal.number
    )
    rows = session.scalars(query.order_by(ProposalEntry.key).execution_options(populate_existing=True))
    return [Included(row.key, _document(row.before), _document(row.after)) for row in rows]


def changes_in(included: Iterable[Included]) -> list[EntryChange]:
    """Return what a proposal changes against its base, field by field."""
    entries = list(included)
    return diff(
        {each.key: each.before for each in entries if each.before is not None},
        {each.key: each.after for each in entries if each.after is not None},
    )


def moved_of(included: Iterable[Included], live: Mapping[str, Document]) -> list[str]:
    """Return the keys whose live document is neither what the proposal was made from nor what it would make of it."""
    return [
        each.key
        for each in included
        if not same(live.get(each.key), each.before) and not same(live.get(each.key), each.after)
    ]


def live_of(
    session: Session, environment: str, keys: Iterable[str], *, at: int | None = None
) -> dict[str, Document]:
    """Return the live documents of these keys, or what they were at release `at`; those that are not live are left out."""
    texts = live_texts(session, environment, at, keys=keys)
    return documents_of(texts, texts)


def chosen_entries(
    session: Session, environment: str, entries: Mapping[str, Document | None], *, base: int
) -> list[Included]:
    """Return these entries as a proposal would hold them, without those that change nothing.

    Raises `Refused` when nothing remains, and for what cannot be written down.
    """
    _, unwritten = written({key: document for key, document in entries.items() if document is not None})
    if unwritten:
        raise Refused(
            {problem.key: f"{words.entry_name(problem.key)}: {problem.message}" for problem in unwritten}
        )
    before = live_of(session, environment, entries, at=base)
    live = live_of(session, environment, entries)
    found = [
        Included(key, before.get(key), entries[key])
        for key in sorted(entries)
        if not same(entries[key], live.get(key)) and not same(entries[key], before.get(key))
    ]
    if not found:
        raise Refused({"entries": "Nothing would change: what you chose is live already."})
    return found


def summary_of(included: Sequence[Included]) -> str:
    """Return what a proposal changes in one line."""
    return words.release_sentence(changes_in(included))


def rows_of(environment: str, number: int, included: Iterable[Included]) -> list[ProposalEntry]:
    """Return the rows that keep these entries."""
    return [
        ProposalEntry(
            environment=environment,
            number=number,
            key=each.key,
            before=_text(each.before),
            after=_text(each.after),
        )
        for each in included
    ]


def _document(text: str | None) -> Document | None:
    return None if text is None else canonical.loads(text)


def _text(document: Document | None) -> str | None:
    return None if document is None else canonical.dumps(document).decode()
