"""Trying templates out: who may how often, what is kept of it, and what the record says.

A try is two short transactions with the call between them, so that nothing is held while a model thinks: `begin` takes a
place, `end` writes down what came of it.
"""

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.audit.identifiers import new_identifier
from controlplane.audit.services import record
from controlplane.db import now
from controlplane.errors import ControlPlaneError, NotFound
from controlplane.trying.calling import ANSWERED, Result
from controlplane.trying.models import Try

KEPT: Final = dt.timedelta(days=1)
WINDOW: Final = dt.timedelta(minutes=10)
# Enough to work on a text; too few to run something from the site that belongs into a product or an evaluation.
MOST_OF_A_PERSON: Final = 15
MOST_OF_ALL: Final = 60
# A try holds a thread of the server for as long as the model thinks.
MOST_AT_ONCE: Final = 6
_LONGEST: Final = dt.timedelta(minutes=2)
_LOCK: Final = 0x74_72_79  # any number that no other advisory lock has


class TooManyTries(ControlPlaneError):  # noqa: N818 - the name reads as what is raised
    """Too much was tried in a short time; `retry_after` is in seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(message)


def begin(
    session: Session,
    *,
    prompt_code: str,
    configuration: str,
    model: str,
    provider: str,
    sent: Mapping[str, Any],
    text: str,
    estimated_tokens: int,
    actor: Actor,
) -> Try:
    """Take a place for one call; raises `TooManyTries`. Nothing is recorded yet: `end` tells what came of it."""
    actor.require(Role.EDITOR)
    # Several processes count here: one after the other, for as long as this transaction takes, which is some milliseconds.
    session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    at = now()
    session.execute(delete(Try).where(Try.begun_at < at - KEPT))
    _refuse_too_many(session, at, actor)
    found = Try(
        id=new_identifier(),
        person_id=actor.id,
        begun_at=at,
        prompt_code=prompt_code,
        configuration=configuration,
        model=model,
        provider=provider,
        sent=_storable(dict(sent)),
        text=_storable(text),
        estimated_tokens=estimated_tokens,
    )
    session.add(found)
    session.flush()
    return found


def end(
    session: Session,
    identifier: str,
    result: Result,
    *,
    cost: Decimal | None,
    environment: str,
    actor: Actor,
) -> Try:
    """Write down what came of a call, and record it: who, with which model, how much; no word of text, values or answer."""
    actor.require(Role.EDITOR)
    found = get_try(session, identifier, actor=actor)
    found.ended_at = now()
    found.outcome = result.outcome
    found.problem, found.answer = _storable(result.problem), _storable(result.answer)
    found.answered_by, found.is_echo = result.answered_by, result.is_echo
    found.input_tokens, found.output_tokens = result.input_tokens, result.output_tokens
    found.cost, found.latency_ms = cost, result.latency_ms
    found.finish_reason, found.dropped = result.finish_reason, list(result.dropped)
    session.flush()
    record(
        session,
        actor=actor,
        action="prompt.tried",
        object_kind="prompt",
        object_key=found.prompt_code,
        sentence=f"tried template {found.prompt_code} with {found.model}, as {found.configuration} calls it: {_told(found)}",
        environment=environment,
        after={
            "model": found.model,
            "provider": "echo" if found.is_echo else found.provider,
            "outcome": found.outcome,
            "input_tokens": found.input_tokens,
            "output_tokens": found.output_tokens,
            "cost_usd": None if cost is None else str(cost),
        },
    )
    return found


def get_try(session: Session, identifier: str, *, actor: Actor) -> Try:
    """Return what this person tried; raises `NotFound` for what is gone or somebody else's."""
    found = session.get(Try, identifier) if identifier.isalnum() else None
    if found is None or found.person_id != actor.id:
        raise NotFound("try", f"{identifier}: it is kept for a day, and only for whoever tried")
    return found


def _told(found: Try) -> str:
    if found.outcome != ANSWERED:
        return f"no answer ({(found.outcome or '').replace('_', ' ')})"
    if found.is_echo:
        return "the echo answered, nobody was called"
    spent = "cost not known" if found.cost is None else f"${found.cost:.4f}"
    return f"{_counted(found.input_tokens)} tokens in, {_counted(found.output_tokens)} out, {spent}"


def _counted(tokens: int | None) -> str:
    return "unknown" if tokens is None else f"{tokens:,}"


def _storable(value: Any) -> Any:
    """Return plain data as Postgres can hold it: no NUL, and no half of a character."""
    match value:
        case str():
            return value.replace("\x00", "�").encode(errors="replace").decode()
        case dict():
            return {name: _storable(each) for name, each in value.items()}
    return value


def _refuse_too_many(session: Session, at: dt.datetime, actor: Actor) -> None:
    since = at - WINDOW
    minutes = round(WINDOW.total_seconds() / 60)
    mine = session.scalars(
        select(Try.begun_at).where(Try.person_id == actor.id, Try.begun_at > since).order_by(Try.begun_at)
    ).all()
    if len(mine) >= MOST_OF_A_PERSON:
        wait = _seconds_until(mine[-MOST_OF_A_PERSON] + WINDOW, at)
        raise TooManyTries(
            f"One person tries at most {MOST_OF_A_PERSON} times in {minutes} minutes. Go on in {wait // 60 + 1} min.",
            wait,
        )
    everybody = session.scalar(select(func.count()).select_from(Try).where(Try.begun_at > since)) or 0
    if everybody >= MOST_OF_ALL:
        raise TooManyTries(
            f"All together try at most {MOST_OF_ALL} times in {minutes} minutes. Go on in a few minutes.",
            120,
        )
    under_way = (
        select(func.count()).select_from(Try).where(Try.ended_at.is_(None), Try.begun_at > at - _LONGEST)
    )
    if (session.scalar(under_way) or 0) >= MOST_AT_ONCE:
        raise TooManyTries("Several others are waiting for models just now. Try again in a moment.", 10)


def _seconds_until(moment: dt.datetime, at: dt.datetime) -> int:
    return max(1, round((moment - at).total_seconds()))
