"""What the pages to choose from and to decide on show, worked out before any template sees it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.prompts import textdiff
from controlplane.prompts.services import as_written
from controlplane.proposals import decisions
from controlplane.proposals.choosing import Source
from controlplane.proposals.conflicts import EntryConflict, conflicts_of
from controlplane.proposals.content import included_in
from controlplane.proposals.decisions import Decision, Sent, Taken
from controlplane.proposals.models import Proposal
from controlplane.proposals.saving import texts_to_go_on_with
from controlplane.proposals.sources import REVERTING, Offer, Offered
from controlplane.proposals.states import State
from controlplane.registry.models import Environment
from controlplane.releases import words
from controlplane.releases.authority import EMERGENCY, approvals_needed
from controlplane.releases.compose import Document
from controlplane.releases.diff import EntryChange, diff, same
from controlplane.releases.models import Release
from controlplane.releases.pages import EntryView, UrlOf, entry_views
from controlplane.releases.saved import bodies_by_hash


@dataclass(frozen=True)
class OfferedView:
    """One entry to be ticked: how it differs, what speaks against it, what has to come with it, what is to be decided."""

    view: EntryView
    ticked: bool
    notes: tuple[str, ...]
    needs: list[str]
    decisions: list[Decision]
    digest: str


@dataclass(frozen=True)
class ChoosingPage:
    """Entries to choose from; `protected` says that a reason is asked for.

    `direct` says that taking back at once is open to this person, `emergency` that it is one.
    """

    source: Source
    entries: list[OfferedView]
    protected: bool
    rule: str
    direct: bool
    emergency: bool


@dataclass(frozen=True)
class DecidedView:
    """One entry that moved: who moved it, what is to be decided, and what only one side changed."""

    key: str
    name: str
    release: Release | None
    decisions: list[Decision]
    taken: list[Taken]
    digest: str


@dataclass(frozen=True)
class DecidingPage:
    """A proposal some of whose entries moved meanwhile; `others` are the names of those that did not."""

    proposal: Proposal
    entries: list[DecidedView]
    others: list[str]

    @property
    def over(self) -> bool:
        """Whether nothing can come of it any more."""
        return State(self.proposal.state).is_over

    @property
    def stopped(self) -> bool:
        """Whether it waits for somebody to choose, even if by now nothing is in the way."""
        return self.proposal.state == State.CONFLICTED


def choosing_page(
    session: Session,
    environment: Environment,
    source: Source,
    *,
    actor: Actor,
    url_of: UrlOf,
    sent: Mapping[str, Sent],
) -> ChoosingPage:
    """Return the page of a source; `sent` is what somebody decided, by key."""
    changes = _changes(source.offer)
    views = {view.key: view for view in entry_views(session, changes, url_of)}
    offered = sorted(source.offer.entries, key=lambda each: list(views).index(each.key))
    bodies = _bodies(session, source.offer)
    written = {**bodies, **as_written(session, bodies)}
    entries = [_offered(each, _with_text(views[each.key], each, bodies), sent, written) for each in offered]
    rule = approvals_needed(environment) if environment.approvals else ""
    direct = source.reverts is not None and actor.role.includes(Role.ON_CALL)
    emergency = EMERGENCY.is_emergency_in(environment)
    return ChoosingPage(
        source=source,
        entries=entries,
        protected=environment.protected or (direct and emergency),
        rule=rule,
        direct=direct,
        emergency=emergency,
    )


def deciding_page(session: Session, proposal: Proposal, raw: Mapping[str, Sequence[str]]) -> DecidingPage:
    """Return the page of a proposal's conflicts; `raw` is what somebody sent already."""
    found = conflicts_of(session, proposal)
    moved = {each.key for each in found}
    return DecidingPage(
        proposal=proposal,
        entries=[_decided(session, each, raw) for each in found],
        others=[
            words.entry_name(each.key) for each in included_in(session, proposal) if each.key not in moved
        ],
    )


def forgotten_texts(offered: Iterable[Decision], raw: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return what to say beside texts that somebody worked on although another side is chosen, by name of the field.

    `offered` are the decisions as they were before anybody typed. A field that was emptied is no work to be lost.
    """
    said = "You changed this text, but it is not what is chosen above. Choose it there, or empty this field."
    return {
        each.text.name: said
        for each in offered
        if each.text is not None
        and raw.get(each.name, [each.chosen])[0] != decisions.OWN
        and _lines(raw.get(each.text.name, [""])[0]) not in ([], _lines(each.text.body))
    }


def _lines(text: str) -> list[str]:
    return text.strip().splitlines()


def _decided(session: Session, conflict: EntryConflict, raw: Mapping[str, Sequence[str]]) -> DecidedView:
    merged = conflict.merged
    sides = [side for side in (merged.base, merged.theirs, merged.ours) if side is not None]
    hashes = _hashes(sides) if conflict.key.startswith("prompt/") else []
    return DecidedView(
        key=conflict.key,
        name=conflict.name,
        release=conflict.release,
        decisions=decisions.decisions(
            conflict.key,
            merged,
            decisions.sent_of(raw, conflict.key, merged),
            texts_to_go_on_with(session, hashes),
            otherwise="ours",
        ),
        taken=decisions.taken(conflict.key, merged),
        digest=conflict.digest,
    )


def _changes(offer: Offer) -> list[EntryChange]:
    return diff(
        {each.key: each.before for each in offer.entries if each.before is not None},
        {each.key: each.after for each in offer.entries if each.after is not None},
    )


def _bodies(session: Session, offer: Offer) -> dict[str, str]:
    """Return the texts by hash that a bundle brings, and those that somebody has to decide about."""
    sides = [
        side
        for each in offer.entries
        if each.key.startswith("prompt/") and (each.conflicts or offer.texts)
        for side in (each.before, each.after, *_sides(each))
    ]
    return {**offer.texts, **bodies_by_hash(session, _hashes(sides))}


def _hashes(documents: Iterable[Document | None]) -> list[str]:
    """Return the hashes of the texts of these templates."""
    return [document["sha256"] for document in documents if document is not None]


def _sides(entry: Offered) -> Sequence[Document | None]:
    merged = entry.merged
    return (merged.base, merged.theirs, merged.ours) if merged else ()


def _with_text(view: EntryView, entry: Offered, bodies: Mapping[str, str]) -> EntryView:
    """Return the view with the lines of a text that perhaps only a bundle has."""
    digest = str((entry.after or {}).get("sha256"))
    if not entry.key.startswith("prompt/") or digest not in bodies:
        return view
    old = bodies.get((entry.before or {}).get("sha256", ""), "")
    rows = textdiff.lines(old, bodies[digest])
    return replace(view, text=rows, text_summary=str(textdiff.summary(rows)))


def _offered(
    entry: Offered,
    view: EntryView,
    sent: Mapping[str, Sent],
    bodies: Mapping[str, str],
) -> OfferedView:
    asked: list[Decision] = []
    if entry.merged is not None:
        asked = decisions.decisions(
            entry.key,
            entry.merged,
            sent.get(entry.key, Sent({}, None)),
            bodies,
            otherwise=REVERTING,
        )
        if not same(entry.after, entry.merged.ours):
            # Old and later in one: what version that is turns out when it is saved.
            view = replace(view, rows=[row for row in view.rows if row.field != "Version"])
    return OfferedView(
        view=view,
        ticked=entry.ticked,
        notes=entry.notes,
        needs=[words.entry_name(key) for key in entry.needs],
        decisions=asked,
        digest=entry.digest,
    )
