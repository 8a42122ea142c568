"""The rows of rollouts follow what is live: which a release of documents began, and which it ended."""

import datetime as dt

from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.configurations.models import Configuration
from controlplane.configurations.places import Place
from controlplane.releases.history import changes_of
from controlplane.releases.models import Release
from controlplane.rollouts import documents, standing
from controlplane.rollouts.models import Rollout
from controlplane.rollouts.standing import State


def settle_published(session: Session, release: Release) -> None:
    """Write down which rollouts a release of documents began, and which it ended: one that was no move of a share.

    A configuration that has several versions from then on is in rollout, whoever made it so.
    """
    for change in changes_of(session, release.environment, release.number):
        if not change.key.startswith("configuration/"):
            continue
        configuration = _at(session, Place.from_key(change.key))
        if configuration is not None:
            settle(session, release.environment, configuration)
            begin(session, release, configuration, documents.versions_of(change.after))


def _at(session: Session, place: Place) -> Configuration | None:
    query = select(Configuration).where(
        Configuration.interaction == place.interaction,
        Configuration.tier.is_not_distinct_from(place.tier),
        Configuration.tenant.is_not_distinct_from(place.tenant),
    )
    return session.scalar(query)


def begin(
    session: Session, release: Release, configuration: Configuration, versions: tuple[int, ...]
) -> None:
    """See that each rollout which runs from this release on has its row."""
    known = {
        each.rollout.to_version for each in standing.current(session, release.environment, configuration)
    }
    for version in versions[1:]:
        if version not in known:
            session.add(begun(release, configuration, versions[0], version))
    session.flush()


def begun(release: Release, configuration: Configuration, from_version: int, to_version: int) -> Rollout:
    """The row of a rollout that this release began."""
    return Rollout(
        environment=release.environment,
        configuration_id=configuration.id,
        from_version=from_version,
        to_version=to_version,
        state=State.RUNNING.value,
        started_at=release.created_at,
        started_by=release.author_name,
    )


def settle(session: Session, environment: str, configuration: Configuration) -> None:
    """Write down what other releases did to its rollouts, which know nothing of them: a rollback ends one, or brings one back."""
    found = standing.of_configuration(session, environment, configuration)
    for each in found:
        if each.rollout.state == State.RUNNING and each.end is not None:
            end(each.rollout, each.state, at=each.end.at, by=each.end.by)
    session.flush()  # first of all: only one row of a version may run
    for each in found:
        if each.running:
            each.rollout.state = State.RUNNING.value
            each.rollout.ended_at = each.rollout.ended_by = None
    session.flush()


def end(rollout: Rollout, state: State, *, at: dt.datetime, by: str) -> None:
    """Write down that a rollout is over; what held it holds nothing any more."""
    rollout.state, rollout.ended_at, rollout.ended_by = state.value, at, by
    rollout.paused_at = rollout.paused_by = rollout.paused_reason = None
