"""Which changes somebody has to look at, and by when: a rule for each environment, and one for what is saved for all. Pure."""

import datetime as dt
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from controlplane.reviews.risk import Hours
from controlplane.reviews.states import Level

# The key of the rule for what belongs to no environment: what is saved, the registry, people.
EVERYWHERE = "*"
NEVER = 4  # no level is as high


@dataclass(frozen=True)
class Rule:
    """What of one environment has to be looked at: all from a level up, and below it one of so many."""

    least: int
    sample: int  # one in this many of the lesser ones; 0: none

    @property
    def words(self) -> str:
        """The rule in words."""
        rest = f"1 in {self.sample}" if self.sample else "none"
        if self.least == NEVER:
            return (
                "emergencies only" if not self.sample else f"emergencies, and 1 in {self.sample} of the rest"
            )
        if self.least == Level.LOW:
            return "every change"
        levels = (
            "every change of high risk" if self.least == Level.HIGH else "every change of high or medium risk"
        )
        return f"{levels}, {rest} of the rest"


@dataclass(frozen=True)
class Rules:
    """All of the rules. Where an environment has none of its own, a protected one has the stricter default."""

    environments: Mapping[str, Rule] = field(default_factory=dict)
    hours: Hours = field(default_factory=Hours)
    days_high: int = 1
    days_medium: int = 7
    days_low: int = 30
    newcomer_days: int = 14

    def rule(self, environment: str | None, *, protected: bool) -> Rule:
        """The rule of an environment; None is what is saved for all of them."""
        found = self.environments.get(environment or EVERYWHERE)
        return found or (PROTECTED if protected else SAVED if environment is None else UNPROTECTED)

    def days(self, level: Level) -> int:
        """Within how many days a change of this level has to be looked at."""
        return {Level.HIGH: self.days_high, Level.MEDIUM: self.days_medium, Level.LOW: self.days_low}[level]

    def due(self, at: dt.datetime, level: Level) -> dt.datetime:
        """By when a change of that moment has to be looked at."""
        return at + dt.timedelta(days=self.days(level))

    def as_json(self) -> dict[str, Any]:
        """As it is kept, and as the record has it before and after a change."""
        return {
            "environments": {
                code: {"least": rule.least, "sample": rule.sample}
                for code, rule in sorted(self.environments.items())
            },
            "zone": self.hours.zone,
            "begin": self.hours.begin,
            "end": self.hours.end,
            "days_high": self.days_high,
            "days_medium": self.days_medium,
            "days_low": self.days_low,
            "newcomer_days": self.newcomer_days,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Rules":
        """What `as_json` wrote."""
        return cls(
            environments={
                code: Rule(int(rule["least"]), int(rule["sample"]))
                for code, rule in content["environments"].items()
            },
            hours=Hours(content["zone"], content["begin"], content["end"]),
            days_high=content["days_high"],
            days_medium=content["days_medium"],
            days_low=content["days_low"],
            newcomer_days=content["newcomer_days"],
        )


PROTECTED = Rule(Level.MEDIUM, 10)
UNPROTECTED = Rule(Level.HIGH, 0)
# What is saved is live nowhere yet: what becomes of it is looked at where it goes live. People's rights are of medium risk.
SAVED = Rule(Level.MEDIUM, 0)
DEFAULTS = Rules()


def asked(rule: Rule, level: Level, event_id: str, *, emergency: bool) -> str | None:
    """Why somebody has to look at a change: "emergency", "rule", "sample"; None where nobody has to."""
    if emergency:
        return "emergency"
    if level >= rule.least:
        return "rule"
    return "sample" if rule.sample and in_sample(event_id, rule.sample) else None


def in_sample(event_id: str, one_in: int) -> bool:
    """Whether a change is one of the sampled: its id alone decides, so that anybody can check and nobody can choose."""
    return int.from_bytes(hashlib.sha256(event_id.encode()).digest()[:8]) % one_in == 0
