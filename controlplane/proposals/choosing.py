"""Choosing what to propose: from the address of a source to its offer, from what was ticked to a proposal or a release.

Sources are named in addresses: "saved", "release:12", "environment:staging", "release:12:revert", "change:<event>",
"bundle:<upload>".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.audit.queries import get_event
from controlplane.errors import Conflict, NotFound, Refused
from controlplane.proposals import bundle, decisions, reviewing, services, sources
from controlplane.proposals.decisions import Sent
from controlplane.proposals.models import Proposal
from controlplane.proposals.references import missing
from controlplane.proposals.saving import (
    hold_what_may_be_saved,
    text_as_version,
    texts_to_go_on_with,
    with_a_version,
)
from controlplane.proposals.sources import REVERTING, Offer, Offered
from controlplane.registry.models import Environment
from controlplane.releases import words
from controlplane.releases.authority import EMERGENCY, to_undo
from controlplane.releases.compose import Document
from controlplane.releases.diff import diff, same
from controlplane.releases.models import Release
from controlplane.releases.saved import live_entries
from controlplane.releases.services import lock_environment, publish_entries
from controlplane.rollouts.settling import settle_published
from controlplane.runtime.profile import normalise
from controlplane.snippets.expansion import wanted

_NEW_TEXT: Final = "Nobody has agreed to this text: take one of the others back at once, and propose yours."


@dataclass(frozen=True)
class Source:
    """A source that was asked for: what it offers, and how its page speaks of it. `reverts` is the release taken back."""

    address: str
    offer: Offer
    title: str
    lead: str
    before: str
    after: str
    reverts: int | None = None


@dataclass(frozen=True)
class Ticked:
    """What somebody ticked: keys, the digests that the page showed, and what was decided about fields."""

    keys: Sequence[str]
    seen: Mapping[str, str]
    sent: Mapping[str, Sent]


class Lacking(Refused):
    """What was ticked names entries that are neither live nor ticked; `keys` are those that are offered as well."""

    def __init__(self, offer: Offer, wanted: Mapping[str, Sequence[str]]) -> None:
        every = {key for keys in wanted.values() for key in keys}
        self.keys = sorted(key for key in every if offer.entry(key) is not None)
        told = (f"{words.entry_name(key)} needs {_names(keys)}" for key, keys in wanted.items())
        ticked = " What is needed is ticked now: look at it and send this again." if self.keys else ""
        super().__init__({"entries": f"Not live here: {'; '.join(told)}.{ticked}"})


class TextRefused(Refused):
    """A text of one's own cannot be taken; `key` is the entry, `message` says why."""

    def __init__(self, key: str, message: str) -> None:
        self.key, self.message = key, message
        super().__init__({decisions.text_name(key): message})


def source_at(session: Session, environment: Environment, address: str, *, actor: Actor) -> Source:
    """Return the source of this address, compared with what is live now; raises `NotFound`."""
    address = address.replace("\x00", "?")  # Postgres refuses to compare text with a NUL in it
    kind, _, rest = address.partition(":")
    match kind:
        case "saved" if not rest:
            return _saved(session, environment)
        case "environment":
            return _promotion(session, environment, rest)
        case "release" if rest.endswith(":revert"):
            return _revert(session, environment, _number(rest.removesuffix(":revert"), environment), address)
        case "release":
            return _earlier(session, environment, _number(rest, environment))
        case "change":
            return _change(session, environment, rest)
        case "bundle":
            return _bundle(session, environment, rest, actor=actor)
    raise NotFound("source", address)


def propose(
    session: Session,
    environment: str,
    address: str,
    ticked: Ticked,
    *,
    reason: str,
    actor: Actor,
    for_review: bool,
) -> Proposal:
    """Make a proposal of what was ticked and, if asked for, submit it.

    Raises `Conflict` when something is not as the page showed it, `Lacking` when something would miss what it names,
    `TextRefused`, and what `services.create` and `reviewing.submit` raise.
    """
    actor.require(Role.EDITOR)
    source = source_at(session, lock_environment(session, environment), address, actor=actor)
    documents = _documents(session, source, ticked, reason=reason, actor=actor)
    lacking = missing(documents, live_entries(session, environment).keys())
    if lacking:
        raise Lacking(source.offer, lacking)
    bundle.keep_texts(session, source.offer.texts, documents)
    proposal = services.create(
        session,
        environment,
        entries=documents,
        base=source.offer.base,
        reason=reason,
        source=source.offer.source,
        actor=actor,
    )
    if for_review:
        reviewing.submit(session, environment, proposal.number, revision=proposal.revision, actor=actor)
    return proposal


def revert_now(
    session: Session, environment: str, address: str, ticked: Ticked, *, reason: str, actor: Actor
) -> Release:
    """Take back what was ticked without asking anybody: an emergency, where the rules ask for more.

    Raises `Refused` for a source that takes nothing back, `TextRefused` for a text that somebody wrote anew where it goes
    around the rules, and as `propose` and `releases.services.publish_entries` do.
    """
    actor.require(Role.ON_CALL)
    row = lock_environment(session, environment)
    source = source_at(session, row, address, actor=actor)
    if source.reverts is None:
        raise Refused({"": "Only what takes something back may go live without anybody's agreement."})
    if to_undo(row, actor) is EMERGENCY:
        _refuse_new_texts(session, source, ticked)
    documents = _documents(session, source, ticked, reason=reason, actor=actor)
    live = {
        key: each.before for key in documents if (each := source.offer.entry(key)) and each.before is not None
    }
    changes = diff(live, {key: document for key, document in documents.items() if document is not None})
    release = publish_entries(
        session,
        environment,
        documents,
        reason=reason,
        actor=actor,
        action="release.reverted",
        sentence=f"took release {source.reverts} of {environment} back: {words.release_sentence(changes)}",
        source_name=source.offer.source,
        authority=EMERGENCY,
    )
    settle_published(session, release)
    return release


