"""Configurations: finding them, and the only functions that change them. A saved version is not live until published."""

import secrets
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, selectinload

from controlplane.accounts.actor import Actor, Role
from controlplane.audit import services as audit
from controlplane.configurations.checks import place_problems, value_problems, version_of
from controlplane.configurations.documents import place_of, settings_of, stands_at
from controlplane.configurations.drafts import DRAFTS
from controlplane.configurations.inputs import ConfigurationInput, check_reason
from controlplane.configurations.models import Configuration, ConfigurationVersion
from controlplane.configurations.places import Place
from controlplane.configurations.wording import differences, sentence_of, summary_of
from controlplane.db import Json, now
from controlplane.errors import Conflict, NotFound, Refused
from controlplane.runtime.bucketing import ALGORITHM


@dataclass(frozen=True)
class Saved:
    """A configuration with its latest version."""

    configuration: Configuration
    version: ConfigurationVersion

    @property
    def place(self) -> Place:
        """Where it stands."""
        return place_of(self.configuration)


def list_configurations(session: Session, *, archived: bool = False) -> list[Saved]:
    """All configurations with their latest versions, by interaction, tier and tenant; archived ones only when asked."""
    latest = (
        select(ConfigurationVersion.configuration_id, func.max(ConfigurationVersion.number).label("number"))
        .group_by(ConfigurationVersion.configuration_id)
        .subquery()
    )
    query = (
        select(Configuration, ConfigurationVersion)
        .join(ConfigurationVersion, ConfigurationVersion.configuration_id == Configuration.id)
        .join(
            latest,
            (latest.c.configuration_id == ConfigurationVersion.configuration_id)
            & (latest.c.number == ConfigurationVersion.number),
        )
        .order_by(
            Configuration.interaction,
            Configuration.tier.nulls_first(),
            Configuration.tenant.nulls_first(),
            Configuration.id,
        )
    )
    if not archived:
        query = query.where(Configuration.archived_at.is_(None))
    return [Saved(configuration, version) for configuration, version in session.execute(query)]


def get_configuration(
    session: Session, interaction: str, *, tier: str | None = None, tenant: str | None = None
) -> Configuration:
    """The configuration at a place, archived or not, with all its versions, newest first; raises `NotFound`."""
    place = Place(interaction, tier, tenant)
    if "\x00" in place.path:
        raise NotFound("configuration", place.title.replace("\x00", "?"))
    query = select(Configuration).where(stands_at(place)).options(selectinload(Configuration.versions))
    found = session.scalar(query.execution_options(populate_existing=True))
    if found is None:
        raise NotFound("configuration", place.title)
    return found


def get_version(configuration: Configuration, number: int) -> ConfigurationVersion:
    """One version of a configuration whose versions are loaded; raises `NotFound`."""
    for version in configuration.versions:
        if version.number == number:
            return version
    raise NotFound("version", f"{number} of {place_of(configuration).title}")


def latest_version(session: Session, configuration: Configuration) -> ConfigurationVersion:
    """The newest version of a configuration."""
    query = select(ConfigurationVersion).where(ConfigurationVersion.configuration_id == configuration.id)
    return session.scalars(query.order_by(ConfigurationVersion.number.desc()).limit(1)).one()


def problems(
    session: Session, place: Place, values: ConfigurationInput, *, number: int = 1
) -> dict[str, str]:
    """What saving these values would be refused for, by field; writes nothing. For forms that check while one types."""
    draft = Configuration(
        interaction=place.interaction,
        tier=place.tier,
        tenant=place.tenant,
        salt="0" * 16,
        algorithm=ALGORITHM,
        unit="user",
    )
    return {
        **place_problems(session, place),
        **value_problems(session, draft, version_of(values, number=number)),
    }


