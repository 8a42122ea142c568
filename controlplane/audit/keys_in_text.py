"""Keys and passwords where texts belong: found before they are saved, and kept out of what was not asked. Pure.

What is saved stays for ever, is read by everybody who may look, and is sent to every process. So a template, a reason or a
description that holds a key is refused, with the line and what to do; and whatever reaches the record another way has it
replaced by its fingerprint, which says whether two are the same one and nothing more.

Known keys are known by their shape; what stands behind "password =" or the like counts when it is as irregular as keys are.
A line with `not a key` in it is believed, a template's comment `{# not a key #}` too: an example has to be writable.
"""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

_BELIEVED: Final = re.compile(r"not a key", re.IGNORECASE)
_KNOWN: Final = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("a private key", r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----"),
        ("a token of this control plane", r"\blcp_[A-Za-z0-9]{12}_[A-Za-z0-9]{30,}"),
        ("an Anthropic key", r"\bsk-ant-[A-Za-z0-9_-]{20,}"),
        ("an OpenAI key", r"\bsk-(?=[A-Za-z0-9_-]*[0-9])(?=[A-Za-z0-9_-]*[A-Z])[A-Za-z0-9_-]{20,}"),
        ("an AWS access key", r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b"),
        ("a Google key", r"\bAIza[A-Za-z0-9_-]{35}\b"),
        ("a GitHub token", r"\b(?:gh[oprsu]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{50,})"),
        ("a GitLab token", r"\bglpat-[A-Za-z0-9_-]{20,}"),
        ("a Slack token", r"\bxox[abeprs]-[A-Za-z0-9-]{20,}"),
        ("a Stripe key", r"\b[rs]k_live_[A-Za-z0-9]{20,}"),
        ("a Hugging Face token", r"\bhf_[A-Za-z0-9]{30,}"),
        ("a package registry's token", r"\b(?:npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,})"),
        ("a signed token (JWT)", r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
        ("an address with a password in it", r"\b[a-z][a-z0-9+.-]*://[^\s:/@{}]+:[^\s:/@{}]{6,}@[^\s/]+"),
    )
)
_NAMED: Final = re.compile(
    r"(?i)\b(?:api[_ -]?key|access[_ -]?key|secret(?:[_ -]?key)?|(?:auth|access|bearer)[_ -]?token|token|passw(?:or)?d|bearer)"
    r"\b[\"']?\s*(?:[:=]|\bis\b|(?<=bearer))\s*[\"']?([A-Za-z0-9+/_=.-]{20,200})"
)
_SHORTEST: Final = 16
_REGULAR: Final = (
    3.6  # bits a character; words with dashes between them have less, random ones of this length more
)
_REGULAR_KNOWN: Final = 2.5  # sk-xxxxxxxxxxxxxxxxxxxx is a picture of a key

# Fields that never stand in the record as they are, whatever they hold.
_SECRET_FIELDS: Final = frozenset(
    {"api_key", "client_secret", "password", "password_hash", "private_key", "secret", "signing_key", "token", "token_hash"}
)  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What looks like a key, and where."""

    what: str
    line: int
    start: int
    end: int

    @property
    def words(self) -> str:
        """What to do about it in a line that somebody typed."""
        return (
            f"This holds what looks like {self.what}. What is saved stays for ever: take it out, and have the key replaced."
            " If it is none, write “not a key” beside it."
        )

    @property
    def words_in_a_template(self) -> str:
        """What to do about it in a text whose line is named beside."""
        return (
            f"there is what looks like {self.what} here. A text stays for ever and is sent to every process: take it out,"
            " and have the key replaced. If it is none, write {# not a key #} on the same line."
        )


def find_key(text: str) -> Found | None:
    """The first thing in a text that looks like a key, or None."""
    return next(_found(text), None)


def problem_of(text: str) -> str | None:
    """What is wrong with a line that somebody wants to save, or None."""
    found = find_key(text)
    return None if found is None else found.words


def without_keys(text: str) -> str:
    """The text with the fingerprint of each key in its place."""
    for found in sorted(_found(text), key=lambda each: each.start, reverse=True):
        text = f"{text[: found.start]}[{fingerprint(text[found.start : found.end])}]{text[found.end :]}"
    return text


def fields_without_keys(value: Any, name: str = "") -> Any:
    """Plain data with every secret field, and every key in a text, replaced by its fingerprint."""
    if isinstance(value, dict):
        return {key: fields_without_keys(inner, str(key)) for key, inner in value.items()}
    if name.lower() in _SECRET_FIELDS and value is not None:
        return fingerprint(str(value))
    if isinstance(value, list):
        return [fields_without_keys(inner, name) for inner in value]
    return without_keys(value) if isinstance(value, str) else value


def fingerprint(secret: str) -> str:
    """Whether two secrets are the same one, and nothing more of them: 32 bits of a digest."""
    return f"secret, fingerprint {hashlib.sha256(secret.encode('utf-8', 'replace')).hexdigest()[:8]}"


def _found(text: str) -> Iterator[Found]:
    if len(text) < _SHORTEST:
        return
    start = 0
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        if not _BELIEVED.search(line):
            yield from (
                Found(what, number, start + begin, start + end) for what, begin, end in _in_line(line)
            )
        start += len(line)


def _in_line(line: str) -> list[tuple[str, int, int]]:
    found: list[tuple[str, int, int]] = []
    for what, pattern in _KNOWN:
        found.extend(
            (what, *match.span()) for match in pattern.finditer(line) if _bits(match[0]) >= _REGULAR_KNOWN
        )
    found.extend(
        ("a key or a password", *match.span(1))
        for match in _NAMED.finditer(line)
        if _bits(match[1]) >= _REGULAR
    )
    found.sort(key=lambda each: (each[1], -each[2]))
    apart: list[tuple[str, int, int]] = []
    for each in found:
        if not apart or each[1] >= apart[-1][2]:
            apart.append(each)
    return apart


def _bits(text: str) -> float:
    """Shannon's entropy of the characters, in bits each."""
    counts = Counter(text)
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts.values())
