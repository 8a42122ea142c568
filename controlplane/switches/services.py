"""Throwing and lifting kill switches: the only functions that do. Each is one audit event and one call to the worker.

Nobody has to agree first, in either direction. Both change at once what every call does, so both are marked as an emergency
where something live has rules: to throw goes around what was agreed to, and to lift lets loose what somebody stopped.

The row of the environment's document is locked before the audit event is written, and nothing else is: a switch does not wait
for a release that is just being made.
"""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from controlplane import chores
from controlplane.accounts.actor import Actor, Role
from controlplane.audit.keys_in_text import problem_of
from controlplane.audit.models import AuditEvent
from controlplane.audit.services import record
from controlplane.db import Json, now
from controlplane.errors import Conflict, NotFound, Refused
from controlplane.registry.models import Environment, Interaction
from controlplane.runtime.stores.base import SWITCHES_LIMIT
from controlplane.runtime.switches import document
from controlplane.switches.documents import as_obeyed, next_version
from controlplane.switches.models import EVERYTHING, KillSwitch, SwitchDocument

REASON_LENGTH = range(10, 501)
OBJECT_KIND = "switch"
# What interactions leave free in a document for its signature and for the switch of everything.
_KEPT_FREE = 8 * 1024


def thrown_in(session: Session, environment: str) -> Sequence[KillSwitch]:
    """Return what is thrown there: the switch of everything first, then by the interaction's code."""
    query = select(KillSwitch).where(KillSwitch.environment == environment)
    return session.scalars(query.order_by(KillSwitch.target != EVERYTHING, KillSwitch.target)).all()


def lock_document(session: Session, environment: str) -> SwitchDocument:
    """Hold the environment's document, made when it is not there yet, to the end of the transaction."""
    session.execute(
        insert(SwitchDocument).values(environment=environment, version=0).on_conflict_do_nothing()
    )
    return session.get_one(SwitchDocument, environment, with_for_update=True, populate_existing=True)


def throw(
    session: Session, environment: str, interaction: str | None, *, reason: str, actor: Actor
) -> KillSwitch:
    """Send the calls of an interaction (None: all calls) the built-in way, whatever is live, within seconds.

    Raises `Refused` without a reason, `Conflict` naming who threw it when it is thrown already, `NotFound`.
    """
    actor.require(Role.ON_CALL)
    here = _environment(session, environment)
    if interaction is not None:
        _check_interaction(session, interaction)
    reason = _checked(reason)
    target = interaction or EVERYTHING
    row = lock_document(session, environment)
    known = _thrown(session, environment, target)
    if known is not None:
        raise Conflict(f"{known.thrown_by} has thrown it already: “{known.reason}”. Nothing was changed.")
    switch = KillSwitch(
        environment=environment,
        target=target,
        thrown_by_id=actor.id,
        thrown_by=actor.name,
        thrown_at=now(),
        reason=reason,
    )
    session.add(switch)
    session.flush()
    if interaction is not None:
        _check_size(session, environment)
    sentence = (
        f"threw the kill switch of {target} in {environment}: {calls_of(target)} take the built-in path"
    )
    _told(session, here, row, target, "thrown", sentence, reason=reason, actor=actor, after=_fields(switch))
    return switch


def lift(session: Session, environment: str, interaction: str | None, *, reason: str, actor: Actor) -> None:
    """Let the calls of an interaction (None: all) use what is live again, within seconds.

    Also for an interaction that is gone. Raises `Refused` without a reason, `Conflict` naming who lifted it when it is not
    thrown, `NotFound`.
    """
    actor.require(Role.ON_CALL)
    here = _environment(session, environment)
    reason = _checked(reason)
    target = interaction or EVERYTHING
    row = lock_document(session, environment)
    switch = _thrown(session, environment, target)
    if switch is None:
        raise Conflict(_not_thrown(session, environment, target))
    before = _fields(switch)
    session.delete(switch)
    session.flush()
    sentence = f"lifted the kill switch of {target} in {environment}: {_effect_of_lifting(session, environment, target)}"
    _told(session, here, row, target, "lifted", sentence, reason=reason, actor=actor, before=before)


def calls_of(target: str) -> str:
    """Return the calls that a switch stops, in words."""
    return "all calls" if target == EVERYTHING else "its calls"


def _environment(session: Session, code: str) -> Environment:
    found = session.get(Environment, code)
    if found is None or found.archived_at is not None:
        raise NotFound("environment", code)
    return found


def _check_interaction(session: Session, code: str) -> None:
    # An archived one too: an application may call it for as long as it likes.
    if session.get(Interaction, code) is None:
        raise NotFound("interaction", code)


def _checked(reason: str) -> str:
    reason = " ".join(reason.split())
    if len(reason) not in REASON_LENGTH:
        shortest, longest = REASON_LENGTH[0], REASON_LENGTH[-1]
        raise Refused({"reason": f"Say why in {shortest} to {longest} characters; this has {len(reason)}."})
    # It goes out with the signed document, to every process.
    if problem := problem_of(reason):
        raise Refused({"reason": problem})
    return reason


def _thrown(session: Session, environment: str, target: str) -> KillSwitch | None:
    return session.get(KillSwitch, (environment, target), populate_existing=True)


def _check_size(session: Session, environment: str) -> None:
    obeyed = as_obeyed(thrown_in(session, environment))
    size = len(document(obeyed, environment=environment, version=1))
    largest = SWITCHES_LIMIT - _KEPT_FREE
    if size > largest:
        raise Refused(
            {
                "": f"With this one, what is thrown takes {size:,} bytes; {largest:,} is the most that readers take. "
                "Throw the switch of everything instead."
            }
        )


def _not_thrown(session: Session, environment: str, target: str) -> str:
    last = session.scalar(
        select(AuditEvent)
        .where(
            AuditEvent.object_kind == OBJECT_KIND,
            AuditEvent.object_key == target,
            AuditEvent.environment == environment,
        )
        .order_by(AuditEvent.sequence.desc())
        .limit(1)
    )
    if last is None:
        return "It is not thrown. Nothing was changed."
    return f"{last.actor_name} has lifted it already: “{last.reason}”. Nothing was changed."


def _effect_of_lifting(session: Session, environment: str, target: str) -> str:
    left = thrown_in(session, environment)
    if target != EVERYTHING and any(each.target == EVERYTHING for each in left):
        return "its calls take the built-in path still, because everything is switched off"
    if target == EVERYTHING and left:
        return f"all calls use what is live again, but those of {', '.join(each.target for each in left)}"
    return f"{calls_of(target)} use what is live again"


def _fields(switch: KillSwitch) -> Json:
    return {"thrown_by": switch.thrown_by, "reason": switch.reason}


def _told(
    session: Session,
    environment: Environment,
    row: SwitchDocument,
    target: str,
    verb: str,
    sentence: str,
    *,
    reason: str,
    actor: Actor,
    before: Json | None = None,
    after: Json | None = None,
) -> None:
    row.version = next_version(row.version, now())
    session.flush()
    record(
        session,
        actor=actor,
        action=f"switch.{verb}",
        object_kind=OBJECT_KIND,
        object_key=target,
        sentence=sentence,
        environment=environment.code,
        reason=reason,
        before=before,
        after=after,
        emergency=environment.is_guarded,
    )
    chores.wake(session, environment.code)
