"""The private draft of a snippet: one for each person. Drafts leave no audit event."""

from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.drafts import Drafts, storable
from controlplane.runtime.profile import normalise
from controlplane.snippets.models import Snippet, SnippetDraft, SnippetVersion

DRAFTS: Final = Drafts(SnippetDraft, SnippetDraft.snippet_code)


def get_draft(session: Session, code: str, *, actor: Actor) -> SnippetDraft | None:
    """The person's unsaved work on a snippet."""
    return DRAFTS.find(session, code, actor=actor)


def save_draft(
    session: Session, snippet: Snippet, *, body: str, reason: str, base_version: int, actor: Actor
) -> SnippetDraft | None:
    """Keep this person's unsaved work, whatever state it is in; nobody else sees it.

    None when there is nothing to keep: somebody saved this very text since, most often the same person a moment ago.
    """
    actor.require(Role.EDITOR)
    body = normalise(body)
    DRAFTS.hold(session, snippet.code, actor=actor)
    versions = select(SnippetVersion.number, SnippetVersion.body).where(
        SnippetVersion.snippet_code == snippet.code
    )
    newest = session.execute(versions.order_by(SnippetVersion.number.desc()).limit(1)).one()
    if base_version < newest.number and body == newest.body:
        DRAFTS.drop(session, snippet.code, actor=actor)
        return None
    typed = storable({"body": body, "reason": reason})
    base = min(base_version, newest.number)
    return DRAFTS.keep(session, snippet.code, base_version=base, typed=typed, actor=actor)


def discard_draft(session: Session, snippet: Snippet, *, actor: Actor) -> None:
    """Throw this person's unsaved work away."""
    actor.require(Role.EDITOR)
    DRAFTS.discard(session, snippet.code, actor=actor)


def bring_draft_back(session: Session, snippet: Snippet, *, actor: Actor) -> bool:
    """Undo `discard_draft`; False when there is nothing to be had back any more."""
    actor.require(Role.EDITOR)
    return DRAFTS.bring_back(session, snippet.code, actor=actor)
