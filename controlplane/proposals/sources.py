"""Where a proposal's entries come from: what is saved, an earlier release, another environment, a change to revert.

Each gives an `Offer`: for every entry that would differ what is live, what it would become, and whether it is ticked unless
somebody says otherwise. A bundle is the fifth source; see `proposals.bundle`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from sqlalchemy.orm import Session

from controlplane.configurations.documents import EVERYBODY
from controlplane.proposals.merge import Choices, FieldConflict, Merged, Side, merge, resolve
from controlplane.proposals.references import references
from controlplane.releases import words
from controlplane.releases.compose import Document, Entries
from controlplane.releases.diff import EntryChange, diff, digest_of, same
from controlplane.releases.history import changes_of, get_release, latest_release
from controlplane.releases.saved import live_entries, saved_entries, taken_back

# What a revert does where later changes touched the same: it is there to bring back what was before.
REVERTING: Final[Side] = "ours"


@dataclass(frozen=True)
class Offered:
    """One entry that would differ; None: there is none. With `merged` it is to be put together with later changes."""

    key: str
    before: Document | None
    after: Document | None
    ticked: bool = True
    notes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()  # keys that it names and that are not live here
    merged: Merged | None = None

    @property
    def name(self) -> str:
        """What people call it."""
        return words.entry_name(self.key)

    @property
    def conflicts(self) -> tuple[FieldConflict, ...]:
        """The fields that somebody has to decide."""
        return self.merged.conflicts if self.merged else ()

    @property
    def digest(self) -> str:
        """By what a form knows again what its page showed: both sides, since what is live may move as well."""
        return f"{digest_of(self.before)[:32]}{digest_of(self.after)[:32]}"

    def noted(self, note: str) -> "Offered":
        """Return the same with one more note."""
        return replace(self, notes=(*self.notes, note))

    def decided(self, choices: Choices) -> Document | None:
        """Return what it becomes with these choices; what was not chosen is as the revert wants it."""
        if self.merged is None:
            return self.after
        every: dict[str, Side] = {each.path: REVERTING for each in self.conflicts}
        return resolve(self.merged, {**every, **choices})


@dataclass(frozen=True)
class Offer:
    """The entries that a source would bring, compared with release `base`.

    `source` is what the proposal keeps of where it came from. `texts` are prompt texts that no version here has, by hash.
    """

    source: str
    base: int
    entries: tuple[Offered, ...]
    texts: Mapping[str, str] = field(default_factory=dict)

    def of(self, entries: Iterable[Offered]) -> "Offer":
        """Return the same with these entries."""
        return replace(self, entries=tuple(entries))

    def entry(self, key: str) -> Offered | None:
        """Return the entry of this key."""
        return next((each for each in self.entries if each.key == key), None)


def from_saved(session: Session, environment: str) -> Offer:
    """Offer what is saved but not live; what was live before and taken back is not ticked."""
    live = live_entries(session, environment)
    saved, _ = saved_entries(session, environment)
    changes = diff(live, saved)
    back = taken_back(session, environment, [change.key for change in changes], saved)
    notes = {
        key: f"Was live before; release {number} took it back. Tick it only if it shall return."
        for key, number in back.items()
    }
    return _offer(session, environment, "saved", changes, live, unticked=notes)


def from_release(session: Session, environment: str, number: int) -> Offer:
    """Offer what was live at an earlier release: rolling back, through a review. Raises `NotFound`."""
    get_release(session, environment, number)
    live = live_entries(session, environment)
    changes = diff(live, live_entries(session, environment, at=number))
    return _offer(session, environment, f"release {number}", changes, live)


def from_environment(session: Session, environment: str, other: str) -> Offer:
    """Offer what is live in another environment: promotion.

    Shares belong to an environment: gates, and configurations that are being rolled out on either side, are not ticked. Nor
    is what is live here alone, and what is older there.
    """
    live, there = live_entries(session, environment), live_entries(session, other)
    latest = latest_release(session, other)
    source = f"{other} release {latest.number}" if latest else other
    brought = {key: _with_shares_of(live.get(key), document) for key, document in there.items()}
    changes = diff(live, brought)
    notes = {
        change.key: note for change in changes if (note := _why_not_promoted(change, environment, other))
    }
    return _offer(session, environment, source, changes, live, unticked=notes)


def from_change(session: Session, environment: str, number: int) -> Offer:
    """Offer to take one release back and keep what came later. Raises `NotFound`.

    What was changed again later, field by field, is a conflict; an entry that is back already is left out.
    """
    get_release(session, environment, number)
    live = live_entries(session, environment)
    gone = changes_of(session, environment, number)
    reverted = without(gone, live)
    later = {
        change.key: "Was changed again later: what only that change touched stays."
        for change in gone
        if not same(live.get(change.key), change.after)
    }
    kept = {
        key: Offered(key, live.get(key), None, merged=merged).decided({}) for key, merged in reverted.items()
    }
    changed = {
        key: document for key, document in kept.items() if not _same_but_number(live.get(key), document)
    }
    changes = diff(
        {key: live[key] for key in changed if key in live},
        {key: document for key, document in changed.items() if document is not None},
    )
    offer = _offer(session, environment, f"revert of release {number}", changes, live)
    return offer.of(_put_back(each, reverted, later) for each in offer.entries)


def _same_but_number(left: Document | None, right: Document | None) -> bool:
    """Say whether two configurations do the same under another version's number."""
    ones = [_variants(document) for document in (left, right)]
    if left is None or right is None or any(len(variants) != 1 for variants in ones):
        return same(left, right)
    bare = [{**variants[0], "version": 0} for variants in ones]
    return same({**left, "variants": bare[:1]}, {**right, "variants": bare[1:]})


