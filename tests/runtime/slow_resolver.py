"""The resolver once more, as `docs/bucketing.md` tells it: slow, plain, and sharing no line with the one that is tested."""

import hashlib
from datetime import datetime
from typing import Any

import xxhash

from controlplane.runtime import Request
from controlplane.runtime.bucketing import owns
from tests.runtime.releases import Documents


def answer(documents: Documents, request: Request, now: datetime) -> dict[str, Any] | None:
    """What a request gets, as `shown` tells a resolution; None when no row counts."""
    passed_over: tuple[str, ...] = ()
    for reason, key in _order(request):
        if key not in documents:
            continue
        variants = documents[key]["variants"]
        variant, chosen, number = _choice(documents[key], request, now)
        if variant is None:
            passed_over += (key,)
            continue
        prompt = variant["prompt"]
        return {
            "release": ("staging", 3),
            "key": key,
            "reason": reason,
            "chosen": chosen,
            "version": variant["version"],
            "model": (variant["model"], documents[f"model/{variant['model']}"]["provider_model_id"]),
            "prompt": (
                prompt["code"],
                prompt.get("version") or documents[f"prompt/{prompt['code']}"]["version"],
            ),
            "bucket": number,
            "gate": _gate(documents.get(f"gate/{request.interaction}"), request),
            "baseline_version": variants[0]["version"],
            "passed_over": passed_over,
        }
    return None


def _order(request: Request) -> list[tuple[str, str]]:
    tier = request.tier or "default"
    tenant = request.tenant_id or "*"
    rows = [
        ("tenant_tier", tier, tenant),
        ("tenant", "default", tenant),
        ("tier", tier, "*"),
        ("default", "default", "*"),
    ]
    keys = [(reason, f"configuration/{request.interaction}/{row}/{whose}") for reason, row, whose in rows]
    # A key that several rows of the order come to is the last of them: without a tenant, "tenant" is "default".
    named = {key: reason for reason, key in [*keys, ("environment_default", "configuration/*/default/*")]}
    return [(reason, key) for key, reason in named.items()]


def _choice(
    document: dict[str, Any], request: Request, now: datetime
) -> tuple[dict[str, Any] | None, str, int | None]:
    variants = document["variants"]
    chosen, how, number = variants[0], "only", None
    if len(variants) > 1:
        how, number = "no_unit", _bucket(document, request)
        if number is not None:
            how = "range"
            chosen = next(variant for variant in variants if owns(variant["ranges"], number))
            if not _counts(chosen, now) and chosen is not variants[0]:
                chosen, how = variants[0], "baseline_instead"
    return (chosen if _counts(chosen, now) else None), how, number


def _counts(variant: dict[str, Any], now: datetime) -> bool:
    begin, end = (
        datetime.fromisoformat(variant[name] or fallback)
        for name, fallback in (
            ("effective_from", "0001-01-01T00:00:00Z"),
            ("effective_until", "9999-12-31T00:00:00Z"),
        )
    )
    return variant["active"] and begin <= now < end


def _bucket(document: dict[str, Any], request: Request) -> int | None:
    others = {"tenant": request.tenant_id, "conversation": request.conversation_id}
    unit = others.get(document["unit"]) or request.unit
    if not unit:
        return None
    algorithm = document.get("algorithm", "v1")
    parts = (algorithm, document["salt"], document["unit"], unit)
    data = b"\0".join(part.encode(errors="surrogatepass") for part in parts)
    digest = xxhash.xxh64(data) if algorithm == "v2" else hashlib.sha256(data)
    return int.from_bytes(digest.digest()[:8], "big") * 100_000 // 2**64


def _gate(document: dict[str, Any] | None, request: Request) -> tuple[bool, int | None]:
    if document is None or sum(abs(one - other) for one, other in document["ranges"]) == 100_000:
        return True, None
    number = _bucket(document, request)
    return number is not None and owns(document["ranges"], number), number
