"""Which other entries an entry names: what has to be live beside it. Pure, and tolerant of any shape."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from controlplane.releases.compose import Document
from controlplane.runtime import entries


def references(key: str, document: Document | None) -> set[str]:
    """Return the keys that an entry names: its interaction, its tier, and the models and templates of its variants."""
    if document is None:
        return set()
    kind, *parts = key.split("/")
    if kind == "configuration" and len(parts) == 3:
        return {*_place(parts[0], parts[1]), *_named_by_variants(document)}
    if kind == "gate":
        return {entries.interaction_key("/".join(parts))}
    if kind == "prompt" and isinstance(document.get("interaction"), str):
        return {entries.interaction_key(document["interaction"])}
    return set()


def missing(proposed: Mapping[str, Document | None], live: Collection[str]) -> dict[str, list[str]]:
    """Return for each proposed entry what it names and nobody would have: neither live and kept, nor proposed."""
    there = {*live, *(key for key, document in proposed.items() if document is not None)}
    there -= {key for key, document in proposed.items() if document is None}
    wanted = {key: sorted(references(key, document) - there) for key, document in proposed.items()}
    return {key: keys for key, keys in wanted.items() if keys}


def _place(interaction: str, tier: str) -> Iterator[str]:
    if interaction != entries.ANY:
        yield entries.interaction_key(interaction)
    if tier != entries.DEFAULT_TIER:
        yield entries.tier_key(tier)


def _named_by_variants(document: Document) -> Iterator[str]:
    for variant in document.get("variants") or []:
        models: list[Any] = [variant.get("model"), *(variant.get("fallbacks") or [])]
        yield from (entries.model_key(model) for model in models if isinstance(model, str))
        prompt = variant.get("prompt") or {}
        if isinstance(prompt.get("code"), str):
            yield entries.prompt_key(prompt["code"])
