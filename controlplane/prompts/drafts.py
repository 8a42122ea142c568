"""The private draft of a template: one for each person. Drafts leave no audit event; what they become does."""

from typing import Final

from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.db import Json
from controlplane.drafts import TextDrafts, storable
from controlplane.prompts.models import Prompt, PromptDraft, PromptVersion

DRAFTS: Final = TextDrafts(PromptDraft, PromptDraft.prompt_code, PromptVersion.prompt_code)


def get_draft(session: Session, code: str, *, actor: Actor) -> PromptDraft | None:
    """Return this person's unsaved work on a prompt."""
    return DRAFTS.find(session, code, actor=actor)


def draft_codes(session: Session, *, actor: Actor) -> set[str]:
    """Return the prompts on which this person has unsaved work."""
    return {draft.prompt_code for draft in DRAFTS.all_of(session, actor=actor)}


def save_draft(
    session: Session, prompt: Prompt, *, body: str, parameters: Json, base_version: int, actor: Actor
) -> PromptDraft | None:
    """Keep this person's unsaved work and the values it was tried with; None when it is the newest version by now."""
    actor.require(Role.EDITOR)
    beside = {"parameters": storable(parameters)}
    return DRAFTS.keep_text(
        session, prompt.code, body=body, beside=beside, base_version=base_version, actor=actor
    )


def discard_draft(session: Session, prompt: Prompt, *, actor: Actor) -> None:
    """Throw this person's unsaved work away."""
    actor.require(Role.EDITOR)
    DRAFTS.discard(session, prompt.code, actor=actor)


def bring_draft_back(session: Session, prompt: Prompt, *, actor: Actor) -> bool:
    """Undo `discard_draft`; False when there is nothing to be had back any more."""
    actor.require(Role.EDITOR)
    return DRAFTS.bring_back(session, prompt.code, actor=actor)
