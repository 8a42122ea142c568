"""The private draft of a configuration's form, also of one that is yet to be made. Drafts leave no audit event."""

from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from controlplane.accounts.actor import Actor, Role
from controlplane.configurations import conflict, inputs
from controlplane.configurations.checks import place_problems, version_of
from controlplane.configurations.conflict import Raw
from controlplane.configurations.documents import settings_of, stands_at
from controlplane.configurations.models import Configuration, ConfigurationDraft, ConfigurationVersion
from controlplane.configurations.places import Place
from controlplane.configurations.wording import differences
from controlplane.drafts import Drafts, storable
from controlplane.errors import NotFound

DRAFTS: Final = Drafts(ConfigurationDraft, ConfigurationDraft.place)
# What of a form is kept: its settings, why, and in which zone its times are meant.
KEPT: Final = (*conflict.FIELDS, "reason", "zone")


def get_draft(session: Session, place: Place, *, actor: Actor) -> ConfigurationDraft | None:
    """The person's unsaved form of the configuration at a place."""
    return DRAFTS.find(session, place.path, actor=actor) if "\x00" not in place.path else None


def draft_places(session: Session, *, actor: Actor) -> list[Place]:
    """The places for which this person has an unsaved form, by their paths."""
    return [Place.from_path(draft.place) for draft in DRAFTS.all_of(session, actor=actor)]


def save_draft(
    session: Session, place: Place, *, fields: Raw, base_version: int, actor: Actor
) -> ConfigurationDraft | None:
    """Keep this person's form as it is, right or wrong; nobody else sees it. Raises `NotFound` for a place that cannot be.

    None when there is nothing to keep: somebody saved these very settings since, most often the same person a moment ago.
    """
    actor.require(Role.EDITOR)
    if "\x00" in place.path:
        raise NotFound("configuration", place.title.replace("\x00", "?"))
    DRAFTS.hold(session, place.path, actor=actor)
    newest = _newest(session, place)
    if newest is None and place_problems(session, place):
        raise NotFound("configuration", place.title)
    if newest is not None and base_version < newest.number and _says(newest, fields):
        DRAFTS.drop(session, place.path, actor=actor)
        return None
    typed = storable({name: fields[name] for name in KEPT if name in fields})
    base = max(0, min(base_version, newest.number if newest else 0))
    return DRAFTS.keep(session, place.path, base_version=base, typed={"fields": typed}, actor=actor)


def discard_draft(session: Session, place: Place, *, actor: Actor) -> None:
    """Throw this person's unsaved form away."""
    actor.require(Role.EDITOR)
    DRAFTS.discard(session, place.path, actor=actor)


def bring_draft_back(session: Session, place: Place, *, actor: Actor) -> bool:
    """Undo `discard_draft`; False when there is nothing to be had back any more."""
    actor.require(Role.EDITOR)
    return DRAFTS.bring_back(session, place.path, actor=actor)


def _newest(session: Session, place: Place) -> ConfigurationVersion | None:
    query = select(ConfigurationVersion).join(Configuration).where(stands_at(place))
    return session.scalar(query.order_by(ConfigurationVersion.number.desc()).limit(1))


def _says(version: ConfigurationVersion, fields: Raw) -> bool:
    """Whether a form, whatever its reason, would save the same settings again."""
    values = inputs.read(inputs.from_form(MultiDict(fields))).partial
    return values is not None and not differences(
        settings_of(version), settings_of(version_of(values, number=0))
    )
