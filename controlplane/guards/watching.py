"""Goes on with what is known of each running rollout, and acts when a guard is set off: a chore of the worker.

What it costs: one look every ten seconds, and once a minute the minute's few rows for each rollout. Any number of workers may
do it: the row of what is known is the lock, and each minute is taken into account once.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import ColumnElement, Engine, and_, or_, select
from sqlalchemy.orm import Session

from controlplane.configurations.places import Place
from controlplane.db import now, transaction
from controlplane.errors import NotFound
from controlplane.guards.chosen import settings_of
from controlplane.guards.judging import Pair, known_from, learn, to_keep
from controlplane.guards.models import GuardBreach
from controlplane.guards.services import begin_anew, last_act, react, watch_of
from controlplane.health.models import HealthMinute
from controlplane.health.reading import Counts
from controlplane.health.series import counts_of, prune
from controlplane.rollouts import standing
from controlplane.rollouts.models import Rollout
from controlplane.runtime.entries import ANY

_OVER: Final = dt.timedelta(seconds=75)
"""So old is the beginning of a minute that no worker, its clock a little behind, adds to any more."""
SET_BACK: Final = dt.timedelta(minutes=10)
"""A minute that lies so far ahead was written by a clock that was set back since: what it says is known of no time that was."""


def watch(engine: Engine, environment: str, *, clock: Callable[[], dt.datetime] = now) -> list[GuardBreach]:
    """Look at every running rollout of an environment, each in a transaction of its own; return what guards did.

    One that cannot be acted on now is tried again the next time; what nobody foresaw is raised after the others had their turn.
    """
    at = clock()
    with transaction(engine) as session:
        prune(session, environment, at)
        numbers = [each.number for each in standing.running(session, environment)]
    unexpected: list[Exception] = []
    done = []
    for number in numbers:
        try:
            with transaction(engine) as session:
                done.append(watch_one(session, environment, number, at=at))
        except Exception as problem:
            unexpected.append(problem)  # one that fails must not leave the others unguarded
    if unexpected:
        raise unexpected[0]
    return [breach for breach in done if breach is not None]


def watch_one(session: Session, environment: str, number: int, *, at: dt.datetime) -> GuardBreach | None:
    """Go on with what is known of one rollout, and do what was chosen when a guard is set off."""
    rollout = session.get(Rollout, number)
    if rollout is None:
        return None
    known_so_far = watch_of(session, rollout, at=at)
    try:
        here = standing.get_standing(session, environment, number)
    except NotFound:
        return None
    if not here.running:
        return None
    if last_act(session, known_so_far) is not None:
        if here.paused:
            return None  # it was held, and nobody has resumed it
        begin_anew(known_so_far, at=at)
    elif (
        known_from(known_so_far.known).told_while_held and not here.paused
    ) or known_so_far.through > at + SET_BACK:
        begin_anew(known_so_far, at=at)
    settings = settings_of(session, number).settings
    versions = rollout.from_version, rollout.to_version
    minutes = minutes_of(
        session, environment, here.place, versions, after=known_so_far.through, before=at - _OVER
    )
    known_so_far.looked_at = at
    if minutes:
        known = known_from(known_so_far.known)
        learn(known, [pair for _, pair in minutes], settings=settings)
        known_so_far.known, known_so_far.through = to_keep(known), minutes[-1][0]
    session.flush()
    return react(session, here, known_so_far, at=at)


def minutes_of(
    session: Session,
    environment: str,
    place: Place,
    versions: tuple[int, int],
    *,
    after: dt.datetime,
    before: dt.datetime,
) -> Sequence[tuple[dt.datetime, Pair]]:
    """The minutes in which calls of these two versions are known, in their order: the older version's calls first."""
    counted = counts_of_row(place)
    if counted is None:
        return []
    query = select(HealthMinute).where(
        HealthMinute.environment == environment,
        HealthMinute.minute > after,
        HealthMinute.minute <= before,
        HealthMinute.version.in_(versions),
        counted,
    )
    found: dict[dt.datetime, list[Counts]] = {}
    for row in session.scalars(query.order_by(HealthMinute.minute)):
        pair = found.setdefault(row.minute, [Counts(), Counts()])
        which = versions.index(row.version)
        pair[which] = pair[which].plus(counts_of(row))
    return [(minute, (pair[0], pair[1])) for minute, pair in found.items()]


def counts_of_row(place: Place) -> ColumnElement[bool] | None:
    """Which counts are of the calls that a place answers; None where they are not told apart from other places'."""
    if place.tenant is not None:
        return None
    if place.interaction == ANY:
        return HealthMinute.row == "environment"
    of_row = HealthMinute.row == f"{place.tier_word}/{ANY}"
    # A process with an older library does not say which row; the tier's own row is the likeliest.
    unsaid = and_(HealthMinute.row == "", HealthMinute.tier == (place.tier or ""))
    return and_(HealthMinute.interaction == place.interaction, or_(of_row, unsaid))
