"""Typed readers of the files beside this module; what is done with the rows is decided in `load.py`.

Rows are typed dictionaries and no classes of their own: they go, name by name, into the inputs of the services.
Prices and temperatures are decimals, exactly as written.
"""

from decimal import Decimal
from importlib import resources
from typing import Final, NotRequired, TypedDict, TypeVar

import msgspec

_HERE: Final = resources.files("controlplane.first_data")
_File = TypeVar("_File")


class TierRow(TypedDict):
    """A subscription level; `rank` orders them from the least."""

    code: str
    name: str
    rank: int


class EnvironmentRow(TypedDict):
    """A place where releases go live; a protected one asks for more care before publishing."""

    code: str
    name: str
    protected: bool


class ParameterRow(TypedDict):
    """A value that the prompts of an interaction may use; what it holds inside is declared where templates name it."""

    name: str
    type: str
    required: bool
    description: str
    example: object
    fields: NotRequired[list[dict[str, object]]]
    items: NotRequired[dict[str, object]]


class InteractionRow(TypedDict):
    """A named place in the product that calls a model; its prompt has its code in lower case."""

    code: str
    category: str
    description: str
    parameters: list[ParameterRow]


class ModelRow(TypedDict):
    """A model with its limits, and its prices in US dollars per million tokens."""

    code: str
    provider: str
    provider_model_id: str
    context_window: int
    max_output_tokens: int
    input_price_per_million: Decimal | None
    output_price_per_million: Decimal | None
    capabilities: list[str]
    parameters: list[str]
    active: bool
    note: str | None


class ConfigurationRow(TypedDict):
    """The model and settings of an interaction for one tier, or for all tiers (None)."""

    interaction: str
    tier: str | None
    model: str
    temperature: Decimal | None
    max_tokens: int | None
    fallbacks: list[str]


class SampleRow(TypedDict):
    """Values for the templates of an interaction, beside those that every interaction has."""

    interaction: str
    name: str
    must_pass: bool
    values: dict[str, object]


class _SamplesFile(TypedDict):
    samples: list[SampleRow]


class _InteractionsFile(TypedDict):
    tiers: list[TierRow]
    environments: list[EnvironmentRow]
    interactions: list[InteractionRow]


class _ModelsFile(TypedDict):
    models: list[ModelRow]


class _ConfigurationsFile(TypedDict):
    configurations: list[ConfigurationRow]


def read_tiers() -> list[TierRow]:
    """Return the tiers, least first."""
    return _decode("interactions.json", _InteractionsFile)["tiers"]


def read_environments() -> list[EnvironmentRow]:
    """Return the environments in the order in which changes travel through them."""
    return _decode("interactions.json", _InteractionsFile)["environments"]


def read_interactions() -> list[InteractionRow]:
    """Return the interactions with their declared parameters."""
    return _decode("interactions.json", _InteractionsFile)["interactions"]


def read_models() -> list[ModelRow]:
    """Return the models of the registry."""
    return _decode("models.json", _ModelsFile)["models"]


def read_configurations() -> list[ConfigurationRow]:
    """Return what each interaction uses, by tier."""
    return _decode("configurations.json", _ConfigurationsFile)["configurations"]


def read_samples() -> list[SampleRow]:
    """Return the sample sets of some interactions, as realistic as can be invented."""
    return _decode("samples.json", _SamplesFile)["samples"]


def read_prompts() -> dict[str, str]:
    """Return the text of each prompt by its code, in the order of the codes."""
    files = {file.name: file for file in (_HERE / "prompts").iterdir() if file.name.endswith(".jinja")}
    return {name.removesuffix(".jinja"): files[name].read_text("utf-8") for name in sorted(files)}


def _decode(name: str, shape: type[_File]) -> _File:
    return msgspec.json.decode((_HERE / name).read_bytes(), type=shape)
