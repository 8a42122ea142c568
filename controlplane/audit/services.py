"""Writing the audit: one function, called by the services that change state and by nothing else."""

from sqlalchemy import null
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor
from controlplane.audit.identifiers import new_identifier
from controlplane.audit.keys_in_text import fields_without_keys, without_keys
from controlplane.audit.models import AuditEvent
from controlplane.audit.plain import one_line
from controlplane.audit.tickets import ticket_in
from controlplane.db import Json, now
from controlplane.reviews.opening import open_review


def record(
    session: Session,
    *,
    actor: Actor,
    action: str,
    object_kind: str,
    object_key: str,
    sentence: str,
    environment: str | None = None,
    reason: str | None = None,
    before: Json | None = None,
    after: Json | None = None,
    release: int | None = None,
    proposal: int | None = None,
    emergency: bool = False,
    effect_share: int | None = None,
    approvals: int | None = None,
    approvals_needed: int | None = None,
) -> AuditEvent:
    """Add one event in the caller's transaction and return it, numbered and chained by the database.

    `action` is "<object>.<verb in the past>"; `sentence` says in words what was done and to what effect, past tense,
    without the actor: "raised version 3 of COACHING_RESPONSE · premium from 10 % to 50 %". `emergency` marks what was done without the
    agreement that the environment asks for. With the event goes the review of it: how risky it is, and who has to look.

    `effect_share` is how many of all users get something else, in hundred-thousandths; `approvals` of `approvals_needed`
    people agreed. Both are said where they are known: they cannot be found out later.

    A key or password that came in here nevertheless is replaced by its fingerprint: nothing is ever taken out of the record.
    """
    event = AuditEvent(
        id=new_identifier(),
        at=now(),
        **_by(actor),
        action=one_line(action),
        object_kind=one_line(object_kind),
        object_key=one_line(object_key),
        environment=environment,
        sentence=without_keys(one_line(sentence)),
        reason=without_keys(one_line(reason)) if reason else None,
        ticket=ticket_in(reason),
        effect_share=effect_share,
        approvals=approvals,
        approvals_needed=approvals_needed,
        before=fields_without_keys(before) if before is not None else null(),
        after=fields_without_keys(after) if after is not None else null(),
        release=release,
        proposal=proposal,
        emergency=emergency,
    )
    session.add(event)
    session.flush()
    open_review(session, event, before=before, after=after)
    return event


def _by(actor: Actor) -> dict[str, str | None]:
    """Who did it and how they came, each in one line: what is shown of them began as a stranger's text."""
    return {
        "actor_kind": actor.kind,
        "actor_id": one_line(actor.id),
        "actor_name": one_line(actor.name),
        "actor_role": actor.role.value,
        "via": actor.via,
        "token": actor.token,
        "owner_id": actor.owner_id,
        "owner_name": one_line(actor.owner_name) if actor.owner_name else None,
        "request_id": one_line(actor.request_id) if actor.request_id else None,
        "address": one_line(actor.address) if actor.address else None,
        "user_agent": one_line(actor.user_agent)[:300] if actor.user_agent else None,
    }
