"""The registry's rows as the documents that releases carry and the runtime reads."""

from collections.abc import Sequence
from decimal import Decimal

from controlplane.db import Json
from controlplane.registry.models import Interaction, Model, Tier
from controlplane.runtime.bucketing import BUCKETS

EVERYBODY: tuple[tuple[int, int], ...] = ((0, BUCKETS),)


def tier_document(tier: Tier) -> Json:
    """The entry of a tier."""
    return {"name": tier.name, "rank": tier.rank}


def model_document(model: Model) -> Json:
    """The entry of a model; a price that is not known is null."""
    return {
        "provider": model.provider,
        "provider_model_id": model.provider_model_id,
        "context_window": model.context_window,
        "max_output_tokens": model.max_output_tokens,
        "input_price_per_million": _number(model.input_price_per_million),
        "output_price_per_million": _number(model.output_price_per_million),
        "capabilities": list(model.capabilities),
        "parameters": list(model.parameters),
        "active": model.active,
    }


def interaction_document(interaction: Interaction) -> Json:
    """The entry of an interaction, with the parameters its prompts may use."""
    return {
        "category": interaction.category,
        "description": interaction.description,
        "parameters": [dict(parameter) for parameter in interaction.parameters],
    }


def gate_document(interaction: Interaction, *, ranges: Sequence[Sequence[int]] = EVERYBODY) -> Json:
    """The entry of an interaction's gate: the buckets whose calls go through configuration look-up."""
    return {
        "salt": interaction.gate_salt,
        "algorithm": interaction.gate_algorithm,
        "unit": "user",
        "ranges": [list(pair) for pair in ranges],
    }


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
