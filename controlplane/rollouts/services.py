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
from controlplane.configurations.places import Place
from controlplane.db import Json
from controlplane.errors import Conflict, NotFound, Refused
from controlplane.prompts.models import PromptVersion
from controlplane.registry.documents import gate_document
from controlplane.registry.models import Interaction
from controlplane.releases.authority import DIRECT, EMERGENCY, MOVE, Authority
from controlplane.releases.history import changes_of, get_release
from controlplane.releases.models import Release
from controlplane.releases.services import lock_environment, publish_entries
from controlplane.rollouts import documents, standing, wording
from controlplane.rollouts.models import Rollout
from controlplane.rollouts.ranges import share_words
from controlplane.rollouts.standing import Live, Standing, State
from controlplane.runtime.bucketing import BUCKETS, size
from controlplane.runtime.entries import gate_key, interaction_key


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
    _check_share(share)
    lock_environment(session, environment)
    place = place_of(configuration)
    document = _startable(session, environment, configuration, to_version=to_version, base=base)
    candidate = _candidate(session, configuration, to_version)
    _settle(session, environment, configuration)
    settings = wording.settings_moved(documents.variants_of(document)[0], candidate)
    whom = f"{share_words(share)} of {wording.units_of(document)} in {environment}{settings}"
    release = _publish(
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
    rollout = _begun(release, configuration, documents.versions_of(document)[0], to_version)
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
    _check_share(share)
    document = _startable(session, environment, configuration, to_version=to_version, base=base)
    return documents.with_candidate(document, _candidate(session, configuration, to_version), share)


def set_share(
    session: Session, rollout: Rollout, *, share: int, reason: str, actor: Actor, base: int | None = None
) -> Release:
    """Raise or lower a running rollout. All of the buckets is allowed and is not the end: `finish` is."""
    actor.require(Role.PUBLISHER)
    _check_share(share)
    here = _locked(session, rollout, base)
    if here.share == share:
        raise Refused({"share": f"It is at {share_words(share)} already."})
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
    here = _locked(session, rollout, base)
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
    _end(rollout, State.ABORTED, release)
    session.flush()
    return release


def finish(
    session: Session, rollout: Rollout, *, reason: str, actor: Actor, base: int | None = None
) -> Release:
    """Make the newer version the only one, for everyone."""
    actor.require(Role.PUBLISHER)
    here = _locked(session, rollout, base)
    rest = BUCKETS - here.share
    moved = f"the last {share_words(rest)} of {here.units} moved" if rest else "it had all buckets"
    sentence = (
        f"finished version {rollout.to_version} of {here.place.title} in {rollout.environment}: it is the only one "
        f"now, {moved}, version {rollout.from_version} is out{_settings(here)}"
    )
    after = documents.with_only(here.document, rollout.to_version)
    release = _move(session, here, after, told=("rollout.finished", sentence), reason=reason, actor=actor)
    _end(rollout, State.FINISHED, release)
    session.flush()
    return release


def set_gate(
    session: Session,
    environment: str,
    interaction: str,
    *,
    share: int,
    reason: str,
    actor: Actor,
    base: int | None = None,
) -> Release:
    """Let this share of units through configuration lookup; the rest take the legacy path. No gate lets everyone in."""
    actor.require(Role.PUBLISHER)
    _check_share(share)
    row = session.get(Interaction, interaction)
    if row is None:
        raise NotFound("interaction", interaction)
    lock_environment(session, environment)
    live = standing.live_entry(session, environment, gate_key(interaction))
    _refuse_moved(session, environment, f"The gate of {interaction}", live, base)
    if standing.live_entry(session, environment, interaction_key(interaction)).document is None:
        raise Refused({"": f"{interaction} is not live in {environment} yet: publish it there first."})
    document = live.document or gate_document(row)
    before = size(document["ranges"])
    if before == share:
        raise Refused({"share": f"It is at {share_words(share)} already."})
    verb = wording.move_verb(before, share)
    sentence = (
        f"{verb} the gate of {interaction} from {share_words(before)} to {share_words(share)} of "
        f"{wording.units_of(document)} in {environment}: {wording.gate_effect(share)}"
    )
    return _publish(
        session,
        environment,
        gate_key(interaction),
        documents.gate_with_share(document, share),
        told=(f"gate.{verb}", sentence),
        on=("gate", interaction),
        reason=reason,
        actor=actor,
        authority=MOVE,
    )


def get_rollout(session: Session, environment: str, number: int) -> Rollout:
    """One rollout of an environment; raises `NotFound`."""
    return standing.get_standing(session, environment, number).rollout


def _check_share(share: int) -> None:
    if not 0 <= share <= BUCKETS:
        raise Refused({"share": "Enter a share from 0 to 100."})


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
    _refuse_moved(session, environment, place.title, live, base)
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


def _locked(session: Session, rollout: Rollout, base: int | None) -> Standing:
    """The rollout as it stands, with nobody else able to move it; `Conflict` when it is over or was moved since `base`."""
    lock_environment(session, rollout.environment)
    session.refresh(rollout)
    here = standing.get_standing(session, rollout.environment, rollout.number)
    newest = here.end or here.last
    since = f"release {newest.release}, by {newest.by}"
    if not here.running:
        raise Conflict(f"This rollout is over since {since}. {here.sentence} Nothing was changed.")
    if base is not None and newest.release != base:
        raise Conflict(
            f"Somebody was faster: it is at {share_words(here.share)} since {since}. Nothing was changed."
        )
    return here


def _refuse_moved(session: Session, environment: str, name: str, live: Live, base: int | None) -> None:
    if base is None or live.release == base:
        return
    by = get_release(session, environment, live.release).author_name if live.release else "nobody"
    raise Conflict(
        f"{name} was changed meanwhile, in release {live.release}, by {by}. Nothing was changed by you."
    )


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
        _settle(session, rollout.environment, here.configuration)
        rollout.state, rollout.ended_at, rollout.ended_by = State.RUNNING.value, None, None
    return _publish(
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


def _publish(
    session: Session,
    environment: str,
    key: str,
    document: Json,
    *,
    told: tuple[str, str],
    on: tuple[str, str],
    reason: str,
    actor: Actor,
    authority: Authority,
) -> Release:
    action, sentence = told
    try:
        return publish_entries(
            session,
            environment,
            {key: document},
            reason=reason,
            actor=actor,
            action=action,
            sentence=sentence,
            source_name="gate" if on[0] == "gate" else "rollout",
            object_kind=on[0],
            object_key=on[1],
            authority=authority,
        )
    except Refused as refusal:
        raise Refused(_by_field(refusal.errors)) from None


def _by_field(errors: dict[str, str]) -> dict[str, str]:
    """A form of a share has few fields: what is wrong with the documents is said about the whole."""
    found = {name: message for name, message in errors.items() if name == "reason"}
    rest = [message for name, message in errors.items() if name != "reason"]
    return {**found, "": " ".join(rest)} if rest else found


def settle_published(session: Session, release: Release) -> None:
    """Write down which rollouts a release of documents began, and which it ended: one that was no move of a share.

    A configuration that has two versions from then on is in rollout, whoever made it so.
    """
    for change in changes_of(session, release.environment, release.number):
        if not change.key.startswith("configuration/"):
            continue
        configuration = _at(session, Place.from_key(change.key))
        if configuration is not None:
            _settle(session, release.environment, configuration)
            _begin(session, release, configuration, documents.versions_of(change.after))


def _at(session: Session, place: Place) -> Configuration | None:
    query = select(Configuration).where(
        Configuration.interaction == place.interaction,
        Configuration.tier.is_not_distinct_from(place.tier),
        Configuration.tenant.is_not_distinct_from(place.tenant),
    )
    return session.scalar(query)


def _begin(
    session: Session, release: Release, configuration: Configuration, versions: tuple[int, ...]
) -> None:
    """See that a rollout which runs from this release on has its row."""
    if len(versions) != 2:
        return
    here = standing.current(session, release.environment, configuration)
    if here is not None:
        rollout = here.rollout
        rollout.state, rollout.ended_at, rollout.ended_by = State.RUNNING.value, None, None
    else:
        session.add(_begun(release, configuration, *versions))
    session.flush()


def _begun(release: Release, configuration: Configuration, from_version: int, to_version: int) -> Rollout:
    return Rollout(
        environment=release.environment,
        configuration_id=configuration.id,
        from_version=from_version,
        to_version=to_version,
        state=State.RUNNING.value,
        started_at=release.created_at,
        started_by=release.author_name,
    )


def _settings(here: Standing, *, back: bool = False) -> str:
    older, newer = documents.variants_of(here.document)
    return wording.settings_moved(newer, older) if back else wording.settings_moved(older, newer)


def _settle(session: Session, environment: str, configuration: Configuration) -> None:
    """Write down the end of rollouts that another release ended: a rollback, say, which knows nothing of them."""
    for each in standing.of_configuration(session, environment, configuration):
        if each.rollout.state == State.RUNNING and each.end is not None:
            rollout = each.rollout
            rollout.state, rollout.ended_at, rollout.ended_by = each.state.value, each.end.at, each.end.by
    session.flush()


def _end(rollout: Rollout, state: State, release: Release) -> None:
    rollout.state, rollout.ended_at, rollout.ended_by = state.value, release.created_at, release.author_name
