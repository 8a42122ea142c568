"""Moving shares: the only functions that change a rollout or a gate. Each move is one release and one audit event.

A move reads the live entry under the environment's lock and writes it back with other bucket ranges. Nothing else holds
the share, so nothing can disagree with it. `base` is the release that the mover's page was made from: when the entry was
changed since, that is a `Conflict`, and nothing happens.
"""

from collections.abc import Mapping

from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.db import Json, now
from controlplane.errors import Conflict, Refused
from controlplane.releases.authority import EMERGENCY, MOVE, Authority
from controlplane.releases.models import Release
from controlplane.rollouts import documents, standing, wording
from controlplane.rollouts.models import Rollout
from controlplane.rollouts.moving import (
    check_share,
    checked_reason,
    locked,
    publish,
    refuse_paused,
    tell,
)
from controlplane.rollouts.ranges import share_words
from controlplane.rollouts.settling import end, settle
from controlplane.rollouts.standing import Standing, State
from controlplane.runtime.bucketing import BUCKETS


def set_share(
    session: Session,
    rollout: Rollout,
    *,
    share: int,
    reason: str,
    actor: Actor,
    others: Mapping[int, int] | None = None,
    base: int | None = None,
) -> Release:
    """Raise or lower a running rollout, and other candidates beside it (`others`: shares by version); the rest is the baseline's.

    All of the buckets is allowed and is not the end: `finish` is.
    """
    actor.require(Role.PUBLISHER)
    here = locked(session, rollout, base)
    wanted = {rollout.to_version: share, **(others or {})}
    fields = _fields(here)
    for version, each in wanted.items():
        check_share(each, fields.get(version, ""))
    if not wanted.keys() <= fields.keys():
        raise Conflict("One of these versions is not rolled out any more. Nothing was changed.")
    moves = {
        version: (documents.share_of(here.document, version), each)
        for version, each in wanted.items()
        if documents.share_of(here.document, version) != each
    }
    if not moves:
        raise Refused({"share": f"It is at {share_words(share)} already."})
    _refuse_too_much(here, wanted)
    _refuse_raising_paused(session, here, moves, fields)
    action, sentence = _moved(here, moves)
    after = documents.with_shares(here.document, wanted)
    return _move(session, here, after, told=(action, sentence), reason=reason, actor=actor)


def abort(
    session: Session, rollout: Rollout, *, reason: str, actor: Actor, base: int | None = None
) -> Release:
    """Take the candidate out: whoever is on it is back on the baseline. Started again, it begins with the same people.

    Other candidates go on. Nobody has to agree first: it takes away what is new, in an emergency, and is looked at
    afterwards where there are rules.
    """
    actor.require(Role.ON_CALL)
    here = locked(session, rollout, base)
    whom = "everyone on it" if here.others else "everyone"
    sentence = (
        f"aborted version {rollout.to_version} of {here.place.title} at {share_words(here.share)} of {here.units} "
        f"in {rollout.environment}: {whom} is back on version {rollout.from_version}{_settings(here, back=True)}"
        f"{wording.going_on(here.others)}"
    )
    after = documents.without(here.document, rollout.to_version)
    release = _move(
        session,
        here,
        after,
        told=("rollout.aborted", sentence),
        reason=reason,
        actor=actor,
        authority=EMERGENCY,
    )
    end(rollout, State.ABORTED, at=release.created_at, by=release.author_name)
    session.flush()
    return release


def abort_all(session: Session, rollout: Rollout, *, reason: str, actor: Actor) -> Release:
    """Take every candidate of this rollout's configuration out, in one release: everyone is back on the baseline."""
    actor.require(Role.ON_CALL)
    here = locked(session, rollout, None)
    every = {rollout.to_version: here.share, **here.others}
    told = wording.listed([f"{version} ({share_words(share)})" for version, share in sorted(every.items())])
    sentence = (
        f"aborted {'versions' if here.others else 'version'} {told} of {here.place.title} in {rollout.environment}: "
        f"everyone is back on version {rollout.from_version}"
    )
    running = standing.current(session, rollout.environment, here.configuration)
    release = _move(
        session,
        here,
        documents.with_only(here.document, rollout.from_version),
        told=("rollout.aborted", sentence),
        reason=reason,
        actor=actor,
        authority=EMERGENCY,
    )
    for each in running:
        end(each.rollout, State.ABORTED, at=release.created_at, by=release.author_name)
    session.flush()
    return release


def finish(
    session: Session, rollout: Rollout, *, reason: str, actor: Actor, base: int | None = None
) -> Release:
    """Make the candidate the only version, for everyone; the baseline and other candidates are out."""
    actor.require(Role.PUBLISHER)
    here = locked(session, rollout, base)
    refuse_paused(here, "", "before you finish it")
    rest = BUCKETS - here.share
    moved = f"the last {share_words(rest)} of {here.units} moved" if rest else "it had all buckets"
    out = [rollout.from_version, *here.others]
    sentence = (
        f"finished version {rollout.to_version} of {here.place.title} in {rollout.environment}: it is the only one "
        f"now, {moved}, {'versions' if here.others else 'version'} {wording.listed(out)} "
        f"{'are' if here.others else 'is'} out{_settings(here)}"
    )
    running = standing.current(session, rollout.environment, here.configuration)
    after = documents.with_only(here.document, rollout.to_version)
    release = _move(session, here, after, told=("rollout.finished", sentence), reason=reason, actor=actor)
    for each in running:
        state = State.FINISHED if each.number == rollout.number else State.PASSED_OVER
        end(each.rollout, state, at=release.created_at, by=release.author_name)
    session.flush()
    return release


