"""Changing the registry: tiers, models, interactions and environments.

Every function takes the session first and the actor as a keyword, needs the role Admin, flushes and never commits.
What is saved here is live in an environment only once it has been published there.
"""

import secrets
from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.audit.services import record
from controlplane.db import Base, Json, now
from controlplane.errors import Conflict, NotFound, Refused
from controlplane.registry import usage
from controlplane.registry.inputs import EnvironmentInput, InteractionInput, ModelInput, TierInput
from controlplane.registry.models import Environment, Interaction, Model, Tier
from controlplane.registry.words import changes_in_words, fields_of
from controlplane.runtime.bucketing import ALGORITHM

Row = TypeVar("Row", Tier, Model, Interaction, Environment)

KINDS: dict[type[Base], str] = {
    Tier: "tier",
    Model: "model",
    Interaction: "interaction",
    Environment: "environment",
}
_USES = {
    "tier": usage.uses_of_tier,
    "model": usage.uses_of_model,
    "interaction": usage.uses_of_interaction,
    "environment": usage.uses_of_environment,
}


def list_tiers(session: Session, *, archived: bool = False) -> Sequence[Tier]:
    """The tiers, lowest first; archived ones only when asked for."""
    return session.scalars(_select(Tier, archived).order_by(Tier.rank, Tier.code)).all()


def list_models(session: Session, *, archived: bool = False) -> Sequence[Model]:
    """The models by provider and code; archived ones only when asked for."""
    return session.scalars(_select(Model, archived).order_by(Model.provider, Model.code)).all()


def list_interactions(session: Session, *, archived: bool = False) -> Sequence[Interaction]:
    """The interactions by category and code; archived ones only when asked for."""
    return session.scalars(
        _select(Interaction, archived).order_by(Interaction.category, Interaction.code)
    ).all()


def list_environments(session: Session, *, archived: bool = False) -> Sequence[Environment]:
    """The environments in the order changes travel; archived ones only when asked for."""
    return session.scalars(
        _select(Environment, archived).order_by(Environment.position, Environment.code)
    ).all()


def get(session: Session, kind: type[Row], code: str) -> Row:
    """One row of the registry, archived or not; raises NotFound."""
    row = session.get(kind, code)
    if row is None:
        raise NotFound(KINDS[kind], code)
    return row


def create_tier(session: Session, values: TierInput, *, actor: Actor) -> Tier:
    """Add a tier; raises Refused when the code is taken."""
    return _create(session, Tier(**values.model_dump()), actor=actor)


def create_model(session: Session, values: ModelInput, *, actor: Actor) -> Model:
    """Add a model; raises Refused when the code is taken."""
    return _create(session, Model(**values.model_dump()), actor=actor)


def create_environment(session: Session, values: EnvironmentInput, *, actor: Actor) -> Environment:
    """Add an environment; nothing is live in it until its first release."""
    return _create(session, Environment(**values.model_dump()), actor=actor)


def create_interaction(session: Session, values: InteractionInput, *, actor: Actor) -> Interaction:
    """Add an interaction with its declared parameters; its gate's salt is made here and never changes."""
    gate = {"gate_salt": secrets.token_hex(8), "gate_algorithm": ALGORITHM}
    return _create(session, Interaction(**values.model_dump(), **gate), actor=actor)


def update(
    session: Session, row: Row, values: BaseModel, *, revision: int, reason: str | None = None, actor: Actor
) -> Row:
    """Change a row; `revision` is the one the form was made from.

    Raises Conflict when somebody changed the row since, Refused when nothing differs or the code does.
    """
    actor.require(Role.ADMIN)
    _lock(session, row)
    if row.revision != revision:
        raise Conflict(f"{KINDS[type(row)].capitalize()} {row.code} was changed by somebody else meanwhile.")
    given = values.model_dump()
    if given.pop("code") != row.code:
        raise Refused(
            {"code": "A code is for ever: entries, audit and application code know the object by it."}
        )
    _keep_prompts_whole(session, row, given)
    before = fields_of(row)
    for name, value in given.items():
        setattr(row, name, value)
    after = fields_of(row)
    if before == after:
        raise Refused({"": "Nothing was changed."})
    row.revision += 1
    _record(
        session,
        row,
        "changed",
        changes_in_words(before, after),
        before=before,
        after=after,
        reason=reason,
        actor=actor,
    )
    return row


def archive(session: Session, row: Row, *, reason: str | None = None, actor: Actor) -> None:
    """Take a row out of use; raises Refused with the list of where when it is in use."""
    actor.require(Role.ADMIN)
    _lock(session, row)
    if row.archived_at is not None:
        raise Refused({"": "It is archived already."})
    uses = uses_of(session, row)
    if uses:
        raise Refused({"": "It is in use: " + "; ".join(use.words for use in uses) + "."})
    row.archived_at = now()
    row.revision += 1
    _record(session, row, "archived", "nothing uses it", reason=reason, actor=actor, **_archived(now=True))


def restore(session: Session, row: Row, *, reason: str | None = None, actor: Actor) -> None:
    """Bring an archived row back into use."""
    actor.require(Role.ADMIN)
    _lock(session, row)
    if row.archived_at is None:
        raise Refused({"": "It is not archived."})
    row.archived_at = None
    row.revision += 1
    _record(
        session, row, "restored", "it may be used again", reason=reason, actor=actor, **_archived(now=False)
    )


def _archived(*, now: bool) -> dict[str, Json]:
    return {"before": {"archived": not now}, "after": {"archived": now}}


def uses_of(session: Session, row: Row) -> list[usage.Use]:
    """Where the row is in use, saved or live."""
    return _USES[KINDS[type(row)]](session, row.code)


def _keep_prompts_whole(session: Session, row: Row, given: Json) -> None:
    """Refuse a declaration that takes away what a saved prompt uses: it could not be rendered any more."""
    if not isinstance(row, Interaction):
        return
    declared = [parameter["name"] for parameter in given["parameters"]]
    broken = usage.prompts_left_without(session, row.code, declared)
    if broken:
        raise Refused(
            {"parameters": f"Still in use: {'; '.join(broken)}. Save those templates without them first."}
        )


def _select(kind: type[Row], archived: bool) -> Any:  # noqa: FBT001 - private, and named at each call
    query = select(kind)
    return query if archived else query.where(kind.archived_at.is_(None))


def _lock(session: Session, row: Row) -> None:
    session.refresh(row, with_for_update=True)


def _create(session: Session, row: Row, *, actor: Actor) -> Row:
    actor.require(Role.ADMIN)
    if session.get(type(row), row.code) is not None:
        raise Refused({"code": f"There is a {KINDS[type(row)]} {row.code} already."})
    session.add(row)
    session.flush()
    _record(session, row, "added", None, after=fields_of(row), actor=actor)
    return row


def _record(
    session: Session,
    row: Row,
    verb: str,
    effect: str | None,
    *,
    actor: Actor,
    before: Json | None = None,
    after: Json | None = None,
    reason: str | None = None,
) -> None:
    kind = KINDS[type(row)]
    sentence = f"{verb} {kind} {row.code}"
    record(
        session,
        actor=actor,
        action=f"{kind}.{verb}",
        object_kind=kind,
        object_key=row.code,
        sentence=f"{sentence}: {effect}" if effect else sentence,
        before=before,
        after=after,
        reason=reason,
    )
