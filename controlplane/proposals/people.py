"""How many people each change of a proposal concerns, by what processes told in the last day."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.orm import Session

from controlplane.proposals.reach import Affected
from controlplane.releases.composed import Composed, variants_of
from controlplane.releases.diff import EntryChange
from controlplane.units.effect import People
from controlplane.units.pages import people_moved, people_of, people_of_gate
from controlplane.units.services import Wanted


def with_people(
    session: Session, environment: str, composed: Composed, told: Sequence[Affected]
) -> list[Affected]:
    """Return who is affected, with how many that are where they were counted."""
    return [
        replace(each, people=_people(session, environment, composed, change))
        for each, change in zip(told, composed.changes, strict=False)  # of many changes some are not told
    ]


def _people(session: Session, environment: str, composed: Composed, change: EntryChange) -> People | None:
    kind, _, code = change.key.partition("/")
    if kind == "configuration":
        return people_moved(session, environment, change.key, change.before, change.after)
    if kind == "gate":
        return people_of_gate(session, environment, code, change.before, change.after)
    if kind in {"prompt", "model"}:
        return people_of(session, environment, _answered_with(composed, kind, code))
    return None


def _answered_with(composed: Composed, kind: str, code: str) -> Wanted:
    """Return the configurations and versions whose calls follow a prompt's live version, or go to a model first."""
    found: dict[str, list[int]] = {}
    for key, document in composed.after.configurations_naming(code):
        for variant in variants_of(document):
            prompt = variant.get("prompt") or {}
            follows = prompt.get("code") == code and prompt.get("version") is None
            is_meant = variant.get("model") == code if kind == "model" else follows
            if is_meant and isinstance(variant.get("version"), int):
                found.setdefault(key, []).append(variant["version"])
    return found
