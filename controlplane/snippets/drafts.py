"""The private draft of a snippet: one for each person. Drafts leave no audit event."""

from typing import Final

from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.drafts import TextDrafts, storable
from controlplane.snippets.models import Snippet, SnippetDraft, SnippetVersion

DRAFTS: Final = TextDrafts(SnippetDraft, SnippetDraft.snippet_code, SnippetVersion.snippet_code)


def get_draft(session: Session, code: str, *, actor: Actor) -> SnippetDraft | None:
    """The person's unsaved work on a snippet."""
    return DRAFTS.find(session, code, actor=actor)


def save_draft(
    session: Session, snippet: Snippet, *, body: str, reason: str, base_version: int, actor: Actor
) -> SnippetDraft | None:
    """Keep this person's unsaved work and its reason so far; None when it is the newest version by now."""
    actor.require(Role.EDITOR)
    beside = storable({"reason": reason})
    return DRAFTS.keep_text(
        session, snippet.code, body=body, beside=beside, base_version=base_version, actor=actor
    )


def discard_draft(session: Session, snippet: Snippet, *, actor: Actor) -> None:
    """Throw this person's unsaved work away."""
    actor.require(Role.EDITOR)
    DRAFTS.discard(session, snippet.code, actor=actor)


def bring_draft_back(session: Session, snippet: Snippet, *, actor: Actor) -> bool:
    """Undo `discard_draft`; False when there is nothing to be had back any more."""
    actor.require(Role.EDITOR)
    return DRAFTS.bring_back(session, snippet.code, actor=actor)
