"""Decides recorded calls again by the release they name, continually, and says so when it comes to something else.

It cannot happen while everything is as it should be: a release never changes, and the resolver is the runtime's own. So a
difference means that a process decided by something else than what was published, that a release was altered behind the
database's back, or that two versions of the runtime disagree. The first call of each kind is an event of the record.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Engine, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor
from controlplane.audit.services import record
from controlplane.db import transaction
from controlplane.decisions.kept import decoded
from controlplane.decisions.models import RecordedCall, ReplayAlarm
from controlplane.errors import NotFound
from controlplane.explain.answering import release_snapshot
from controlplane.runtime import decisions
from controlplane.runtime.decisions import Decision, Replayed
from controlplane.runtime.entries import interaction_key
from controlplane.runtime.errors import SnapshotRefused
from controlplane.runtime.services.answers import KeptOut, Path, Step
from controlplane.runtime.snapshot import Snapshot

SAME: Final = "same"
OTHER: Final = "other"
OTHERS: Final = "an unknown interaction"
UNASKED: Final = "unasked"
"""There was nothing to decide: the call did not look, or nothing was live."""
MOST_AT_ONCE: Final = 2_000
_MOST_TIMES: Final = 5
# A process says when it planned a call, a moment after it asked. Where that is the moment at which a variant's dates begin or
# end, its answer is the other side's.
_EDGE: Final = dt.timedelta(seconds=1)
_UNASKED: Final = frozenset(
    {KeptOut.CALL.value, KeptOut.SERVICE.value, KeptOut.SWITCH.value, Step.NO_RELEASE.value}
)


@dataclass(frozen=True)
class Difference:
    """What of a call is not as its release has it."""

    what: str
    recorded: Any
    by_release: Any


def check_recorded(engine: Engine, environment: str, *, most: int = MOST_AT_ONCE) -> int:
    """Decide calls again that nobody has yet, the oldest first; return how many of them came to something else.

    `most` in one transaction, and five times as many in a turn: a busy product records more in half a minute than one should hold.
    """
    others = 0
    for _ in range(_MOST_TIMES):
        looked_at, other = _check_some(engine, environment, most)
        others += other
        if looked_at < most:
            break
    return others


def _check_some(engine: Engine, environment: str, most: int) -> tuple[int, int]:
    with transaction(engine) as session:
        # Locked and not waited for: of two workers each takes its own.
        calls = session.execute(
            select(RecordedCall.id, RecordedCall.document)
            .where(RecordedCall.environment == environment, RecordedCall.verdict.is_(None))
            .order_by(RecordedCall.id)
            .limit(most)
            .with_for_update(skip_locked=True)
        ).all()
        verdicts: dict[str, list[int]] = {SAME: [], OTHER: [], UNASKED: []}
        readable = decoded(calls)
        verdicts[UNASKED] += {id_ for id_, _ in calls} - {id_ for id_, _ in readable}
        # By release: each is made again once.
        for id_, decision in sorted(readable, key=lambda call: (call[1].release or 0, call[0])):
            verdicts[_check(session, environment, decision)].append(id_)
        for verdict, ids in verdicts.items():
            if ids:
                session.execute(update(RecordedCall).where(RecordedCall.id.in_(ids)).values(verdict=verdict))
    return len(calls), len(verdicts[OTHER])


def alarms(session: Session, environment: str) -> Sequence[ReplayAlarm]:
    """Return what was found, the latest first."""
    query = select(ReplayAlarm).where(ReplayAlarm.environment == environment)
    return session.scalars(query.order_by(ReplayAlarm.last_at.desc(), ReplayAlarm.kind)).all()


def difference(snapshot: Snapshot, decision: Decision) -> Difference | None:
    """Return the first thing of a call that this release decides otherwise; None when all is as it was recorded."""
    found = _difference(decision, decisions.replay(snapshot, decision, now=decision.at))
    if found is None:
        return None
    for at in (decision.at - _EDGE, decision.at + _EDGE):
        if _difference(decision, decisions.replay(snapshot, decision, now=at)) is None:
            return None
    return found


def _check(session: Session, environment: str, decision: Decision) -> str:
    if decision.release is None or decision.kept_out in _UNASKED:
        return UNASKED
    number = decision.release
    try:
        snapshot = release_snapshot(session, environment, number)
        found = difference(snapshot, decision)
        # Of names that the release does not know there is no end, and each kind is an event of the record.
        known = interaction_key(decision.interaction) in snapshot
        kind = f"{decision.interaction if known else OTHERS}: {found.what}" if found else ""
    except NotFound:
        kind, found = "a release that never was", Difference("release", number, None)
    except (ValueError, SnapshotRefused) as problem:
        kind, found = f"content of release {number}", Difference("content", decision.sha256, str(problem))
    if found is None:
        return SAME
    _alarm(session, environment, kind, decision, found)
    return OTHER


def _difference(decision: Decision, again: Replayed) -> Difference | None:
    return next(
        (
            Difference(what, recorded, by_release)
            for what, recorded, by_release in _compared(decision, again)
            if recorded != by_release
        ),
        None,
    )


def _compared(decision: Decision, again: Replayed) -> Iterator[tuple[str, Any, Any]]:
    """Yield what was recorded beside what the release says, in the order in which it is decided."""
    found = again.resolution
    yield "gate", decision.kept_out != KeptOut.GATE, again.gate.included
    if decision.kept_out == KeptOut.GATE:
        return
    if decision.kept_out == Step.NO_CONFIGURATION:
        yield "configuration", None, found.key if found else None
        return
    yield "configuration", decision.key, found.key if found else None
    if found is None:
        return
    yield "bucket", decision.bucket, found.bucket
    yield "version", decision.version, found.variant.version
    yield "model", decision.model, found.variant.model
    yield "template", decision.prompt, found.prompt.code
    yield "template version", decision.prompt_version, found.prompt.version
    if decision.kept_out is None:
        yield "path", decision.path, Path.CONFIGURATION.value


def _alarm(session: Session, environment: str, kind: str, decision: Decision, found: Difference) -> None:
    told = {
        "release": decision.release,
        "what": found.what,
        "recorded": found.recorded,
        "by_release": found.by_release,
        "tier": decision.tier,
        "tenant": decision.tenant,
    }
    row = insert(ReplayAlarm).values(
        environment=environment,
        kind=kind,
        first_at=decision.at,
        last_at=decision.at,
        calls=1,
        example=_storable(told),
    )
    made = session.scalar(row.on_conflict_do_nothing().returning(ReplayAlarm.kind))
    if made is None:
        session.execute(
            update(ReplayAlarm)
            .where(ReplayAlarm.environment == environment, ReplayAlarm.kind == kind)
            .values(
                calls=ReplayAlarm.calls + 1,
                last_at=func.greatest(ReplayAlarm.last_at, decision.at),
            )
        )
        return
    record(
        session,
        actor=Actor.system("replay", via="worker"),
        action="replay.mismatched",
        object_kind="replay",
        object_key=kind,
        environment=environment,
        release=decision.release,
        sentence=_sentence(decision, found),
        after=_storable(told),
    )


def _storable(told: dict[str, Any]) -> dict[str, Any]:
    """Return the same without what no JSON column holds: some of it was written by whoever can write to the store."""
    return {
        name: value.replace("\x00", "?")[:300] if isinstance(value, str) else value
        for name, value in told.items()
    }


def _sentence(decision: Decision, found: Difference) -> str:
    if found.what == "release":
        return f"found recorded calls that name release {found.recorded}, which there never was here"
    if found.what == "content":
        return (
            f"found that release {decision.release} is not what was published any more: its recorded calls cannot be decided "
            "again"
        )
    return (
        f"found recorded calls of {decision.interaction} that release {decision.release} decides otherwise: {found.what} "
        f"{_shown(found.recorded)} was recorded, the release says {_shown(found.by_release)}"
    )


def _shown(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "in" if value else "out"
    return str(value)