def without(changes: Iterable[EntryChange], live: Entries) -> dict[str, Merged]:
    """Return what is live with these changes taken back and everything later kept: "ours" is what was before them. Pure."""
    return {change.key: merge(change.after, live.get(change.key), change.before) for change in changes}


def _put_back(entry: Offered, reverted: Mapping[str, Merged], later: Mapping[str, str]) -> Offered:
    notes = (later[entry.key], *entry.notes) if entry.key in later else entry.notes
    return replace(entry, merged=reverted[entry.key], notes=notes)


def from_documents(
    session: Session, environment: str, source: str, documents: Entries, texts: Mapping[str, str]
) -> Offer:
    """Offer the entries of a file; what is live here and not in it is offered for removal, not ticked."""
    live = live_entries(session, environment)
    changes = diff(live, documents)
    notes = {
        change.key: "Is not in the bundle. Ticking it removes it here."
        for change in changes
        if change.after is None
    }
    return replace(_offer(session, environment, source, changes, live, unticked=notes), texts=texts)


def _offer(
    session: Session,
    environment: str,
    source: str,
    changes: Iterable[EntryChange],
    live: Entries,
    *,
    unticked: Mapping[str, str] | None = None,
) -> Offer:
    """Return changes as an offer; the entries in `unticked` have a note why they are not ticked."""
    changes = list(changes)
    latest = latest_release(session, environment)
    reasons = dict(unticked or {})
    offered = {change.key: change.after for change in changes}
    entries = []
    for change in changes:
        needs = sorted(references(change.key, change.after) - live.keys())
        nowhere = [words.entry_name(key) for key in needs if offered.get(key) is None]
        if nowhere:
            reasons.setdefault(
                change.key, f"Names what is neither live here nor offered: {', '.join(nowhere)}."
            )
        reason = reasons.get(change.key)
        entries.append(
            Offered(
                change.key,
                change.before,
                change.after,
                ticked=reason is None,
                notes=(reason,) if reason else (),
                needs=tuple(needs),
            )
        )
    return Offer(source, latest.number if latest else 0, tuple(entries))


def _with_shares_of(here: Document | None, document: Document) -> Document:
    """Return a configuration with one variant as it would stand here: its buckets are everybody, as they are spelled here.

    After a rollout they remember in which order they were handed out; that is no difference between environments, and
    neither is what rollouts count by, which each environment chooses.
    """
    variants = document.get("variants")
    if not isinstance(variants, list) or len(variants) != 1:
        return document
    mine = (here or {}).get("variants") or []
    ranges = mine[0]["ranges"] if len(mine) == 1 else [list(pair) for pair in EVERYBODY]
    unit = (here or document).get("unit", "user")
    return {**document, "unit": unit, "variants": [{**variants[0], "ranges": ranges}]}


def _why_not_promoted(change: EntryChange, environment: str, other: str) -> str | None:
    """Return why an entry is not ticked when another environment is promoted, or None."""
    if change.after is None:
        return f"Is not live in {other}. Ticking it removes it from {environment}."
    if change.key.startswith("gate/"):
        return f"A gate's share belongs to its environment. Ticking it brings the share of {other}."
    variants, mine = (len(_variants(document)) for document in (change.after, change.before))
    if variants > 1:
        return _why_no_rollout(change, environment, other)
    if mine > 1:
        return f"Is being rolled out in {environment}. Ticking it ends that rollout with this version."
    if _newest(change.after) < _newest(change.before):
        return f"Is older in {other} (version {_newest(change.after)}) than in {environment} (version {_newest(change.before)})."
    return None


def _variants(document: Document | None) -> list[Document]:
    return (document or {}).get("variants") or []


def _why_no_rollout(change: EntryChange, environment: str, other: str) -> str:
    there, here = _unit(change.after), _unit(change.before)
    if len(_variants(change.before)) > 1 and there != here:
        return f"Counts {there}s in {other} and {here}s in {environment}: ticking it draws everybody again."
    return f"Is being rolled out in {other}. Ticking it brings the shares of {other} as well."


def _unit(document: Document | None) -> str:
    return str((document or {}).get("unit", "user"))


def _newest(document: Document | None) -> int:
    """Return the highest version in a configuration or a template; 0 for what has none."""
    held = [document or {}, *_variants(document)]
    return max((each["version"] for each in held if isinstance(each.get("version"), int)), default=0)
