"""Which models a call may be sent to, in their order, and what becomes of it at each. Pure.

Calling, explaining and rehearsing a failure ask the same three functions, so that none of them can promise another chain.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from controlplane.runtime.entries import Model, Variant
from controlplane.runtime.providers.base import OPTIONAL_PARAMETERS, ProviderRequest
from controlplane.runtime.snapshot import Snapshot

CHARACTERS_PER_TOKEN: Final = 4
"""A rule of thumb for English text, on the safe side."""


@dataclass(frozen=True, slots=True)
class Target:
    """A model to call; `model` is its registry entry, which the legacy path does not have."""

    provider: str
    model_id: str
    code: str | None = None
    model: Model | None = None


def targets_of(snapshot: Snapshot, variant: Variant) -> list[Target]:
    """Return the variant's model and its fallbacks, as far as they are active in this release."""
    return [target for target, left_out in links_of(snapshot, variant) if left_out is None]


def links_of(snapshot: Snapshot, variant: Variant) -> Iterator[tuple[Target, str | None]]:
    """Yield every model that a variant names, in order, each with why it is never asked; None for one that is."""
    for code in (variant.model, *variant.fallbacks):
        model = snapshot.model(code)
        if model is None:
            yield Target("", "", code), "it is not in this release"
        else:
            left_out = None if model.active or code == variant.model else "it is retired"
            yield Target(model.provider, model.provider_model_id, code, model), left_out


def fit(request: ProviderRequest, target: Target) -> tuple[ProviderRequest, tuple[str, ...]]:
    """Return the request as this model takes it, and the names of the parameters it does not."""
    own = replace(request, model_id=target.model_id)
    if target.model is None:
        return own, ()
    own, dropped = own.only_taking(
        tuple(name for name in OPTIONAL_PARAMETERS if name in target.model.parameters)
    )
    most = target.model.max_output_tokens
    if own.max_tokens is not None and own.max_tokens > most:  # a fallback may give less than the first choice
        own = replace(own, max_tokens=most)
    return own, dropped


def is_too_long(request: ProviderRequest, target: Target) -> bool:
    """Say whether the call cannot fit. A guess on the safe side: the model's own tokenizer has the last word."""
    if target.model is None:
        return False
    characters = len(request.system or "") + sum(len(message.content) for message in request.messages)
    return characters // CHARACTERS_PER_TOKEN + (request.max_tokens or 0) > target.model.context_window
