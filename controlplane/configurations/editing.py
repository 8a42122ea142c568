"""The edit form between the browser and the service: filled, read, checked as a whole, merged after a conflict."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from controlplane.configurations import conflict, inputs, live
from controlplane.configurations.checks import version_of
from controlplane.configurations.documents import settings_of
from controlplane.configurations.inputs import ConfigurationInput
from controlplane.configurations.models import (
    Configuration,
    ConfigurationDraft,
    ConfigurationVersion,
)
from controlplane.configurations.page import Effect, effect_of
from controlplane.configurations.pages import models_by_code, standing_of
from controlplane.configurations.places import Place
from controlplane.configurations.services import problems
from controlplane.configurations.states import standing
from controlplane.db import now
from controlplane.drafts import Note
from controlplane.web.forms import Parsed, fill

Form = Parsed[Any]

# What a new configuration begins with when there is nothing to begin from.
BLANK: Mapping[str, Any] = {"active": True}


@dataclass(frozen=True)
class Submission:
    """A form as sent: with every error, those of the registry included, and what of it could be read."""

    form: Form
    partial: ConfigurationInput | None

    @property
    def unfinished(self) -> "Submission":
        """The same while it is still being written: that it has no reason yet is no mistake."""
        errors = {name: text for name, text in self.form.errors.items() if name != "reason"}
        return replace(self, form=replace(self.form, errors=errors))

    @property
    def values(self) -> ConfigurationInput | None:
        """The values, when nothing is wrong with them."""
        return self.partial if not self.form.errors else None


@dataclass(frozen=True)
class Collision:
    """Somebody saved meanwhile: the three sides, and a form that holds both changes."""

    before: ConfigurationVersion | None  # None: there was no configuration when it was begun
    theirs: ConfigurationVersion
    lines: list[conflict.Line]
    form: Form


def form_of(version: ConfigurationVersion) -> Form:
    """The form filled with a version; the reason is for the one that is to come."""
    return fill({**inputs.to_form(values_of(version)), "reason": "", "base_version": version.number})


def values_of(version: ConfigurationVersion) -> ConfigurationInput:
    """A version as values. Not checked again: rules may have become stricter since it was saved."""
    return ConfigurationInput.model_construct(
        model=version.model,
        prompt=version.prompt_code,
        prompt_version=version.prompt_version,
        temperature=version.temperature,
        max_tokens=version.max_tokens,
        top_p=version.top_p,
        frequency_penalty=version.frequency_penalty,
        presence_penalty=version.presence_penalty,
        fallbacks=list(version.fallbacks),
        effective_from=version.effective_from,
        effective_until=version.effective_until,
        active=version.active,
        reason=version.reason,
    )


def read(
    session: Session, place: Place, sent: MultiDict[str, str], *, theirs: Form | None = None
) -> Submission:
    """Check what was sent, all rules in one answer. From a conflict page, fields chosen to be `theirs` are taken from there."""
    raw = {name: sent.getlist(name) for name in sent}
    if theirs is not None:
        raw = conflict.with_choices(raw, theirs.raw)
        sent = MultiDict([(name, value) for name, values in raw.items() for value in values])
    reading = inputs.read(inputs.from_form(sent))
    errors = dict(reading.errors)
    if reading.partial is not None:
        for name, message in problems(session, place, reading.partial).items():
            errors.setdefault(name, message)
    return Submission(Parsed(None, inputs.form_errors(errors), raw), reading.partial)


def effect(
    session: Session,
    environment: str,
    place: Place,
    submission: Submission,
    configuration: Configuration | None,
) -> Effect:
    """What saving the form would mean."""
    entries = live.live_entries(session, environment)
    if configuration is None:
        stand = standing(entries.get(place.key), saved_version=0, archived=False, now=now())
    else:
        stand = standing_of(configuration, entries)
    values = submission.partial
    told = {name: text for name, text in submission.form.errors.items() if name != "reason"}
    return effect_of(
        settings_of(version_of(values, number=0))
        if values and not told.keys() & {"model", "template"}
        else None,
        problems=[
            f"{conflict.FIELDS[name]}: {text}" if name in conflict.FIELDS else text
            for name, text in told.items()
        ],
        saved=settings_of(configuration.versions[0]) if configuration else None,
        live=stand.variants[0] if stand.variants else None,
        models=models_by_code(session),
    )


def collide(configuration: Configuration, values: ConfigurationInput, *, base_version: int) -> Collision:
    """The three sides of a conflict; the versions of `configuration` are loaded afresh."""
    theirs = configuration.versions[0]
    before = _version(configuration, base_version)
    yours = fill(inputs.to_form(values)).raw
    sides = (_raw_of(before), _raw_of(theirs), yours)
    merged = conflict.merge(*sides)
    merged["base_version"] = [str(theirs.number)]
    return Collision(before, theirs, conflict.compare(*sides), Parsed(None, {}, merged))


@dataclass(frozen=True)
class DraftPage:
    """A draft against the version it was begun from and, where that is another, against the newest."""

    place: Place
    note: Note
    before: ConfigurationVersion | None
    lines: list[conflict.Line]
    reason: str


def form_of_draft(draft: ConfigurationDraft) -> Form:
    """The form as it was left."""
    raw = {**{name: list(values) for name, values in draft.fields.items()}}
    return Parsed(None, {}, {**raw, "base_version": [str(draft.base_version)]})


def draft_page(place: Place, draft: ConfigurationDraft, configuration: Configuration | None) -> DraftPage:
    """What a draft says otherwise than what is saved; the versions of `configuration`, if one stands there, are loaded."""
    newest = configuration.versions[0] if configuration else None
    before = _version(configuration, draft.base_version) if configuration else None
    lines = conflict.compare(_raw_of(before), _raw_of(newest), _tidy(draft.fields))
    reason = " ".join(draft.fields.get("reason", [])).strip()
    return DraftPage(place, Note(draft, newest, is_open=False), before, lines, reason)


def _version(configuration: Configuration, number: int) -> ConfigurationVersion | None:
    """A version whose number came from a browser; None where there was none yet."""
    return next((each for each in configuration.versions if each.number == number), None)


def _raw_of(version: ConfigurationVersion | None) -> conflict.Raw:
    return fill(inputs.to_form(values_of(version))).raw if version else {"active": ["true"]}


def _tidy(typed: conflict.Raw) -> conflict.Raw:
    """As typed, but what can be read is written as versions are: 0.70 is no other number than 0.7."""
    reading = inputs.read(inputs.from_form(MultiDict(typed)))
    wrong = inputs.form_errors(reading.errors)
    tidy = fill(inputs.to_form(reading.partial)).raw if reading.partial else {}
    return {**typed, **{name: values for name, values in tidy.items() if name not in wrong}}
