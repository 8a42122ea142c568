"""What a plan asks before its next step: whether anything speaks against it."""

import enum
from dataclasses import dataclass

from sqlalchemy.orm import Session

from controlplane.guards.chosen import settings_of
from controlplane.guards.judging import findings, known_from
from controlplane.guards.models import GuardWatch
from controlplane.guards.wording import breach_sentence


class Verdict(enum.StrEnum):
    """What guards say of a rollout."""

    CLEAR = "clear"
    BREACHED = "breached"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Answer:
    """The verdict and why, in words."""

    verdict: Verdict
    words: str


def ask(session: Session, rollout: int) -> Answer:
    """What guards know of a rollout: nothing is known where nothing is watched, or too few calls came."""
    chosen = settings_of(session, rollout)
    watch = session.get(GuardWatch, rollout, populate_existing=True)
    found = findings(known_from(watch.known), settings=chosen.settings) if watch is not None else []
    breached = [each for each in found if each.is_breach]
    if breached:
        worst = max(breached, key=lambda each: each.evidence)
        return Answer(Verdict.BREACHED, breach_sentence(worst))
    if not found or not any(each.enough for each in found):
        return Answer(Verdict.UNKNOWN, "Too few calls to say how it does.")
    return Answer(Verdict.CLEAR, "No guard is set off.")