def _refuse_new_texts(session: Session, source: Source, ticked: Ticked) -> None:
    """Raise `TextRefused` for a text of one's own that is not just both changes put together, as the page began it."""
    for key in ticked.keys:
        entry, sent = source.offer.entry(key), ticked.sent.get(key)
        body = decisions.own_text(sent) if sent else None
        if entry is None or entry.merged is None or body is None or decisions.text_problem(body):
            continue
        sides = (entry.merged.base, entry.merged.theirs, entry.merged.ours)
        bodies = texts_to_go_on_with(session, [side["sha256"] for side in sides if side is not None])
        # What follows a snippet would go live with the snippet of today, which is new as well.
        is_new = normalise(body) != decisions.both_texts(key, entry.merged, bodies)
        if is_new or any(number is None for _, number in wanted(normalise(body))):
            raise TextRefused(key, _NEW_TEXT)


def sent_choices(source: Source, form: Mapping[str, Sequence[str]]) -> dict[str, Sent]:
    """Read what a form decides, entry by entry."""
    return {
        each.key: decisions.sent_of(form, each.key, each.merged)
        for each in source.offer.entries
        if each.merged
    }


def _documents(
    session: Session, source: Source, ticked: Ticked, *, reason: str, actor: Actor
) -> dict[str, Document | None]:
    """Return what the ticked entries become, once all of them are known to be what the page showed."""
    chosen = {key: source.offer.entry(key) for key in ticked.keys}
    moved = [key for key, each in chosen.items() if each is None or each.digest != ticked.seen.get(key)]
    if moved:
        raise Conflict(
            f"Changed since you opened this page: {_names(moved)}. Nothing was done; look at what is shown now."
        )
    why = reason if len(reason.strip()) > 2 else source.title
    hold_what_may_be_saved(
        session, {key: each.merged for key, each in chosen.items() if each and each.merged}
    )
    return {
        key: _document(session, each, ticked.sent.get(key, Sent({}, None)), reason=why, actor=actor)
        for key, each in chosen.items()
        if each is not None
    }


def _document(session: Session, entry: Offered, sent: Sent, *, reason: str, actor: Actor) -> Document | None:
    merged = entry.merged
    if merged is None:
        return entry.after
    body = decisions.own_text(sent)
    if body is not None:
        return own_version(session, entry.key, body, reason=reason, actor=actor)
    document = entry.decided(decisions.sides_of(sent, merged, otherwise=REVERTING))
    if same(document, merged.ours) or same(document, merged.theirs):
        return document
    return with_a_version(session, entry.key, document, reason=reason, actor=actor)


def own_version(session: Session, key: str, body: str, *, reason: str, actor: Actor) -> Document:
    """Return a template's document with a text of one's own; raises `TextRefused`."""
    problem = decisions.text_problem(body)
    if problem:
        raise TextRefused(key, problem)
    try:
        return text_as_version(session, key, body, reason=reason, actor=actor)
    except Refused as refusal:
        raise TextRefused(key, " ".join(refusal.errors.values())) from None


def _saved(session: Session, environment: Environment) -> Source:
    return Source(
        "saved",
        sources.from_saved(session, environment.code),
        "Propose what is saved",
        f"What is saved and differs from what is live in {environment.name}.",
        "Live",
        "Saved",
    )


def _earlier(session: Session, environment: Environment, number: int) -> Source:
    return Source(
        f"release:{number}",
        sources.from_release(session, environment.code, number),
        f"Propose to go back to release {number}",
        f"What differs between what is live in {environment.name} and release {number}. Nothing saved is lost.",
        "Live now",
        f"Release {number}",
    )


def _promotion(session: Session, environment: Environment, other: str) -> Source:
    row = session.get(Environment, other)
    if row is None or row.archived_at is not None or other == environment.code:
        raise NotFound("environment to promote", other)
    return Source(
        f"environment:{other}",
        sources.from_environment(session, environment.code, other),
        f"Promote {row.name} to {environment.name}",
        f"What is live in {row.name} and differs in {environment.name}. Shares and gates stay as they are, unless you tick them.",
        f"{environment.name} now",
        row.name,
    )


def _revert(session: Session, environment: Environment, number: int, address: str) -> Source:
    return Source(
        address,
        sources.from_change(session, environment.code, number),
        f"Revert release {number}",
        f"What release {number} changed is taken back. What came later stays, as far as it is about something else.",
        "Live now",
        "After the revert",
        reverts=number,
    )


def _change(session: Session, environment: Environment, identifier: str) -> Source:
    event = get_event(session, identifier)
    if event.release is None or event.environment != environment.code:
        raise NotFound("change to revert in this environment", identifier)
    return _revert(session, environment, event.release, f"change:{event.id}")


def _bundle(session: Session, environment: Environment, identifier: str, *, actor: Actor) -> Source:
    found = bundle.uploaded(session, identifier, actor=actor)
    pointer = found.pointer
    return Source(
        f"bundle:{identifier}",
        bundle.from_bundle(session, environment.code, found),
        "Import a bundle",
        f"Release {pointer.release} of {pointer.environment}, published {found.when}, "
        f"compared with what is live in {environment.name}. {found.vouched}",
        f"{environment.name} now",
        "Bundle",
    )


def _number(text: str, environment: Environment) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise NotFound("release", f"{text} of {environment.code}")
    return int(text)


def _names(keys: Sequence[str]) -> str:
    return ", ".join(words.entry_name(key) for key in keys)