def create_configuration(
    session: Session,
    *,
    interaction: str,
    tier: str | None,
    tenant: str | None,
    values: ConfigurationInput,
    actor: Actor,
) -> Configuration:
    """Make a configuration with its first version.

    Where an archived one stands it comes back with a further version: its salt is kept, so nobody changes bucket.
    """
    actor.require(Role.EDITOR)
    place = Place(interaction, tier, tenant)
    errors = problems(session, place, values)
    # Read afresh: whoever held the row until now may have brought it back.
    standing = (
        select(Configuration)
        .where(stands_at(place))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    configuration = None if errors else session.scalar(standing)
    if configuration is not None and configuration.archived_at is None:
        errors[""] = f"{place.title} has a configuration already. Open it and save a new version instead."
    if errors:
        raise Refused(errors)
    if configuration is None:
        configuration = _new(session, place)
    configuration.archived_at = None
    version = _add_version(session, configuration, values, actor=actor)
    DRAFTS.drop(session, place.path, actor=actor)
    audit.record(
        session,
        actor=actor,
        action="configuration.created",
        object_kind="configuration",
        object_key=place.path,
        sentence=f"created {place.title} with version {version.number}: {summary_of(settings_of(version))}",
        reason=values.reason,
        after=_told(version),
    )
    return configuration


def save_version(
    session: Session,
    configuration: Configuration,
    values: ConfigurationInput,
    *,
    base_version: int,
    actor: Actor,
) -> ConfigurationVersion:
    """Save the next version. `base_version` is the one the values were made from: `Conflict` when it is not the newest.

    A form that was sent twice saves once: the second gets the version that the first made.
    """
    actor.require(Role.EDITOR)
    _lock(session, configuration)
    base = latest_version(session, configuration)
    place = place_of(configuration)
    if base.number != base_version:
        if _sent_twice(base, values, base_version=base_version, actor=actor):
            return base
        raise Conflict(
            f"{place.title} is at version {base.number} by now, saved by {base.author_name}; yours was made from "
            f"version {base_version}. Nothing was saved."
        )
    errors = problems(session, place, values, number=base.number + 1)
    changes = differences(settings_of(base), settings_of(version_of(values, number=0)))
    if configuration.archived_at is not None:
        errors[""] = f"{place.title} is archived. Bring it back before you change it."
    elif not changes:
        errors.setdefault("", f"Nothing changed: version {base.number} has exactly these values.")
    if errors:
        raise Refused(errors)
    version = _add_version(session, configuration, values, actor=actor, after=base.number)
    DRAFTS.drop(session, place.path, actor=actor)
    audit.record(
        session,
        actor=actor,
        action="configuration.version_saved",
        object_kind="configuration",
        object_key=place.path,
        sentence=f"saved version {version.number} of {place.title}: {sentence_of(changes)}",
        reason=values.reason,
        before=_told(base),
        after=_told(version),
    )
    return version


def archive_configuration(
    session: Session, configuration: Configuration, *, reason: str, actor: Actor
) -> Configuration:
    """Take a configuration out of what is saved. What is live stays until its removal is published."""
    return _set_archived(session, configuration, archived=True, reason=reason, actor=actor)


def restore_configuration(
    session: Session, configuration: Configuration, *, reason: str, actor: Actor
) -> Configuration:
    """Bring an archived configuration back as it was."""
    return _set_archived(session, configuration, archived=False, reason=reason, actor=actor)


def _set_archived(
    session: Session, configuration: Configuration, *, archived: bool, reason: str, actor: Actor
) -> Configuration:
    actor.require(Role.EDITOR)
    reason = check_reason(reason)
    _lock(session, configuration)
    place = place_of(configuration)
    if (configuration.archived_at is not None) == archived:
        raise Refused({"": f"{place.title} is {'archived already' if archived else 'not archived'}."})
    errors = {} if archived else place_problems(session, place)
    if errors:
        raise Refused({"": " ".join(errors.values())})
    configuration.archived_at = now() if archived else None
    effect = "where it is live it stays so until its removal is published"
    audit.record(
        session,
        actor=actor,
        action="configuration.archived" if archived else "configuration.restored",
        object_kind="configuration",
        object_key=place.path,
        sentence=f"archived {place.title}: {effect}"
        if archived
        else f"brought {place.title} back from the archive",
        reason=reason,
        before={"archived": not archived},
        after={"archived": archived},
    )
    return configuration


def _lock(session: Session, configuration: Configuration) -> None:
    """Hold the row to the end of the transaction: versions get consecutive numbers however many people save."""
    session.refresh(configuration, ["archived_at"], with_for_update=True)


def _new(session: Session, place: Place) -> Configuration:
    configuration = Configuration(
        interaction=place.interaction,
        tier=place.tier,
        tenant=place.tenant,
        salt=secrets.token_hex(8),
        algorithm=ALGORITHM,
        unit="user",
        created_at=now(),
    )
    try:
        with session.begin_nested():
            session.add(configuration)
    except IntegrityError:
        raise Refused({"": f"Somebody else has just made the configuration of {place.title}."}) from None
    return configuration


def _add_version(
    session: Session,
    configuration: Configuration,
    values: ConfigurationInput,
    *,
    actor: Actor,
    after: int | None = None,
) -> ConfigurationVersion:
    if after is None:
        query = select(func.max(ConfigurationVersion.number))
        after = session.scalar(query.where(ConfigurationVersion.configuration_id == configuration.id)) or 0
    version = version_of(values, number=after + 1)
    version.configuration_id = configuration.id
    version.author_id, version.author_name, version.created_at = actor.id, actor.name, now()
    session.add(version)
    session.flush()
    return version


def _sent_twice(
    newest: ConfigurationVersion, values: ConfigurationInput, *, base_version: int, actor: Actor
) -> bool:
    return (
        newest.number == base_version + 1
        and newest.author_id == actor.id
        and newest.reason == values.reason
        and not differences(settings_of(newest), settings_of(version_of(values, number=0)))
    )


def _told(version: ConfigurationVersion) -> Json:
    return {"version": version.number, **settings_of(version)}
