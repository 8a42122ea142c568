"""Values for tests: a good version of COACHING_RESPONSE, to be changed one field at a time."""

from typing import Any

from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor
from controlplane.configurations import services
from controlplane.configurations.inputs import ConfigurationInput
from controlplane.configurations.models import Configuration, ConfigurationVersion

GOOD: dict[str, Any] = {
    "model": "CLAUDE_3_HAIKU",
    "prompt": "coaching_response",
    "temperature": "0.4",
    "max_tokens": "1024",
    "reason": "cheaper",
}


def values(**changes: Any) -> ConfigurationInput:
    return ConfigurationInput.model_validate({**GOOD, **changes})


def premium(session: Session) -> Configuration:
    return services.get_configuration(session, "COACHING_RESPONSE", tier="premium")


def save(
    session: Session, actor: Actor, configuration: Configuration | None = None, **changes: Any
) -> ConfigurationVersion:
    configuration = configuration or premium(session)
    base = services.latest_version(session, configuration).number
    return services.save_version(session, configuration, values(**changes), base_version=base, actor=actor)
