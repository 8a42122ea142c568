"""The private draft of a template that is not there yet: one for each person and interaction, kept as typed."""

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.drafts import Drafts, storable
from controlplane.prompts.models import NewPromptDraft
from controlplane.samples.values import PREFIX

NEW_DRAFTS: Final = Drafts(NewPromptDraft, NewPromptDraft.interaction)
_KEPT: Final = frozenset({"code", "description", "reason", "body"})


def get_draft(session: Session, interaction: str, *, actor: Actor) -> NewPromptDraft | None:
    """Return this person's template for an interaction that is not saved yet."""
    return NEW_DRAFTS.find(session, interaction, actor=actor)


def list_drafts(session: Session, *, actor: Actor) -> list[NewPromptDraft]:
    """Return all of this person's, by interaction."""
    return NEW_DRAFTS.all_of(session, actor=actor)


def save_draft(
    session: Session, interaction: str, *, form: Mapping[str, Sequence[str]], actor: Actor
) -> NewPromptDraft:
    """Keep what was typed, whatever state it is in; nobody else sees it."""
    actor.require(Role.EDITOR)
    fields = {name: list(sent) for name, sent in form.items() if name in _KEPT or name.startswith(PREFIX)}
    NEW_DRAFTS.hold(session, interaction, actor=actor)
    typed = {"fields": storable(fields)}
    return NEW_DRAFTS.keep(session, interaction, base_version=0, typed=typed, actor=actor)


def discard_draft(session: Session, interaction: str, *, actor: Actor) -> None:
    """Throw it away."""
    actor.require(Role.EDITOR)
    NEW_DRAFTS.discard(session, interaction, actor=actor)


def bring_draft_back(session: Session, interaction: str, *, actor: Actor) -> bool:
    """Undo `discard_draft`; False when there is nothing to be had back any more."""
    actor.require(Role.EDITOR)
    return NEW_DRAFTS.bring_back(session, interaction, actor=actor)
