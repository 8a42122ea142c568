"""The private draft of a template: one for each person. Drafts leave no audit event; what they become does."""

from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.db import Json
from controlplane.drafts import Drafts, storable
from controlplane.prompts.models import Prompt, PromptDraft, PromptVersion
from controlplane.runtime.profile import normalise

DRAFTS: Final = Drafts(PromptDraft, PromptDraft.prompt_code)


def get_draft(session: Session, code: str, *, actor: Actor) -> PromptDraft | None:
    """Return this person's unsaved work on a prompt."""
    return DRAFTS.find(session, code, actor=actor)


def draft_codes(session: Session, *, actor: Actor) -> set[str]:
    """Return the prompts on which this person has unsaved work."""
    return {draft.prompt_code for draft in DRAFTS.all_of(session, actor=actor)}


def save_draft(
    session: Session, prompt: Prompt, *, body: str, parameters: Json, base_version: int, actor: Actor
) -> PromptDraft | None:
    """Keep this person's unsaved work, whatever state it is in; nobody else sees it.

    None when there is nothing to keep: somebody saved this very text since, most often the same person a moment ago.
    """
    actor.require(Role.EDITOR)
    body = normalise(body)
    DRAFTS.hold(session, prompt.code, actor=actor)
    versions = select(PromptVersion.number, PromptVersion.body).where(
        PromptVersion.prompt_code == prompt.code
    )
    newest = session.execute(versions.order_by(PromptVersion.number.desc()).limit(1)).one()
    if base_version < newest.number and body == newest.body:
        DRAFTS.drop(session, prompt.code, actor=actor)
        return None
    typed = {**storable({"body": body}), "parameters": storable(parameters)}
    return DRAFTS.keep(session, prompt.code, base_version=base_version, typed=typed, actor=actor)


def discard_draft(session: Session, prompt: Prompt, *, actor: Actor) -> None:
    """Throw this person's unsaved work away."""
    actor.require(Role.EDITOR)
    DRAFTS.discard(session, prompt.code, actor=actor)


def bring_draft_back(session: Session, prompt: Prompt, *, actor: Actor) -> bool:
    """Undo `discard_draft`; False when there is nothing to be had back any more."""
    actor.require(Role.EDITOR)
    return DRAFTS.bring_back(session, prompt.code, actor=actor)
