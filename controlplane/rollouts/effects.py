"""What a form of shares would do, counted on the buckets themselves, before anything is done."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from controlplane.db import Json
from controlplane.rollouts import documents, wording
from controlplane.rollouts.pages import GateRow
from controlplane.rollouts.ranges import Candidate, moved, share_words
from controlplane.rollouts.standing import Live, Standing
from controlplane.runtime.entries import UNIT_KINDS
from controlplane.units.effect import People

Counting = Callable[[Json, Json], People | None]
"""Says how many people a change from one document to another concerns; None: not known."""


@dataclass(frozen=True)
class Effect:
    """It in words, or what is wrong with it."""

    words: str
    problem: bool = False
    people: People | None = None


def of_shares(here: Standing, share: int, others: Mapping[int, int], *, count: Counting) -> Effect:
    """What moving a running rollout, and other candidates beside it, to these shares would do."""
    wanted = {here.rollout.to_version: share, **others}
    left = documents.left_for(here.document, wanted)
    if sum(wanted.values()) > left:
        return Effect(f"The candidates have {share_words(left)} between them here: enter less.", problem=True)
    after = documents.with_shares(here.document, wanted)
    told = _counted(here, after)
    people = count(here.document, after)
    changed = [each for each in told if each.before != each.after]
    if len(changed) > 1:
        words = wording.effects_sentence(changed, units=here.units, known=people is not None)
        return Effect(words, people=people)
    one = changed[0] if changed else told[0]
    return Effect(
        wording.effect_sentence(
            one.before,
            one.after,
            gained=one.gained,
            lost=one.lost,
            baseline=here.rollout.from_version,
            candidate=one.version,
            units=here.units,
            known=people is not None,
        ),
        people=people,
    )


def of_start(live: Live, candidates: Sequence[Candidate], *, unit: str = "", count: Counting) -> Effect:
    """What starting rollouts of these versions at these shares, counted by this unit, would do."""
    versions = documents.versions_of(live.document)
    chosen = [each.version for each in candidates]
    if not versions or len({*chosen, *versions}) != len(chosen) + len(versions):
        return Effect(
            "Choose a version other than the live one." if len(versions) < 2 else "Choose other versions."
        )
    left = documents.left_for(live.document or {}, ())
    if sum(each.share for each in candidates) > left:
        return Effect(f"There is {share_words(left)} left for them: enter less.", problem=True)
    before = live.document or {}
    if unit in UNIT_KINDS and len(versions) == 1:
        before = {**before, "unit": unit}
    after = before
    for each in candidates:
        after = documents.with_candidate(after, {"version": each.version}, each.share)
    people = count(before, after) if any(each.share for each in candidates) else None
    words = wording.start_sentence(
        candidates, baseline=versions[0], units=wording.units_of(before), known=people is not None
    )
    return Effect(words, people=people)


def of_gate(row: GateRow, share: int, *, count: Counting) -> Effect:
    """What setting a gate to this share would do."""
    people = count(row.document, documents.gate_with_share(row.document, share))
    words = wording.gate_sentence(row.share, share, units=row.units, known=people is not None)
    return Effect(words, people=people)


def _counted(here: Standing, after: Json) -> list[wording.Counted]:
    """Each candidate before and after, the rollout's own first."""
    counts = moved(documents.stacks_of(here.document), documents.stacks_of(after))
    versions = documents.versions_of(here.document)
    found = [
        wording.Counted(
            version,
            documents.share_of(here.document, version),
            documents.share_of(after, version),
            each.gained,
            each.lost,
        )
        for version, each in zip(versions[1:], counts[1:], strict=True)
    ]
    return sorted(found, key=lambda each: each.version != here.rollout.to_version)
