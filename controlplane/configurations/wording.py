"""A variant's settings in words: for pages, for the sentences of the audit and for the conflict page.

Works on variants as documents, because that is what saved versions and live entries have in common.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

NOT_SET: Final = "not set"

# In the order in which pages show them. `fallbacks` and `active` always have a value; the others may be "not set".
LABELS: Final[dict[str, str]] = {
    "model": "Model",
    "prompt": "Template",
    "temperature": "Temperature",
    "max_tokens": "Max tokens",
    "top_p": "Top p",
    "frequency_penalty": "Frequency penalty",
    "presence_penalty": "Presence penalty",
    "fallbacks": "Fallbacks",
    "effective_from": "Effective from",
    "effective_until": "Effective until",
    "active": "Active",
}

Variant = Mapping[str, Any]


@dataclass(frozen=True)
class SettingChange:
    """One setting that differs, in words."""

    name: str
    label: str
    before: str
    after: str


def setting(variant: Variant, name: str) -> str:
    """One setting in words: "0.7", "4,096", "coaching_response, live version"."""
    value = variant.get(name)
    if value is None:
        return NOT_SET
    if name == "prompt":
        return _prompt(value)
    if name == "active":
        return "yes" if value else "no"
    if name == "fallbacks":
        return " then ".join(value) if value else "none"
    if name in ("effective_from", "effective_until"):
        return moment_words(value)
    return (
        f"{value:,}"
        if isinstance(value, int)
        else number_words(value)
        if isinstance(value, float)
        else str(value)
    )


def settings(variant: Variant) -> dict[str, str]:
    """Every setting in words, by name, in the order of the page."""
    return {name: setting(variant, name) for name in LABELS}


def differences(before: Variant, after: Variant) -> list[SettingChange]:
    """The settings that differ, in the order of the page; buckets and version numbers are no settings."""
    return [
        SettingChange(name, label, setting(before, name), setting(after, name))
        for name, label in LABELS.items()
        if not same_setting(before, after, name)
    ]


def same_setting(before: Variant, after: Variant, name: str) -> bool:
    """Whether one setting is equal in both; a pinned template is its version, its hash follows from that."""
    if name == "prompt":
        return _prompt(before["prompt"]) == _prompt(after["prompt"])
    if name in ("effective_from", "effective_until"):
        return _moment(before.get(name)) == _moment(after.get(name))
    return bool(before.get(name) == after.get(name))


def sentence_of(changes: list[SettingChange]) -> str:
    """Changes for a sentence: "model CLAUDE_3_SONNET → CLAUDE_3_HAIKU, temperature 0.7 → 0.4"."""
    return ", ".join(
        f"{_mid_sentence(change.label)} {change.before or NOT_SET} → {change.after or NOT_SET}"
        for change in changes
    )


def summary_of(variant: Variant) -> str:
    """A whole variant for a sentence: model, template, and what else is set."""
    shown = settings(variant)
    rest = [
        f"{_mid_sentence(LABELS[name])} {shown[name]}"
        for name in LABELS
        if name not in ("model", "prompt", "active") and shown[name] not in (NOT_SET, "none")
    ]
    words = [f"model {shown['model']}", f"template {shown['prompt']}", *rest]
    return ", ".join(words if variant.get("active", True) else [*words, "not active"])


def number_words(value: float) -> str:
    """A number without needless zeros: 0.7, 1, -0.125."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


def moment_words(value: str) -> str:
    """A moment of a document in words, UTC: "22 Nov 2026, 15:30 UTC"."""
    moment = dt.datetime.fromisoformat(value).astimezone(dt.UTC)
    seconds = moment.strftime(":%S") if moment.second or moment.microsecond else ""
    return f"{moment.day} {moment:%b %Y, %H:%M}{seconds} UTC"


def _prompt(reference: Mapping[str, Any]) -> str:
    version = reference.get("version")
    pinned = f"pinned to version {version}" if version is not None else "live version"
    return f"{reference['code']}, {pinned}"


def _moment(value: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(value) if value else None


def _mid_sentence(label: str) -> str:
    return label[0].lower() + label[1:]