def pause(session: Session, rollout: Rollout, *, reason: str, actor: Actor) -> Rollout:
    """Hold a running rollout where it is: nobody raises or finishes it, by hand or by plan, until it is resumed.

    Nobody moves, so there is no release. Lowering and aborting stay possible: both take away what is new.
    """
    actor.require(Role.ON_CALL)
    here = locked(session, rollout, None)
    refuse_paused(here, "", "first")
    words = checked_reason(session, rollout.environment, reason)
    rollout.paused_at, rollout.paused_by, rollout.paused_reason = (
        now(),
        actor.name,
        words or "no reason given",
    )
    sentence = (
        f"paused version {rollout.to_version} of {here.place.title} at {share_words(here.share)} of {here.units} "
        f"in {rollout.environment}: nobody moves, and it is not raised until it is resumed"
    )
    tell(
        session,
        here,
        "rollout.paused",
        sentence,
        reason=words,
        actor=actor,
        change=({"pause": None}, {"pause": "paused"}),
    )
    return rollout


def resume(session: Session, rollout: Rollout, *, reason: str, actor: Actor) -> Rollout:
    """Let a paused rollout be raised again; the share stays until somebody, or a plan, moves it."""
    actor.require(Role.PUBLISHER)
    here = locked(session, rollout, None)
    if rollout.paused_at is None:
        raise Refused({"": "It is not paused."})
    words = checked_reason(session, rollout.environment, reason)
    sentence = (
        f"resumed version {rollout.to_version} of {here.place.title} at {share_words(here.share)} of {here.units} "
        f"in {rollout.environment}: it may be raised again"
    )
    rollout.held_seconds += round((now() - rollout.paused_at).total_seconds())
    rollout.paused_at = rollout.paused_by = rollout.paused_reason = None
    tell(
        session,
        here,
        "rollout.resumed",
        sentence,
        reason=words,
        actor=actor,
        change=({"pause": "paused"}, {"pause": None}),
    )
    return rollout


def get_rollout(session: Session, environment: str, number: int) -> Rollout:
    """One rollout of an environment; raises `NotFound`."""
    return standing.get_standing(session, environment, number).rollout


def _fields(here: Standing) -> dict[int, str]:
    """The field of each candidate's share in the form: the rollout's own, and a row for each of the others."""
    others = {version: f"others.{at}.share" for at, version in enumerate(here.others)}
    return {here.rollout.to_version: "share", **others}


def _refuse_too_much(here: Standing, wanted: Mapping[int, int]) -> None:
    left = documents.left_for(here.document, wanted)
    if sum(wanted.values()) > left:
        raise Refused(
            {"share": f"Together they have more than {share_words(left)}, which is all there is for them."}
            if len(wanted) > 1
            else {"share": f"Enter {share_words(left)} or less: the rest is other candidates'."}
        )


def _refuse_raising_paused(
    session: Session, here: Standing, moves: Mapping[int, tuple[int, int]], fields: Mapping[int, str]
) -> None:
    for each in standing.current(session, here.rollout.environment, here.configuration):
        before, after = moves.get(each.rollout.to_version, (0, 0))
        if after > before:
            field = fields[each.rollout.to_version]
            refuse_paused(each, field, "before you raise it; lowering and aborting are possible as it is")


def _moved(here: Standing, moves: Mapping[int, tuple[int, int]]) -> tuple[str, str]:
    """The action and the sentence of a move of one share or several."""
    title, where = here.place.title, f"of {here.units} in {here.rollout.environment}"
    verbs = {wording.move_verb(before, after) for before, after in moves.values()}
    verb = verbs.pop() if len(verbs) == 1 else "moved"
    told = [
        f"version {version}{f' of {title}' if at == 0 else ''} from {share_words(before)} to {share_words(after)}"
        for at, (version, (before, after)) in enumerate(moves.items())
    ]
    settings = _settings(here, version=next(iter(moves))) if len(moves) == 1 else ""
    return f"rollout.{verb}", f"{verb} {wording.listed(told)} {where}{settings}"


def _move(
    session: Session,
    here: Standing,
    document: Json,
    *,
    told: tuple[str, str],
    reason: str,
    actor: Actor,
    authority: Authority = MOVE,
) -> Release:
    """Publish a running rollout's next document, and see that its row says it runs."""
    rollout, place = here.rollout, here.place
    if rollout.state != State.RUNNING:
        # A rollback brought its versions back after it had been ended.
        settle(session, rollout.environment, here.configuration)
    return publish(
        session,
        rollout.environment,
        place.key,
        document,
        told=told,
        on=("configuration", place.path),
        reason=reason,
        actor=actor,
        authority=authority,
    )


def _settings(here: Standing, *, version: int | None = None, back: bool = False) -> str:
    """What differs between the baseline and a candidate (this rollout's own, unless said otherwise)."""
    older, *candidates = documents.variants_of(here.document)
    newer = next(each for each in candidates if each["version"] == (version or here.rollout.to_version))
    return wording.settings_moved(newer, older) if back else wording.settings_moved(older, newer)
