"""What guards of a rollout watch and do: chosen by people, and done by the guard itself when it is set off.

A guard acts through the same functions as a person: `rollouts.services.abort` with its emergency authority, `pause` to hold.
It never acts twice on what it knows: once it has held or aborted, or told somebody who held it already, only what happens
after somebody resumed counts.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.audit.services import record
from controlplane.db import now
from controlplane.errors import Conflict, Refused
from controlplane.guards.acts import OnBreach
from controlplane.guards.chosen import Chosen, settings_of
from controlplane.guards.judging import Finding, Known, Settings, findings, known_from, to_keep
from controlplane.guards.measures import Measure
from controlplane.guards.models import GuardBreach, GuardSettings, GuardWatch
from controlplane.guards.wording import breach_words
from controlplane.rollouts import services as rollouts
from controlplane.rollouts.models import Rollout
from controlplane.rollouts.standing import Standing

GUARD: Final = Actor(kind="guard", id="guard", name="Guard", role=Role.ON_CALL, via="guard")
_LONGEST_REASON: Final = 500


def choose(
    session: Session,
    here: Standing,
    *,
    on_breach: OnBreach,
    least_calls: int,
    tolerances: Mapping[Measure, float],
    revision: int,
    actor: Actor,
) -> GuardSettings:
    """Say what guards of a rollout watch and do. What was measured stays; with other tolerances it is gone through again."""
    actor.require(Role.PUBLISHER)
    rollout = here.rollout
    if not here.running:
        raise Conflict("This rollout is over: there is nothing left to guard.")
    watch = watch_of(session, rollout, at=now())  # the lock: of two who choose at once one is told
    row = session.get(GuardSettings, rollout.number, populate_existing=True)
    if revision != (row.revision if row is not None else 0):
        raise Conflict("Somebody else chose meanwhile. Nothing was changed by you.")
    before = settings_of(session, rollout.number)
    wanted = {measure.value: value for measure, value in tolerances.items()}
    if (before.on_breach, before.settings) == (on_breach, Settings(dict(tolerances), least_calls)):
        raise Refused({"": "That is what it does already."})
    if row is None:
        row = GuardSettings(rollout=rollout.number, revision=0)
        session.add(row)
    row.on_breach, row.least_calls, row.tolerances = on_breach.value, least_calls, wanted
    row.revision += 1
    if before.settings.tolerances != dict(tolerances):
        watch.through, watch.known = watch.since, {}  # gone through again, since the beginning
    watched = ", ".join(measure.label.lower() for measure in tolerances) or "nothing"
    record(
        session,
        actor=actor,
        action="guard.chosen",
        object_kind="configuration",
        object_key=here.place.path,
        environment=rollout.environment,
        sentence=(
            f"chose the guards of version {rollout.to_version} of {here.place.title} in {rollout.environment}: watch "
            f"{watched}; on a breach {on_breach.effect}"
        ),
        before=_document(before),
        after=_document(Chosen(on_breach, Settings(dict(tolerances), least_calls), row.revision)),
    )
    session.flush()
    return row


def watch_of(session: Session, rollout: Rollout, *, at: dt.datetime) -> GuardWatch:
    """What is known of a rollout's version, held until the transaction ends; begun where there is none."""
    begun = rollout.started_at.replace(second=0, microsecond=0)
    session.execute(
        insert(GuardWatch)
        .values(rollout=rollout.number, since=begun, through=begun, looked_at=at, known={})
        .on_conflict_do_nothing()
    )
    return session.execute(
        select(GuardWatch)
        .where(GuardWatch.rollout == rollout.number)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).scalar_one()


def begin_anew(watch: GuardWatch, *, at: dt.datetime) -> None:
    """Forget what is known: what comes from now on counts."""
    watch.since = watch.through = at.replace(second=0, microsecond=0)
    watch.known = {}


def last_act(session: Session, watch: GuardWatch) -> GuardBreach | None:
    """What the guard held or aborted because of what is known now."""
    query = select(GuardBreach).where(
        GuardBreach.rollout == watch.rollout,
        GuardBreach.since == watch.since,
        GuardBreach.acted.in_(("held", "aborted")),
    )
    return session.scalars(query.order_by(GuardBreach.number.desc()).limit(1)).first()


def react(session: Session, here: Standing, watch: GuardWatch, *, at: dt.datetime) -> GuardBreach | None:
    """Do what was chosen for a breach, if there is one that nothing was done about."""
    chosen = settings_of(session, here.number)
    known = known_from(watch.known)
    found = breaches_in(known, chosen)
    if not found:
        return None
    act = chosen.on_breach
    if act is OnBreach.HOLD and here.paused:
        act = OnBreach.WATCH  # somebody holds it already, and whoever resumes it was told
        known.told_while_held = True
        watch.known = to_keep(known)
    if act is OnBreach.WATCH:
        told = _told(session, watch)
        found = [finding for finding in found if finding.measure.value not in told]
        if not found:
            return None
    words = " ".join(
        breach_words(finding, baseline=here.rollout.from_version, version=here.rollout.to_version)
        for finding in found
    )[:_LONGEST_REASON]
    release = _act(session, here, act, words)
    breach = GuardBreach(
        environment=here.rollout.environment,
        rollout=here.number,
        measures=[finding.measure.value for finding in found],
        at=at,
        since=watch.since,
        words=words,
        acted=act.done,
        release=release,
    )
    session.add(breach)
    session.flush()
    return breach


def breaches_in(known: Known, chosen: Chosen) -> list[Finding]:
    """What speaks strongly against the version, the strongest first."""
    found = [each for each in findings(known, settings=chosen.settings) if each.is_breach]
    return sorted(found, key=lambda finding: -finding.evidence)


def breaches_of(session: Session, rollout: int) -> Sequence[GuardBreach]:
    """What guards of a rollout were set off by, the latest first."""
    query = select(GuardBreach).where(GuardBreach.rollout == rollout)
    return session.scalars(query.order_by(GuardBreach.at.desc(), GuardBreach.number.desc()).limit(20)).all()


def _act(session: Session, here: Standing, act: OnBreach, words: str) -> int | None:
    rollout = here.rollout
    if act is OnBreach.ABORT:
        return rollouts.abort(session, rollout, reason=words, actor=GUARD).number
    if act is OnBreach.HOLD:
        rollouts.pause(session, rollout, reason=words, actor=GUARD)
        return None
    record(
        session,
        actor=GUARD,
        action="guard.set_off",
        object_kind="configuration",
        object_key=here.place.path,
        environment=rollout.environment,
        sentence=(
            f"found version {rollout.to_version} of {here.place.title} worse than version {rollout.from_version} in "
            f"{rollout.environment} and changed nothing"
        ),
        reason=words,
    )
    return None


def _told(session: Session, watch: GuardWatch) -> set[str]:
    """The measures that somebody was told of already."""
    query = select(GuardBreach.measures).where(
        GuardBreach.rollout == watch.rollout, GuardBreach.since == watch.since
    )
    return {measure for measures in session.scalars(query) for measure in measures}


def _document(chosen: Chosen) -> dict[str, object]:
    return {
        "on_breach": chosen.on_breach.value,
        "least_calls": chosen.settings.least_calls,
        **{f"tolerance_{measure.value}": value for measure, value in chosen.settings.tolerances.items()},
    }
