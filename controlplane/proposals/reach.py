"""Who is affected by what a proposal changes, in words: which calls, and what share of them. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from controlplane.proposals import wording
from controlplane.releases import words
from controlplane.releases.compose import Document
from controlplane.releases.composed import Composed, Side, variants_of
from controlplane.releases.diff import EntryChange
from controlplane.runtime import bucketing
from controlplane.runtime.entries import ANY, DEFAULT_TIER
from controlplane.units.effect import People

_MOST_TOLD: Final = 12
_UNITS: Final = {"user": "users", "tenant": "tenants", "conversation": "conversations"}


@dataclass(frozen=True)
class Affected:
    """Whose calls change: one entry of the proposal, and who gets something else because of it."""

    name: str
    sentence: str
    people: People | None = None  # how many that are, where they were counted (`people.py`)


def affected(composed: Composed) -> tuple[list[Affected], int]:
    """Return who is affected, entry by entry, and how many more entries are not told."""
    told = [
        Affected(words.entry_name(change.key), _sentence(composed, change))
        for change in composed.changes[:_MOST_TOLD]
    ]
    return told, max(0, len(composed.changes) - len(told))


def _sentence(composed: Composed, change: EntryChange) -> str:
    kind, *parts = change.key.split("/")
    code = "/".join(parts)
    if kind == "configuration" and len(parts) == 3:
        return _of_configuration(composed, change, *parts)
    if kind == "prompt":
        return _of_users("follow its live version", _following(composed.after, code))
    if kind == "model":
        return _of_users(
            "name it", (words.entry_name(key) for key, _ in composed.after.configurations_naming(code))
        )
    if kind == "gate":
        return _of_gate(code, change)
    if kind == "tier":
        return f"Every call of the tier {code}."
    return f"Every call of {code}."


def _of_configuration(
    composed: Composed, change: EntryChange, interaction: str, tier: str, tenant: str
) -> str:
    calls = (
        "Calls of every interaction without a configuration"
        if interaction == ANY
        else f"Calls of {interaction}"
    )
    where = "" if interaction == ANY else _where(composed.after, interaction, tier, tenant)
    return f"{calls}{where}: {_who(change)}."


def _where(side: Side, interaction: str, tier: str, tenant: str) -> str:
    of_tenant = "" if tenant == ANY else f" by tenant {tenant}"
    if tier != DEFAULT_TIER:
        return f" in {tier}{of_tenant}"
    tiers = sorted(key.removeprefix("tier/") for key in side.content.texts if key.startswith("tier/"))
    without = [
        each for each in tiers if f"configuration/{interaction}/{each}/{tenant}" not in side.content.texts
    ]
    also = f", which are those in {wording.listed(without)} and those without a tier" if without else ""
    return f"{of_tenant} in tiers without a row of their own{also}"


def _who(change: EntryChange) -> str:
    before, after = _shares(change.before), _shares(change.after)
    unit = _UNITS.get(str((change.after or change.before or {}).get("unit")), "units")
    if not after:
        return "they get another configuration, or none"
    if not before:
        return "everyone, where there was no such row" if len(after) == 1 else f"{_parts(after)} of {unit}"
    if len(after) == 1 and len(before) == 1:
        return "everyone"
    changed = ", ".join(
        f"version {version} {_percent(before.get(version, 0))} → {_percent(after.get(version, 0))} of {unit}"
        for version in {**before, **after}
        if before.get(version, 0) != after.get(version, 0)
    )
    return changed or f"everyone on {wording.listed(f'version {version}' for version in after)}"


def _shares(document: Document | None) -> dict[object, int]:
    return {
        variant.get("version"): bucketing.size(variant.get("ranges", ())) for variant in variants_of(document)
    }


def _parts(shares: dict[object, int]) -> str:
    return wording.listed(f"version {version} for {_percent(size)}" for version, size in shares.items())


def _percent(buckets: int) -> str:
    return f"{buckets * 100 / bucketing.BUCKETS:.3f}".rstrip("0").rstrip(".") + " %"


def _following(side: Side, code: str) -> Iterator[str]:
    for key, document in side.configurations_naming(code):
        for variant in variants_of(document):
            reference = variant.get("prompt") or {}
            if reference.get("code") == code and reference.get("version") is None:
                yield words.entry_name(key)
                break


def _of_users(how: str, names: Iterator[str]) -> str:
    found = list(names)
    if not found:
        return f"Nobody now: no live configurations {how}."
    some = wording.names_words(found, limit=4)
    count = wording.counted(len(found), "live configuration")
    verb = how if len(found) > 1 else how.replace("follow ", "follows ").replace("name ", "names ")
    return f"{wording.sentence_case(count)} {verb}: {some}."


def _of_gate(code: str, change: EntryChange) -> str:
    before, after = ((document or {}).get("ranges") for document in (change.before, change.after))
    if after is None:
        return f"Calls of {code}: the gate goes away, everyone goes through configuration look-up."
    unit = _UNITS.get(str((change.after or {}).get("unit")), "units")
    was = f" (now {words.share_text(before)})" if before is not None else ""
    return f"Calls of {code}: {words.share_text(after)} of {unit} go through configuration look-up{was}, the rest take the legacy path."
