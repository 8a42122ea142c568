"""Changes in words: the name of an entry, one sentence for each change and for a whole release. Pure."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from controlplane.releases.compose import Document
from controlplane.releases.diff import ABSENT, EntryChange, FieldChange, Kind
from controlplane.runtime import bucketing, entries

_KIND_WORDS: Final = {
    "configuration": ("configuration", "configurations"),
    "gate": ("gate", "gates"),
    "prompt": ("template", "templates"),
    "tier": ("tier", "tiers"),
    "model": ("model", "models"),
    "interaction": ("interaction", "interactions"),
}
# Follow from the version that is named anyway; they are shown on the release's page.
_SILENT: Final = frozenset({"version", "sha256", "size", "prompt.sha256", "salt", "algorithm"})
_NOTHING: Final = {"prompt.version": "follows the live version", "snippets": "none"}
_FIELDS_IN_A_SENTENCE: Final = 4
_ENTRIES_IN_A_SENTENCE: Final = 3


def entry_name(key: str) -> str:
    """Return what people call an entry.

    >>> entry_name("configuration/COACHING_RESPONSE/premium/*")
    'COACHING_RESPONSE · premium'
    """
    kind, *parts = key.split("/")
    if kind == "configuration" and len(parts) == 3:
        return _configuration_name(*parts)
    code = "/".join(parts)
    if kind == "gate":
        return f"Gate of {code}"
    return f"{kind_name(kind).capitalize()} {code}"


def _configuration_name(interaction: str, tier: str, tenant: str) -> str:
    name = "Every interaction" if interaction == entries.ANY else interaction
    return f"{name} · {tier}" if tenant == entries.ANY else f"{name} · {tier} · tenant {tenant}"


def kind_name(kind: str, count: int = 1) -> str:
    """Return the screen's word for a kind of entry, in the number wanted."""
    one, many = _KIND_WORDS.get(kind, (kind, f"{kind}s"))
    return one if count == 1 else many


def field_name(path: str) -> str:
    """Return a path as words: "max_tokens" → "max tokens", "prompt.code" → "template"."""
    head, separator, field = path.rpartition(" · ")
    if field.startswith("snippets."):
        return f"{head}{separator}snippet shared/{field.removeprefix('snippets.')}"
    known = {
        "prompt.code": "template",
        "prompt.version": "template version",
        "prompt": "template",
        "ranges": "share",
    }
    return head + separator + known.get(field, field.replace("_", " ").replace(".", " "))


def value_text(path: str, value: Any) -> str:
    """Return one value of a field as people read it."""
    field = path.rpartition(" · ")[2]
    if value is ABSENT or value is None:
        return _NOTHING.get(field, "not set")
    if field == "ranges":
        return share_text(value)
    if field == "snippets" and isinstance(value, dict):
        return ", ".join(
            f"shared/{name.partition('@')[0]} version {number}" for name, number in value.items()
        )
    if field.startswith("snippets."):
        return f"version {value}"
    if field == "prompt" and isinstance(value, dict):
        return _prompt_text(value)
    return _plain_text(value)


def _plain_text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value or "empty"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value) or "none"
    return json.dumps(value, ensure_ascii=False)


def _prompt_text(reference: Document) -> str:
    pinned = reference.get("version")
    return f"{reference.get('code')} " + (f"version {pinned}" if pinned else "(live version)")


def share_text(ranges: Sequence[Sequence[int]]) -> str:
    """Return the share of all buckets that these ranges hold: "10 %", "0.001 %"."""
    thousandths = bucketing.size(ranges) * 100_000 // bucketing.BUCKETS
    return f"{thousandths / 1000:.3f}".rstrip("0").rstrip(".") + " %"


def sentence(change: EntryChange) -> str:
    """Return one change in one line, with its effect.

    "COACHING_RESPONSE · premium: model CLAUDE_3_5_SONNET → CLAUDE_3_HAIKU"
    """
    name = entry_name(change.key)
    if change.kind is Kind.REMOVED:
        return f"{name}: removed"
    if change.kind is Kind.ADDED:
        return f"{name}: new" + _gist(change)
    told = _shares_told(change) or _fields_told(change.fields)
    return f"{name}: {told}"


def _gist(change: EntryChange) -> str:
    """Return what is worth knowing of a new entry, in brackets."""
    document = change.after or {}
    kind = change.key.partition("/")[0]
    if kind == "configuration":
        return f" ({', '.join(str(variant.get('model')) for variant in _variants(document))})"
    if kind == "gate":
        return f" ({share_text(document.get('ranges', ()))})"
    if kind == "prompt":
        return f" (version {document.get('version')})"
    return ""


def _variants(document: Document | None) -> list[Document]:
    found = (document or {}).get("variants")
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _shares_told(change: EntryChange) -> str:
    """Return who gets what before and after, when more than one version is involved in a rollout; else nothing."""
    before, after = _variants(change.before), _variants(change.after)
    if max(len(before), len(after)) < 2:
        return ""
    old = {variant.get("version"): share_text(variant.get("ranges", ())) for variant in before}
    new = {variant.get("version"): share_text(variant.get("ranges", ())) for variant in after}
    moved = [number for number in {**old, **new} if old.get(number) != new.get(number)]
    return ", ".join(
        f"version {number} {old.get(number, '0 %')} → {new.get(number, '0 %')}" for number in moved
    )


def _fields_told(fields: Sequence[FieldChange]) -> str:
    loud = [field for field in fields if field.path not in _SILENT]
    told = loud or [field for field in fields if field.path == "version"] or list(fields)
    words = [_field_told(field) for field in told[:_FIELDS_IN_A_SENTENCE]]
    rest = len(told) - len(words)
    if rest:
        words.append(f"and {rest} more {'field' if rest == 1 else 'fields'}")
    return ", ".join(words)


def _field_told(field: FieldChange) -> str:
    before, after = value_text(field.path, field.before), value_text(field.path, field.after)
    name = field_name(field.path) or "document"
    if before == after or max(len(before), len(after)) > 60:
        # A description or an example: that it changed is the news, the page shows how.
        return f"{name} changed"
    return f"{name} {before} → {after}"


def release_sentence(changes: Sequence[EntryChange]) -> str:
    """Return a whole release in one line: each change when they are few, else how many of what."""
    if not changes:
        return "nothing changed"
    if len(changes) <= _ENTRIES_IN_A_SENTENCE:
        return "; ".join(sentence(change) for change in changes)
    return f"{len(changes)} entries: {counts_text(change.key for change in changes)}"


def counts_text(keys: Iterable[str]) -> str:
    """Return how many of each kind: "2 configurations and 1 template"."""
    counts = Counter(key.partition("/")[0] for key in keys)
    words = [f"{count} {kind_name(kind, count)}" for kind, count in counts.items()]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
