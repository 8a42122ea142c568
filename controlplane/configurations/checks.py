"""What the registry says about the values of a configuration; told at save, before anything is written.

The rules are the runtime's own (`runtime.validate`), asked about a small release that holds this configuration and what
it names: so that save, publish and every reader agree. Only what such a release cannot express is checked here.
"""

import re
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.configurations.documents import configuration_document, place_of
from controlplane.configurations.inputs import ConfigurationInput
from controlplane.configurations.models import Configuration, ConfigurationVersion
from controlplane.configurations.places import Place, tenant_problem
from controlplane.db import Json
from controlplane.prompts.documents import entry_document
from controlplane.prompts.inspection import inspector
from controlplane.prompts.models import Prompt, PromptVersion
from controlplane.prompts.services import latest_version
from controlplane.registry import documents as registry
from controlplane.registry.models import Interaction, Tier
from controlplane.registry.services import list_models
from controlplane.runtime.entries import interaction_key, model_key, prompt_key, tier_key
from controlplane.runtime.validate import validate_raws, written

_VARIANT: Final = re.compile(r"variants\[0\]\.?")


def place_problems(session: Session, place: Place) -> dict[str, str]:
    """Whether a configuration may stand here: interaction and tier exist and are in use, the tenant's id can be written."""
    errors = {}
    interaction = session.get(Interaction, place.interaction) if _storable(place.interaction) else None
    if interaction is None or interaction.archived_at is not None:
        errors["interaction"] = (
            f"There is no interaction {place.interaction}."
            if interaction is None
            else (f"{place.interaction} is archived: nothing new can be made for it.")
        )
    tier = session.get(Tier, place.tier) if place.tier and _storable(place.tier) else None
    if place.tier and (tier is None or tier.archived_at is not None):
        errors["tier"] = (
            f"There is no tier {place.tier}."
            if tier is None
            else (f"The tier {place.tier} is archived: nothing new can be made for it.")
        )
    problem = tenant_problem(place.tenant) if place.tenant else None
    return {**errors, "tenant": problem} if problem else errors


def value_problems(
    session: Session, configuration: Configuration, version: ConfigurationVersion
) -> dict[str, str]:
    """Everything wrong with a version that is about to be saved, by field of `ConfigurationInput`."""
    code, number = version.prompt_code, version.prompt_version
    prompt = session.get(Prompt, code) if _storable(code) else None
    newest = latest_version(session, code) if prompt else None
    pinned = _pinned(session, code, number) if prompt and number is not None else None
    errors: dict[str, str] = {}
    if prompt is None or newest is None:
        errors["prompt"] = "There is no such template."
    elif prompt.archived_at is not None:
        errors["prompt"] = f"The template {code} is archived."
    elif number is not None and pinned is None:
        errors["prompt_version"] = f"{code} has no version {number}."
    entries = _surroundings(session, configuration)
    if prompt and newest:
        entries[prompt_key(code)] = entry_document(prompt, newest)
    key = place_of(configuration).key
    entries[key] = configuration_document(
        configuration, version, pinned_sha256=pinned.sha256 if pinned else _NO_TEXT
    )
    bodies = {each.sha256: each.text for each in (newest, pinned) if each}
    raws, unwritten = written(entries)
    for problem in [*unwritten, *validate_raws(raws, bodies, inspect=inspector(bodies))]:
        field = _field_of(problem.field)
        # What is told above in the screen's own words is not told twice.
        if problem.key == key and not (field in _OF_THE_PROMPT and errors.keys() & _OF_THE_PROMPT):
            errors.setdefault(field, _sentence(problem.message))
    return errors


def version_of(values: ConfigurationInput, *, number: int) -> ConfigurationVersion:
    """The row that these values would become; belongs to no session yet."""
    return ConfigurationVersion(
        number=number,
        model=values.model,
        prompt_code=values.prompt,
        prompt_version=values.prompt_version,
        temperature=values.temperature,
        max_tokens=values.max_tokens,
        top_p=values.top_p,
        frequency_penalty=values.frequency_penalty,
        presence_penalty=values.presence_penalty,
        fallbacks=list(values.fallbacks),
        effective_from=values.effective_from,
        effective_until=values.effective_until,
        active=values.active,
        reason=values.reason,
    )


# Stands for the text of a version that does not exist, which is told in words of its own.
_NO_TEXT: Final = "0" * 64
_OF_THE_PROMPT: Final = {"prompt", "prompt_version"}


def _surroundings(session: Session, configuration: Configuration) -> dict[str, Json]:
    entries: dict[str, Json] = {}
    interaction = session.get(Interaction, configuration.interaction)
    if interaction is not None:
        entries[interaction_key(interaction.code)] = registry.interaction_document(interaction)
    tier = session.get(Tier, configuration.tier) if configuration.tier else None
    if tier is not None:
        entries[tier_key(tier.code)] = registry.tier_document(tier)
    for model in list_models(session):
        entries[model_key(model.code)] = registry.model_document(model)
    return entries


def _pinned(session: Session, code: str, number: int) -> PromptVersion | None:
    query = select(PromptVersion).where(PromptVersion.prompt_code == code, PromptVersion.number == number)
    return session.scalar(query)


def _field_of(path: str) -> str:
    """The field of a path in the entry: "variants[0].prompt.version" is prompt_version."""
    field = _VARIANT.sub("", path)
    if field.startswith("prompt"):
        return "prompt_version" if field.endswith(("version", "sha256")) else "prompt"
    name = re.split(r"[.\[]", field, maxsplit=1)[0]
    return name if name in ConfigurationInput.model_fields else ""


def _sentence(message: str) -> str:
    """A message of the runtime, which writes them to stand after a key, as it stands beside a field."""
    return f"{message[0].upper()}{message[1:]}{'' if message.endswith(('.', '?', '!')) else '.'}"


def _storable(text: str) -> bool:
    return "\x00" not in text
