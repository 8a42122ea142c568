"""Entry maps that could be live: what property tests of composing, comparing, publishing and resolving are fed with."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from hypothesis import strategies as st

from controlplane.runtime import canonical
from controlplane.runtime.bucketing import ALGORITHMS, BUCKETS

INTERACTIONS = ("ALPHA", "BRAVO", "CHARLIE")
TIERS = ("free", "premium")
TENANTS = ("acme", "globex-7", "größe")
MODELS = ("LARGE", "SMALL", "TINY")


class EntryMap(NamedTuple):
    """A release's documents by key and its prompt bodies by hash; `validate` finds nothing in it."""

    documents: dict[str, dict[str, Any]]
    bodies: dict[str, str]


def units() -> st.SearchStrategy[str]:
    """Return ids as products make them, and as nobody should."""
    return st.text(min_size=1, max_size=40) | st.integers(0, 10_000).map(lambda number: f"u-{number}")


def _algorithm(salt: str) -> str:
    """Return one of the algorithms, without a draw of its own."""
    return ALGORITHMS[int(salt[-1], 16) % len(ALGORITHMS)]


def salts() -> st.SearchStrategy[str]:
    return st.integers(0, 2**64 - 1).map("{:016x}".format)


@st.composite
def shares(draw: st.DrawFn, variants: int) -> list[list[list[int]]]:
    """Return for each variant the ranges it owns: all buckets, each once, pairs in either direction and in any order."""
    # Few draws of much: maps of entries are made of hundreds of these, and each draw costs.
    cuts = draw(st.lists(st.integers(1, BUCKETS - 1), max_size=5, unique=True))
    seed = draw(st.integers(0, 2**20))
    edges = [0, *sorted(cuts), BUCKETS]
    owned: list[list[list[int]]] = [[] for _ in range(variants)]
    for place, (start, end) in enumerate(pairwise(edges)):
        choice = seed >> 3 * place
        ranges = owned[choice % variants]
        ranges.insert(len(ranges) if choice & 2 else 0, [end, start] if choice & 4 else [start, end])
    return owned


_SETTINGS = st.fixed_dictionaries(
    {
        "model": st.sampled_from(MODELS),
        "temperature": st.sampled_from([None, 0, 0.3, 0.7, 1]),
        "max_tokens": st.sampled_from([None, 1, 2048, 4096]),
        "effective_from": st.sampled_from([None, "2026-01-01T00:00:00Z"]),
        "effective_until": st.sampled_from([None, "2027-01-01T00:00:00Z"]),
        "active": st.sampled_from([True, True, False]),
    }
)


def _variant(
    settings: Mapping[str, Any], version: int, prompt: Mapping[str, Any], ranges: list[list[int]]
) -> dict[str, Any]:
    others = [code for code in MODELS if code != settings["model"]]
    return {
        **settings,
        "version": version,
        "prompt": dict(prompt),
        "top_p": None,
        "frequency_penalty": None,
        "presence_penalty": None,
        "fallbacks": others[: version % 3],
        "ranges": ranges,
    }


@st.composite
def configurations(draw: st.DrawFn, prompts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a configuration of one to three variants that use one of these prompt references."""
    versions = draw(st.lists(st.integers(1, 30), min_size=1, max_size=3, unique=True))
    owned = draw(shares(len(versions)))
    salt = draw(salts())
    return {
        # A gate's begins with letters that this one never has.
        "salt": salt,
        "algorithm": _algorithm(salt),
        "unit": draw(st.sampled_from(["user", "tenant", "conversation"])),
        "variants": [
            _variant(draw(_SETTINGS), version, prompts[version % len(prompts)], ranges)
            for version, ranges in zip(versions, owned, strict=True)
        ],
    }


@st.composite
def gates(draw: st.DrawFn) -> dict[str, Any]:
    """Return a gate whose ranges are those of one of two variants."""
    salt = draw(salts())
    return {
        "salt": f"gate{salt[4:]}",
        "algorithm": _algorithm(salt),
        "unit": "user",
        "ranges": draw(shares(2))[0],
    }


def _model(*, provider_model_id: str, price: float | None) -> dict[str, Any]:
    return {
        "provider": "echo",
        "provider_model_id": provider_model_id,
        "context_window": 200_000,
        "max_output_tokens": 4096,
        "input_price_per_million": price,
        "output_price_per_million": price,
        "capabilities": ["chat"],
        "parameters": ["temperature", "top_p"],
        "active": True,
    }


def _interaction() -> dict[str, Any]:
    return {
        "category": "test",
        "description": "A place that calls a model",
        "parameters": [
            {"name": "goal", "type": "text", "required": True, "description": "", "example": "Grow"},
            {"name": "topic", "type": "string", "required": False, "description": "", "example": None},
        ],
    }


_BODIES = (
    "Work towards {{ goal }}.\n",
    "{% if topic %}About {{ topic }}: {% endif %}{{ goal }}\n",
    "Ziel: {{ goal }} — größer, 目標 😀\n",
)


@st.composite
def entry_maps(draw: st.DrawFn) -> EntryMap:
    """Return a valid set of entries: tiers, models, interactions, prompts, configurations for some rows, gates."""
    documents: dict[str, dict[str, Any]] = {
        f"tier/{code}": {"name": code.title(), "rank": rank} for rank, code in enumerate(TIERS)
    }
    for code in MODELS:
        price = draw(st.none() | st.sampled_from([0, 0.25, 3]))
        documents[f"model/{code}"] = _model(provider_model_id=f"{code.lower()}-1", price=price)
    bodies: dict[str, str] = {}
    interactions = draw(st.lists(st.sampled_from(INTERACTIONS), min_size=1, unique=True))
    for interaction in interactions:
        documents[f"interaction/{interaction}"] = _interaction()
        references = _add_prompt(draw, interaction, documents, bodies)
        for tier in draw(st.lists(st.sampled_from(["default", *TIERS]), min_size=1, unique=True)):
            for tenant in draw(
                st.lists(st.sampled_from(["*", *TENANTS]), min_size=1, max_size=2, unique=True)
            ):
                documents[f"configuration/{interaction}/{tier}/{tenant}"] = draw(configurations(references))
        if draw(st.booleans()):
            documents[f"gate/{interaction}"] = draw(gates())
    if draw(st.booleans()):
        reference = {"code": interactions[0].lower()}
        documents["configuration/*/default/*"] = draw(configurations([reference]))
    return EntryMap(documents, bodies)


def _add_prompt(
    draw: st.DrawFn, interaction: str, documents: dict[str, dict[str, Any]], bodies: dict[str, str]
) -> list[dict[str, Any]]:
    code = interaction.lower()
    live, older = draw(st.sampled_from(_BODIES)), draw(st.sampled_from(_BODIES))
    for body in (live, older):
        bodies[canonical.digest(body.encode())] = body
    documents[f"prompt/{code}"] = {
        "interaction": interaction,
        "version": 2,
        "sha256": canonical.digest(live.encode()),
        "size": len(live.encode()),
    }
    return [{"code": code}, {"code": code, "version": 1, "sha256": canonical.digest(older.encode())}]
