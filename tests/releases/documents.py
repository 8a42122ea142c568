"""Documents for the tests of this folder, made with overrides."""

from typing import Any

from controlplane.releases.compose import Document

PREMIUM = "configuration/COACHING_RESPONSE/premium/*"


def variant(version: int = 1, **overrides: Any) -> Document:
    return {
        "version": version,
        "model": "CLAUDE_3_5_SONNET",
        "prompt": {"code": "coaching_response"},
        "temperature": 0.7,
        "max_tokens": 1024,
        "top_p": None,
        "frequency_penalty": None,
        "presence_penalty": None,
        "fallbacks": [],
        "effective_from": None,
        "effective_until": None,
        "active": True,
        "ranges": [[0, 100_000]],
        **overrides,
    }


def configuration(*variants: Document, **overrides: Any) -> Document:
    return {
        "salt": "0123456789abcdef",
        "algorithm": "v1",
        "unit": "user",
        "variants": list(variants) or [variant()],
        **overrides,
    }


def gate(*ranges: list[int]) -> Document:
    return {
        "salt": "fedcba9876543210",
        "algorithm": "v1",
        "unit": "user",
        "ranges": [list(pair) for pair in ranges],
    }


def prompt(version: int, sha256: str = "a" * 64) -> Document:
    return {"interaction": "COACHING_RESPONSE", "version": version, "sha256": sha256, "size": 100 + version}


def interaction(*parameters: Document, **overrides: Any) -> Document:
    return {
        "category": "coaching",
        "description": "Answers a user",
        "parameters": list(parameters),
        **overrides,
    }


def parameter(name: str, **overrides: Any) -> Document:
    return {
        "name": name,
        "type": "string",
        "required": True,
        "description": "",
        "example": "Ada",
        **overrides,
    }
