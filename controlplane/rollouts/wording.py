"""Moves in words: the sentences of the audit, and what a page says before a move. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from controlplane.configurations.wording import differences, sentence_of
from controlplane.db import Json
from controlplane.rollouts.ranges import Candidate, share_words
from controlplane.runtime.bucketing import BUCKETS

UNITS: Final = {"user": "users", "tenant": "tenants", "conversation": "conversations"}
# Counts of people come from what services report of themselves. A zero here would be taken for a measured one.
HOW_MANY: Final = "How many {}: not known (no counts of the last day)."


def units_of(document: Json | None) -> str:
    """What is bucketed, in the plural: "users"."""
    kind = (document or {}).get("unit", "user")
    return UNITS.get(kind, f"{kind}s")


def settings_moved(before: Json, after: Json) -> str:
    """What differs between two variants, in brackets; nothing when they have the same settings."""
    changes = sentence_of(differences(before, after))
    return f" ({changes})" if changes else ""


def listed(parts: Sequence[object]) -> str:
    """Several in a sentence: "2, 3 and 4"."""
    *most, last = [str(part) for part in parts]
    return f"{', '.join(most)} and {last}" if most else last


def going_on(others: Mapping[int, int]) -> str:
    """That other candidates go on, for the end of a sentence; nothing when there are none."""
    told = [f"version {version} at {share_words(share)}" for version, share in others.items()]
    return f"; {listed(told)} {'goes' if len(told) == 1 else 'go'} on" if told else ""


def move_verb(before: int, after: int) -> str:
    """The past of what a change of share is called."""
    return "raised" if after > before else "lowered"


def effect_sentence(
    before: int,
    after: int,
    *,
    gained: int,
    lost: int,
    baseline: int,
    candidate: int,
    units: str = "users",
    known: bool = False,
) -> str:
    """What setting the newer version's share from `before` to `after` would do, with the buckets it gains and loses."""
    if after == before:
        return f"Version {candidate} stays at {share_words(after)}: nobody moves."
    if after > before:
        head = f"Raising from {share_words(before)} to {share_words(after)}"
        kept = f" Everyone on version {candidate} stays on it." if before and not lost else ""
        words = f"{head}: {_buckets(gained)} from version {baseline} to version {candidate}.{kept}"
    else:
        head = f"Lowering from {share_words(before)} to {share_words(after)}"
        kept = f", those that came last. Everyone else on version {candidate} stays." if after else "."
        words = f"{head}: {_buckets(lost)} from version {candidate} back to version {baseline}{kept}"
    return f"{words} {_edge(after, baseline, units)}{_how_many(units, known=known)}".rstrip()


def _how_many(units: str, *, known: bool) -> str:
    """That it is not known how many people that is; nothing where it is known, and said beside this."""
    return "" if known else HOW_MANY.format(units)


def _buckets(count: int) -> str:
    return f"{count:,} of {BUCKETS:,} buckets {'moves' if count == 1 else 'move'}"


def _edge(after: int, baseline: int, units: str) -> str:
    if after == BUCKETS:
        return f"Calls without a {_one(units)} still get version {baseline} until the rollout is finished. "
    if after == 0:
        return "The rollout stays open: raising it again brings the same ones back. "
    return ""


@dataclass(frozen=True)
class Counted:
    """What a move does to one candidate."""

    version: int
    before: int
    after: int
    gained: int
    lost: int


def effects_sentence(moves: Sequence[Counted], *, units: str = "users", known: bool = False) -> str:
    """What moving several candidates at once would do."""
    told = [
        f"Version {each.version} from {share_words(each.before)} to {share_words(each.after)}: "
        + (f"{each.gained:,} buckets come" if each.after > each.before else f"{each.lost:,} buckets go")
        + "."
        for each in moves
    ]
    return f"{' '.join(told)} Whoever is on a version that grows stays on it. {_how_many(units, known=known)}".rstrip()


def start_sentence(
    candidates: Sequence[Candidate], *, baseline: int, units: str = "users", known: bool = False
) -> str:
    """What starting rollouts of these versions at these shares would do."""
    told = [_start(each, baseline) for each in candidates]
    if any(each.share for each in candidates):
        told.append(_how_many(units, known=known))
    return " ".join(told).rstrip()


def _start(candidate: Candidate, baseline: int) -> str:
    if candidate.share == 0:
        return f"Version {candidate.version} goes live for nobody yet; everyone stays on version {baseline}."
    words = f"{_buckets(candidate.share)} from version {baseline} to version {candidate.version}."
    return f"Starting at {share_words(candidate.share)}: {words}"


def gate_sentence(before: int, after: int, *, units: str = "users", known: bool = False) -> str:
    """What setting a gate from `before` to `after` would do."""
    if after == before:
        return f"The gate stays at {share_words(after)}: nobody moves."
    verb = "Raising" if after > before else "Lowering"
    where = (
        "the legacy path to configuration lookup"
        if after > before
        else ("configuration lookup to the legacy path")
    )
    kept = " Everyone who is in stays in." if after > before > 0 else ""
    words = f"{verb} from {share_words(before)} to {share_words(after)}"
    return f"{words}: {_buckets(abs(after - before))} from {where}.{kept} {_how_many(units, known=known)}".rstrip()


def gate_effect(share: int) -> str:
    """What a gate at this share does, for the end of a sentence."""
    if share == BUCKETS:
        return "every call goes through configuration lookup"
    if share == 0:
        return "every call takes the legacy path"
    return "the rest take the legacy path"


def gate_standing(share: int, units: str = "users") -> str:
    """What a gate does now, in one sentence."""
    if share in (0, BUCKETS):
        effect = gate_effect(share)
        return f"{effect[0].upper()}{effect[1:]}."
    return f"{share_words(share)} of {units} go through configuration lookup, the rest take the legacy path."


def _one(units: str) -> str:
    return units.removesuffix("s")
