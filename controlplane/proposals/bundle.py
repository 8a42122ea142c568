"""A release in a file, as `cli bundle` of this or another installation writes it, to be chosen from.

Whatever the file holds is a stranger's: it is read as a client reads a release, checked as a whole by the rules of
publishing, and nothing of it is kept beyond a day unless it becomes part of a proposal.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.audit.identifiers import new_identifier
from controlplane.db import now
from controlplane.errors import NotFound, Refused
from controlplane.prompts.inspection import inspector
from controlplane.prompts.models import PromptVersion
from controlplane.proposals.models import UploadedBundle
from controlplane.proposals.sources import Offer, Offered, from_documents
from controlplane.releases import words
from controlplane.releases.compose import Document
from controlplane.releases.content import by_entry
from controlplane.releases.models import ImportedText
from controlplane.releases.saved import body_hashes
from controlplane.runtime.acceptance import PointerRefused, check_bytes, check_pointer
from controlplane.runtime.disk import Copy, from_bytes
from controlplane.runtime.errors import ControlPlaneRuntimeError
from controlplane.runtime.signing import Verifier
from controlplane.runtime.snapshot import Snapshot
from controlplane.runtime.stores.base import Pointer
from controlplane.runtime.validate import Problem, validate_raws

MOST_BYTES: Final = 8 * 1024 * 1024
KEPT: Final = dt.timedelta(days=1)
_PROBLEMS_TOLD: Final = 5
_KEPT_OF_A_PERSON: Final = 3


@dataclass(frozen=True)
class Bundle:
    """What a file holds: the release it was, its entries, and the texts they name by hash."""

    pointer: Pointer
    documents: Mapping[str, Document]
    texts: Mapping[str, str]
    refused: Mapping[str, str] = field(default_factory=dict)
    """Why a text can be no template here, by hash: it was written under other rules, or by a stranger."""
    signed_by: str | None = None
    """The key that vouches for it, of those known here."""

    @property
    def source(self) -> str:
        """As a proposal keeps it."""
        return f"bundle of {self.pointer.environment} release {self.pointer.release}"

    @property
    def when(self) -> str:
        """When it was published, as the file says: "22 Nov 2026, 10:40 UTC"."""
        try:
            moment = dt.datetime.fromisoformat(self.pointer.published_at or "").astimezone(dt.UTC)
        except (ValueError, OverflowError):
            return "at an unknown time"
        return f"{moment.day} {moment:%b %Y, %H:%M} UTC"

    @property
    def vouched(self) -> str:
        """Who vouches for it, in words."""
        if self.signed_by:
            return f"Signed with the key {self.signed_by}, which is known here: it is as it was published."
        return (
            "No key that is known here has signed it: nobody but you vouches for where the file comes from."
        )


def read(data: bytes) -> Bundle:
    """Return what a file holds; raises `Refused` with what is wrong with it, beside the field "bundle".

    A text that can be no template here spoils nothing but the entries that need it. May raise `RenderBusy`.
    """
    if len(data) > MOST_BYTES:
        raise _refused(f"This file has {len(data):,} bytes; {MOST_BYTES:,} are the most.")
    copy = _copy_in(data)
    if copy is None:
        raise _refused("This is not a bundle. Make one with: ./run cli bundle ENVIRONMENT > FILE")
    pointer = copy.pointer
    try:
        check_pointer(pointer, environment=pointer.environment, current=None)
        check_bytes(pointer, copy.data)
        snapshot = Snapshot.load(
            copy.data, release=pointer.release, environment=pointer.environment, limit=MOST_BYTES
        )
        documents, texts = snapshot.documents(), snapshot.bodies()
    except ControlPlaneRuntimeError as problem:
        raise _refused(f"This bundle is damaged or of another version: {problem}.") from None
    if _holds_zero([pointer.published_at, documents]):
        raise _refused("This bundle has a zero byte in it, which cannot be kept here.")
    inspect = inspector(texts)
    seen = {sha256: inspect(sha256, body).problem for sha256, body in texts.items()}
    refused = {sha256: why for sha256, why in seen.items() if why is not None}
    problems = validate_raws(snapshot.raws, texts, inspect=inspect)
    others = [each for each in problems if each.key.removeprefix("body/") not in refused]
    if others:
        raise _refused(_told(by_entry(others, snapshot.raws)))
    return Bundle(pointer, documents, texts, refused)


def keep(session: Session, data: bytes, *, verifier: Verifier, actor: Actor) -> UploadedBundle:
    """Keep a file for as long as its uploader chooses; raises what `read` does. Not audited: nothing comes of it yet.

    One that claims a key of `verifier` and is not what that key signed is refused. One of a key unknown here, or of
    none, is taken, and its page says so: bundles come from other installations, and every entry is looked at.
    """
    actor.require(Role.EDITOR)
    signed_by = _signed_by(read(data).pointer, verifier)
    session.execute(delete(UploadedBundle).where(UploadedBundle.uploaded_at < now() - KEPT))
    mine = select(UploadedBundle.id).where(UploadedBundle.person_id == actor.id)
    older = session.scalars(mine.order_by(UploadedBundle.id.desc()).offset(_KEPT_OF_A_PERSON - 1)).all()
    session.execute(delete(UploadedBundle).where(UploadedBundle.id.in_(older)))
    uploaded = UploadedBundle(
        id=new_identifier(), person_id=actor.id, data=data, signed_by=signed_by, uploaded_at=now()
    )
    session.add(uploaded)
    session.flush()
    return uploaded


def uploaded(session: Session, identifier: str, *, actor: Actor) -> Bundle:
    """Return what this person uploaded; raises `NotFound` for what is gone or somebody else's."""
    found = session.get(UploadedBundle, identifier) if identifier.isalnum() else None
    if found is None or found.person_id != actor.id:
        raise NotFound("uploaded bundle", f"{identifier}: it is kept for a day. Upload the file again")
    return replace(read(found.data), signed_by=found.signed_by)


