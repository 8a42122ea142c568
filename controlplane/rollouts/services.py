"""Moving shares: the only functions that change a rollout or a gate. Each move is one release and one audit event.

A move reads the live entry under the environment's lock and writes it back with other bucket ranges. Nothing else holds
the share, so nothing can disagree with it. `base` is the release that the mover's page was made from: when the entry was
changed since, that is a `Conflict`, and nothing happens.
"""

from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.configurations.documents import place_of, variant_document
from controlplane.configurations.models import Configuration, ConfigurationVersion
from controlplane.db import Json, now
from controlplane.errors import Conflict, Refused
from controlplane.prompts.models import PromptVersion
from controlplane.releases.authority import DIRECT, EMERGENCY, MOVE, Authority
from controlplane.releases.models import Release
from controlplane.releases.services import lock_environment
from controlplane.rollouts import documents, standing, wording
from controlplane.rollouts.models import Rollout
from controlplane.rollouts.moving import (
    check_share,
    checked_reason,
    locked,
    publish,
    refuse_moved,
    refuse_paused,
    tell,
)
from controlplane.rollouts.ranges import share_words
from controlplane.rollouts.settling import begun, end, settle
from controlplane.rollouts.standing import Standing, State
from controlplane.runtime.bucketing import BUCKETS


def start(
    session: Session,
    environment: str,
    configuration: Configuration,
    *,
    to_version: int,
    share: int,
    reason: str,
    actor: Actor,
    base: int | None = None,
) -> Rollout:
    """Begin to move a configuration from its live version to another, with `share` buckets on the other.

    Raises `Refused` when nothing or that very version is live, `Conflict` when a rollout runs already.
    """
    actor.require(Role.PUBLISHER)
    check_share(share)
    lock_environment(session, environment)
    place = place_of(configuration)
    document = _startable(session, environment, configuration, to_version=to_version, base=base)
    candidate = _candidate(session, configuration, to_version)
    settle(session, environment, configuration)
    settings = wording.settings_moved(documents.variants_of(document)[0], candidate)
    whom = f"{share_words(share)} of {wording.units_of(document)} in {environment}{settings}"
    release = publish(
        session,
        environment,
        place.key,
        documents.with_candidate(document, candidate, share),
        told=("rollout.started", f"started version {to_version} of {place.title} at {whom}"),
        on=("configuration", place.path),
        reason=reason,
        actor=actor,
        authority=DIRECT,
    )
    rollout = begun(release, configuration, documents.versions_of(document)[0], to_version)
    session.add(rollout)
    session.flush()
    return rollout


def start_document(
    session: Session,
    environment: str,
    configuration: Configuration,
    *,
    to_version: int,
    share: int,
    base: int | None = None,
) -> Json:
    """What `start` would make live, without making it: for a proposal. Raises what `start` does."""
    check_share(share)
    document = _startable(session, environment, configuration, to_version=to_version, base=base)
    return documents.with_candidate(document, _candidate(session, configuration, to_version), share)


def set_share(
    session: Session, rollout: Rollout, *, share: int, reason: str, actor: Actor, base: int | None = None
) -> Release:
    """Raise or lower a running rollout. All of the buckets is allowed and is not the end: `finish` is."""
    actor.require(Role.PUBLISHER)
    check_share(share)
    here = locked(session, rollout, base)
    if here.share == share:
        raise Refused({"share": f"It is at {share_words(share)} already."})
    if share > here.share:
        refuse_paused(here, "share", "before you raise it; lowering and aborting are possible as it is")
    verb = wording.move_verb(here.share, share)
    sentence = (
        f"{verb} version {rollout.to_version} of {here.place.title} from {share_words(here.share)} "
        f"to {share_words(share)} of {here.units} in {rollout.environment}{_settings(here)}"
    )
    after = documents.with_share(here.document, share)
    return _move(session, here, after, told=(f"rollout.{verb}", sentence), reason=reason, actor=actor)


def abort(
    session: Session, rollout: Rollout, *, reason: str, actor: Actor, base: int | None = None
) -> Release:
    """Take the newer version out: everyone is back on the one before. Started again, it begins with the same people.

    Nobody has to agree first: it takes away what is new, in an emergency, and is looked at afterwards where there are rules.
    """
    actor.require(Role.ON_CALL)
    here = locked(session, rollout, base)
    sentence = (
        f"aborted version {rollout.to_version} of {here.place.title} at {share_words(here.share)} of {here.units} "
        f"in {rollout.environment}: everyone is back on version {rollout.from_version}{_settings(here, back=True)}"
    )
    after = documents.with_only(here.document, rollout.from_version)
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


def finish(
    session: Session, rollout: Rollout, *, reason: str, actor: Actor, base: int | None = None
) -> Release:
    """Make the newer version the only one, for everyone."""
    actor.require(Role.PUBLISHER)
    here = locked(session, rollout, base)
    refuse_paused(here, "", "before you finish it")
    rest = BUCKETS - here.share
    moved = f"the last {share_words(rest)} of {here.units} moved" if rest else "it had all buckets"
    sentence = (
        f"finished version {rollout.to_version} of {here.place.title} in {rollout.environment}: it is the only one "
        f"now, {moved}, version {rollout.from_version} is out{_settings(here)}"
    )
    after = documents.with_only(here.document, rollout.to_version)
    release = _move(session, here, after, told=("rollout.finished", sentence), reason=reason, actor=actor)
    end(rollout, State.FINISHED, at=release.created_at, by=release.author_name)
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


def _startable(
    session: Session, environment: str, configuration: Configuration, *, to_version: int, base: int | None
) -> Json:
    """The live document that a rollout can start from."""
    place = place_of(configuration)
    live = standing.live_entry(session, environment, place.key)
    versions = documents.versions_of(live.document)
    if len(versions) > 1:
        raise Conflict(
            f"A rollout of {place.title} runs already, from version {versions[0]} to {versions[1]}."
        )
    refuse_moved(session, environment, place.title, live, base)
    if live.document is None:
        raise Refused({"": f"Nothing of {place.title} is live in {environment}. Publish it first."})
    if configuration.archived_at is not None:
        raise Refused({"": f"{place.title} is archived. Bring it back before you change it."})
    if to_version in versions:
        raise Refused({"to_version": f"Version {to_version} is live for everyone already."})
    return live.document


def _candidate(session: Session, configuration: Configuration, number: int) -> Json:
    """A saved version as a variant without buckets."""
    query = select(ConfigurationVersion).where(
        ConfigurationVersion.configuration_id == configuration.id, ConfigurationVersion.number == number
    )
    version = session.scalar(query)
    if version is None:
        raise Refused({"to_version": f"There is no version {number} of {place_of(configuration).title}."})
    pinned = select(PromptVersion.sha256).where(
        PromptVersion.prompt_code == version.prompt_code, PromptVersion.number == version.prompt_version
    )
    sha256 = session.scalar(pinned) if version.prompt_version is not None else None
    return variant_document(version, ranges=(), pinned_sha256=sha256)


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
        # A rollback brought its two versions back after it had been ended.
        settle(session, rollout.environment, here.configuration)
        rollout.state, rollout.ended_at, rollout.ended_by = State.RUNNING.value, None, None
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


def _settings(here: Standing, *, back: bool = False) -> str:
    older, newer = documents.variants_of(here.document)
    return wording.settings_moved(newer, older) if back else wording.settings_moved(older, newer)
