"""A small release in which nothing is odd, and ways to change one thing in it."""

import datetime as dt
from typing import Any

NOW = dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC)
EVERYBODY = [[0, 100_000]]
Documents = dict[str, dict[str, Any]]


def model(price: float, **values: Any) -> dict[str, Any]:
    return {
        "provider": "north",
        "provider_model_id": "m-1",
        "context_window": 200_000,
        "max_output_tokens": 4_096,
        "input_price_per_million": price,
        "output_price_per_million": price,
        "parameters": ["temperature"],
        **values,
    }


def variant(code: str = "LARGE", version: int = 1, **values: Any) -> dict[str, Any]:
    return {"version": version, "model": code, "prompt": {"code": "text"}, "ranges": EVERYBODY, **values}


def row(*variants: dict[str, Any]) -> dict[str, Any]:
    return {"salt": "s", "variants": list(variants) or [variant()]}


def release(**changes: dict[str, Any] | None) -> Documents:
    """A release in which nothing is odd, with some entries put in, changed or (None) taken out; "." stands for "/"."""
    documents: Documents = {
        "tier/basic": {"name": "Basic", "rank": 1},
        "tier/premium": {"name": "Premium", "rank": 2},
        "model/SMALL": model(1),
        "model/LARGE": model(5),
        "interaction/ALPHA": {"parameters": []},
        "prompt/text": {"interaction": "ALPHA", "version": 1, "sha256": "0" * 64, "size": 1},
        "configuration/ALPHA/default/*": row(variant("SMALL", temperature=0.1)),
        "configuration/ALPHA/premium/*": row(variant("LARGE")),
    }
    for key, document in changes.items():
        name = key.replace("__", "/").replace("ANY", "*")
        if document is None:
            documents.pop(name)
        else:
            documents[name] = document
    return documents