def from_bundle(session: Session, environment: str, bundle: Bundle) -> Offer:
    """Offer the entries of a bundle that differ from what is live; of the same file twice, nothing is left the second time.

    An entry whose text can be no template here is not ticked and says why.
    """
    offer = from_documents(session, environment, bundle.source, bundle.documents, bundle.texts)
    notes = _other_texts(session, bundle)
    entries = [
        each.noted(notes[each.key]) if each.key in notes and each.after is not None else each
        for each in offer.entries
    ]
    return offer.of(_without_refused(each, bundle.refused) for each in entries)


def keep_texts(session: Session, texts: Mapping[str, str], proposed: Mapping[str, Document | None]) -> None:
    """Keep the texts that these entries name, so that they can be published; in the transaction of the proposal."""
    documents = {key: document for key, document in proposed.items() if document is not None}
    named = set(body_hashes(documents)) & texts.keys()
    if named:
        rows = [{"sha256": each, "body": texts[each], "imported_at": now()} for each in sorted(named)]
        session.execute(insert(ImportedText).on_conflict_do_nothing(), rows)


def _signed_by(pointer: Pointer, verifier: Verifier) -> str | None:
    if not verifier.knows(pointer.key_id):
        return None
    try:
        verifier.verify(pointer)
    except PointerRefused as problem:
        raise _refused(f"Somebody changed this bundle since it was published: {problem}.") from None
    return pointer.key_id


def _without_refused(offered: Offered, refused: Mapping[str, str]) -> Offered:
    """Return an entry unticked, with the reason, when a text that it needs is refused."""
    named = body_hashes({offered.key: offered.after}) if offered.after is not None and refused else ()
    reasons = [refused[sha256] for sha256 in named if sha256 in refused]
    for reason in reasons:
        offered = offered.noted(
            f"Cannot go live: its text can be no template here. {reason[0].upper()}{reason[1:]}."
        )
    return replace(offered, ticked=False) if reasons else offered


def _copy_in(data: bytes) -> Copy | None:
    try:
        return from_bytes(data, age_seconds=0)
    except RecursionError:  # a first line that is nested without end
        return None


def _holds_zero(value: Any) -> bool:
    """Say whether a text in this value has a zero byte: Postgres takes none, not even in what only tells of it."""
    match value:
        case str():
            return "\x00" in value
        case list():
            return any(map(_holds_zero, value))
        case Mapping():
            return any(_holds_zero(name) or _holds_zero(each) for name, each in value.items())
    return False


def _other_texts(session: Session, bundle: Bundle) -> dict[str, str]:
    """Return the templates whose number means another text here, with a sentence that says so."""
    theirs = {
        (key.partition("/")[2], document["version"]): (key, document["sha256"])
        for key, document in bundle.documents.items()
        if key.startswith("prompt/")
    }
    codes = {code for code, _ in theirs}
    query = select(PromptVersion.prompt_code, PromptVersion.number, PromptVersion.sha256).where(
        PromptVersion.prompt_code.in_(sorted(codes))
    )
    found = {}
    for code, number, sha256 in session.execute(query):
        key, brought = theirs.get((code, number), ("", sha256))
        if brought != sha256:
            found[key] = f"Version {number} is another text here than in the bundle."
    return found


def _told(problems: list[Problem]) -> str:
    told = [
        f"{words.entry_name(each.key)}: {each.message}" if each.key else each.message
        for each in problems[:_PROBLEMS_TOLD]
    ]
    rest = len(problems) - len(told)
    return "Services would refuse this release. " + "; ".join(told) + (f"; and {rest} more." if rest else ".")


def _refused(message: str) -> Refused:
    return Refused({"bundle": message})
