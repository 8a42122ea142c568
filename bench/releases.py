"""Releases of any size, alike in shape: many tenants with configurations of their own, and a rollout in every one."""

import random
from decimal import Decimal
from typing import Any

from controlplane.first_data import read
from controlplane.runtime import BUCKETS, Request, Snapshot, canonical, snapshot
from controlplane.runtime.bucketing import ALGORITHM
from controlplane.runtime.entries import (
    configuration_key,
    gate_key,
    interaction_key,
    model_key,
    parse_key,
    prompt_key,
    tier_key,
)

Document = dict[str, Any]
Documents = dict[str, Document]

ENVIRONMENT = "production"
INTERACTION = "COACHING_RESPONSE"
EVERYBODY = ((0, BUCKETS),)
HALF = ((0, BUCKETS // 2),)
SPLIT = 90_000
"""The first bucket of the newer variant."""

_MODELS = ("CLAUDE_3_5_SONNET", "CLAUDE_3_HAIKU")


def registry(*, gates: tuple[tuple[int, int], ...] = EVERYBODY) -> Documents:
    """Return tiers, models, interactions, prompts and gates, as a first run has them."""
    found = {tier_key(row["code"]): _plain(row, "code") for row in read.read_tiers()}
    found |= {model_key(row["code"]): _plain(row, "code", "note") for row in read.read_models()}
    for row in read.read_interactions():
        found[interaction_key(row["code"])] = _plain(row, "code")
        found[gate_key(row["code"])] = {**_bucketed(f"gate{len(found)}"), "ranges": gates}
    for code, body in read.read_prompts().items():
        found[prompt_key(code)] = prompt(code.upper(), body)
    return found


def prompt(interaction: str, body: str) -> Document:
    """Return the entry of a prompt's first version."""
    data = body.encode()
    return {"interaction": interaction, "version": 1, "sha256": canonical.digest(data), "size": len(data)}


def configurations(count: int) -> Documents:
    """Return a default row, and then row upon row of a tier of a tenant."""
    tiers = [row["code"] for row in read.read_tiers()]
    interactions = [row["code"] for row in read.read_interactions()]
    keys = [configuration_key(INTERACTION)]
    tenant = 0
    while len(keys) < count:
        tenant += 1
        keys += [configuration_key(name, tier, f"tenant-{tenant}") for name in interactions for tier in tiers]
    return {key: _configuration(key, place) for place, key in enumerate(keys[:count])}


def release(count: int, *, gates: tuple[tuple[int, int], ...] = EVERYBODY) -> bytes:
    """Return the bytes of a release with this many configurations."""
    bodies = {canonical.digest(body.encode()): body for body in read.read_prompts().values()}
    return snapshot.build(registry(gates=gates) | configurations(count), bodies)


def with_many_prompts(count: int, *, changed: int = 0) -> bytes:
    """Return the bytes of a release with this many prompts of sixty lines or so; `changed` of them have another text."""
    known = read.read_prompts()
    documents, bodies = registry(), {canonical.digest(body.encode()): body for body in known.values()}
    longest = max(known, key=lambda code: len(known[code]))
    for number in range(count):
        body = f"Number {number}{' again' if number < changed else ''}\n{known[longest]}"
        bodies[canonical.digest(body.encode())] = body
        documents[prompt_key(f"p{number}")] = prompt(longest.upper(), body)
    return snapshot.build(documents | configurations(1), bodies)


def load(count: int, *, gates: tuple[tuple[int, int], ...] = EVERYBODY) -> Snapshot:
    """Return a release with this many configurations, ready to be asked."""
    return Snapshot.load(release(count, gates=gates), release=1, environment=ENVIRONMENT)


def requests(live: Snapshot, count: int) -> list[Request]:
    """Return requests by many users, each for a configuration of its tenant, in an order that no cache can guess."""
    # Of a fixed seed, so that every run asks the same.
    chosen = random.Random(1)
    keys = [key for key in sorted(live.keys()) if key.startswith("configuration/") and not key.endswith("*")]
    return [_request(chosen.choice(keys), chosen.randrange(1_000_000)) for _ in range(count)]


def key_of(request: Request) -> str:
    """Return the key of the row that answers one of `requests`."""
    return configuration_key(request.interaction, request.tier, request.tenant_id)


def _request(key: str, user: int) -> Request:
    interaction, tier, tenant = parse_key(key).parts
    return Request(interaction, tier, tenant, f"user-{user:06}")


def _configuration(key: str, place: int) -> Document:
    interaction = key.split("/")[1]
    older = _variant(1, _MODELS[0], interaction, (0, SPLIT))
    newer = _variant(2, _MODELS[1], interaction, (BUCKETS, SPLIT))
    return {**_bucketed(f"{place:016x}"), "variants": [older, newer]}


def _variant(version: int, model: str, interaction: str, buckets: tuple[int, int]) -> Document:
    return {
        "version": version,
        "model": model,
        "prompt": {"code": interaction.lower()},
        "temperature": 0.7,
        "max_tokens": 1_024,
        "top_p": None,
        "frequency_penalty": None,
        "presence_penalty": None,
        "fallbacks": [_MODELS[2 - version]],
        "effective_from": None,
        "effective_until": None,
        "active": True,
        "ranges": [buckets],
    }


def _bucketed(salt: str) -> Document:
    return {"salt": salt, "algorithm": ALGORITHM, "unit": "user"}


def _plain(row: Any, *without: str) -> Document:
    return {
        name: float(value) if isinstance(value, Decimal) else value
        for name, value in row.items()
        if name not in without
    }
