"""What programs save: templates and configurations, for all environments. Nothing of it is live.

The same text again makes no new version, so that a pipeline may send whatever its repository holds each time it runs.
"""

from typing import Any

from flask import Response, url_for

from controlplane.api import documents
from controlplane.api.inputs import ConfigurationSent, TemplateInput
from controlplane.api.routing import answered, blueprint, body_as
from controlplane.configurations import inputs
from controlplane.configurations import services as configurations
from controlplane.configurations.checks import version_of
from controlplane.configurations.documents import settings_of
from controlplane.configurations.inputs import ConfigurationInput, check_reason
from controlplane.configurations.models import Configuration
from controlplane.configurations.places import Place
from controlplane.errors import Conflict, NotFound, Refused
from controlplane.prompts import services as prompts
from controlplane.prompts.models import Prompt
from controlplane.runtime.profile import normalise
from controlplane.tokens.scopes import Scope
from controlplane.web.access import current_actor, requires_token
from controlplane.web.unit_of_work import db_session


@blueprint.put("/templates/<code>")
@requires_token(Scope.EDIT)
def save_template(code: str) -> Response:
    """Save a text as the next version, or as the first of a new template; 200 without a version when it is saved already."""
    sent, session = body_as(TemplateInput), db_session()
    code = code.replace("\x00", "?")
    try:
        known = prompts.get_prompt(session, code)
    except NotFound:
        return _new_template(code, sent)
    _refuse_otherwise(known, sent)
    if normalise(sent.body) == known.versions[0].body and known.archived_at is None:
        return answered({**documents.template(known, known.versions[0]), "saved": False})
    if sent.base_version is None:
        raise Refused({"base_version": _BASE_NEEDED.format(known.versions[0].number)})
    try:
        version = prompts.save_version(
            session,
            known,
            body=sent.body,
            base_version=sent.base_version,
            reason=check_reason(sent.reason),
            actor=current_actor(),
        )
    except Conflict:
        # Sent again while the first was on its way: what was faster is this very text.
        newest = prompts.get_prompt(session, code)
        if normalise(sent.body) != newest.versions[0].body:
            raise
        return answered({**documents.template(newest, newest.versions[0]), "saved": False})
    return answered({**documents.template(known, version), "saved": True})


def _refuse_otherwise(known: Prompt, sent: TemplateInput) -> None:
    """Raise `Refused` for what is said once, when a template is made, and is said otherwise now: it would be passed over."""
    errors = {}
    if sent.interaction is not None and sent.interaction != known.interaction:
        errors["interaction"] = f"This template is of {known.interaction}, and stays with it."
    if sent.description and sent.description != known.description:
        errors["description"] = "A template has the description it was made with. Leave this out."
    if errors:
        raise Refused(errors)


def _new_template(code: str, sent: TemplateInput) -> Response:
    if sent.base_version is not None:
        raise NotFound("template", code)
    made = prompts.create_prompt(
        db_session(),
        code=code,
        interaction=sent.interaction or "",
        body=sent.body,
        description=sent.description,
        reason=check_reason(sent.reason),
        actor=current_actor(),
    )
    version = prompts.get_version(db_session(), code, 1)
    where = url_for(".template", code=code)
    return answered({**documents.template(made, version), "saved": True}, 201, location=where)


@blueprint.put("/configurations/<interaction>/<tier>")
@blueprint.put("/configurations/<interaction>/<tier>/<tenant>")
@requires_token(Scope.EDIT)
def save_configuration(interaction: str, tier: str, tenant: str | None = None) -> Response:
    """Save values as the next version, or as the first of a new configuration; 200 without a version when nothing differs."""
    place, sent = Place.from_words(interaction, tier, tenant), body_as(ConfigurationSent)
    known = _known(place)
    if known is not None and known.archived_at is None and _has(known, sent.values):
        return answered({**documents.configuration(place, known.versions[0], archived=False), "saved": False})
    values = _values(place, sent.values)
    if known is None or known.archived_at is not None:
        return _new_configuration(place, sent, values)
    if sent.base_version is None:
        raise Refused({"base_version": _BASE_NEEDED.format(known.versions[0].number)})
    try:
        version = configurations.save_version(
            db_session(), known, values, base_version=sent.base_version, actor=current_actor()
        )
    except Conflict:  # as with a template
        newest = _known(place)
        if newest is None or not _has(newest, sent.values):
            raise
        return answered(
            {**documents.configuration(place, newest.versions[0], archived=False), "saved": False}
        )
    return answered({**documents.configuration(place, version, archived=False), "saved": True})


def _new_configuration(place: Place, sent: ConfigurationSent, values: ConfigurationInput) -> Response:
    if sent.base_version is not None:
        raise Conflict(
            f"There is no configuration of {place.title} that could have been changed. Nothing was saved."
        )
    made = configurations.create_configuration(
        db_session(),
        interaction=place.interaction,
        tier=place.tier,
        tenant=place.tenant,
        values=values,
        actor=current_actor(),
    )
    version = configurations.latest_version(db_session(), made)
    where = url_for(
        ".configuration", interaction=place.interaction, tier=place.tier_word, tenant=place.tenant
    )
    return answered(
        {**documents.configuration(place, version, archived=False), "saved": True}, 201, location=where
    )


_BASE_NEEDED = "Say which version this was made from: version {} is the newest. Then nobody's later change is written over unseen."


def _known(place: Place) -> Configuration | None:
    try:
        return configurations.get_configuration(
            db_session(), place.interaction, tier=place.tier, tenant=place.tenant
        )
    except NotFound:
        return None


def _has(known: Configuration, sent: dict[str, Any]) -> bool:
    """Whether a configuration has these values already, whatever the reason; what cannot be read it has not."""
    reading = inputs.read({**sent, "reason": "the same values"})
    if reading.values is None:
        return False
    return settings_of(version_of(reading.values, number=0)) == settings_of(known.versions[0])


def _values(place: Place, sent: dict[str, Any]) -> ConfigurationInput:
    """Return the values, with everything that is wrong with them in one answer: the registry's rules too."""
    reading = inputs.read(sent)
    errors = dict(reading.errors)
    if reading.partial is not None:
        for name, message in configurations.problems(db_session(), place, reading.partial).items():
            errors.setdefault(name, message)
    if errors or reading.values is None:
        raise Refused(errors)
    return reading.values
