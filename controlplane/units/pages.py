"""The sentences about people on the pages of rollouts, gates and proposals: counts of the last day, put into words."""

from sqlalchemy.orm import Session

from controlplane.db import Json, now
from controlplane.runtime.bucketing import BUCKETS
from controlplane.units import effect
from controlplane.units.effect import People
from controlplane.units.services import Wanted, distinct_at_gate, distinct_of, last_day


def people_moved(
    session: Session, environment: str, key: str, before: Json | None, after: Json | None
) -> People | None:
    """Say how many a change of a configuration's entry concerns; None: nobody was counted in the last day."""
    at = now()
    counted = distinct_of(session, environment, {key: None}, *last_day(at), unit=_unit_of(after or before))
    return effect.of_configuration(counted, key, before, after, at=at) if counted else None


def people_of_gate(
    session: Session, environment: str, interaction: str, before: Json | None, after: Json | None
) -> People | None:
    """Say how many a change of a gate's entry lets in or keeps out; no entry lets everyone in."""
    at = now()
    unit = _unit_of(after or before)
    counted = distinct_at_gate(session, environment, interaction, unit, *last_day(at))
    if counted is None:
        return None
    old, new = ((gate or {}).get("ranges", [[0, BUCKETS]]) for gate in (before, after))
    return effect.of_gate(counted, interaction, old, new, at=at)


def people_of(session: Session, environment: str, wanted: Wanted) -> People | None:
    """Say how many these versions of configurations answered."""
    at = now()
    counted = distinct_of(session, environment, wanted, *last_day(at))
    return effect.of_all(counted, at=at) if counted else None


def _unit_of(document: Json | None) -> str:
    return str((document or {}).get("unit", "user"))
