"""Bring a new database to the state a first run shows: registry, prompts, configurations, release 1 everywhere.

Everything goes through the same services as in the browser, so that the first data is valid by construction and each
step stands in the audit, done by "first data".
"""

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor
from controlplane.configurations import services as configurations
from controlplane.configurations.inputs import ConfigurationInput
from controlplane.first_data import read
from controlplane.prompts import services as prompts
from controlplane.registry import services as registry
from controlplane.registry.inputs import EnvironmentInput, InteractionInput, ModelInput, TierInput
from controlplane.registry.models import Environment
from controlplane.releases import services as releases
from controlplane.releases.saved import saved_entries
from controlplane.runtime.parameters import only_required
from controlplane.samples import services as samples

ACTOR = Actor.system("first data", via="first data")
REASON = "First data"


def is_empty(session: Session) -> bool:
    """Whether nothing was ever loaded: there is no environment."""
    return not session.scalar(select(exists(select(Environment.code))))


def load(session: Session) -> None:
    """Load the registry, the prompts and the configurations, and publish release 1 of each environment."""
    load_registry(session)
    load_samples(session)
    load_prompts(session)
    load_configurations(session)
    for environment in read.read_environments():
        publish_everything(session, environment["code"])


def load_registry(session: Session) -> None:
    """The environments, tiers, models and interactions."""
    for position, environment in enumerate(read.read_environments()):
        registry.create_environment(session, EnvironmentInput(**environment, position=position), actor=ACTOR)
    for tier in read.read_tiers():
        registry.create_tier(session, TierInput(**tier), actor=ACTOR)
    for model in read.read_models():
        registry.create_model(session, ModelInput(**model), actor=ACTOR)
    for interaction in read.read_interactions():
        registry.create_interaction(session, InteractionInput.model_validate(interaction), actor=ACTOR)


def load_samples(session: Session) -> None:
    """What every template must pass with: only what is required; and a few as they come in practice.

    The default of each interaction are its declared examples, which need no row.
    """
    for interaction in registry.list_interactions(session):
        declared = samples.declared_parameters(session, interaction.code)
        samples.create_sample(
            session,
            interaction.code,
            name=samples.ONLY_REQUIRED,
            values=only_required(declared),
            must_pass=True,
            actor=ACTOR,
        )
    for row in read.read_samples():
        samples.create_sample(session, **row, actor=ACTOR)


def load_prompts(session: Session) -> None:
    """One prompt for each interaction, under the interaction's code in lower case."""
    for code, body in read.read_prompts().items():
        prompts.create_prompt(
            session, code=code, interaction=code.upper(), body=body, reason=REASON, actor=ACTOR
        )


def load_configurations(session: Session) -> None:
    """The configurations; each follows its interaction's prompt."""
    for row in read.read_configurations():
        configurations.create_configuration(
            session,
            interaction=row["interaction"],
            tier=row["tier"],
            tenant=None,
            values=ConfigurationInput(
                model=row["model"],
                prompt=row["interaction"].lower(),
                temperature=row["temperature"],
                max_tokens=row["max_tokens"],
                fallbacks=row["fallbacks"],
                reason=REASON,
            ),
            actor=ACTOR,
        )


def publish_everything(session: Session, environment: str) -> None:
    """Publish all that is saved."""
    saved, _ = saved_entries(session, environment)
    releases.publish(
        session, environment, source=saved, keys=set(saved), reason=REASON, actor=ACTOR, source_name="saved"
    )
