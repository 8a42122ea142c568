"""What a change would have done to the calls that were recorded: how many get something else, whose they are, what that costs.

Every call is decided twice with the runtime's resolver, by what is live and by what would be. Calls of which the buckets were
recorded by the salts that decide them get the very answer that the runtime would give; the others are guessed, and counted as
such, as are calls whose values decide: where no text could be made of them, or they are to be taken in another way. Pure.
"""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from statistics import median
from typing import Final

from controlplane.decisions.outcomes import Got, Outcome, Outcomes, differences, is_certain
from controlplane.registry import cost
from controlplane.runtime.decisions import Decision
from controlplane.runtime.entries import Model
from controlplane.runtime.services.answers import Path
from controlplane.runtime.snapshot import Snapshot
from controlplane.runtime.switches import KillSwitches

MOST_TENANTS: Final = 50
NO_TIER: Final = "no tier"
LEGACY: Final = "the legacy path"


@dataclass(frozen=True)
class Part:
    """The calls of one interaction, tier or tenant."""

    name: str
    calls: int
    changed: int

    @property
    def percent(self) -> str:
        """Which share of them changes."""
        return percent(self.changed, self.calls)


@dataclass(frozen=True)
class Turn:
    """Calls that one model answers now and another would; the same one where only what it is sent changes."""

    before: str
    after: str
    calls: int
    before_ms: int | None
    """How long its recorded calls took, in the middle; None where none was recorded."""
    after_ms: int | None


@dataclass(frozen=True)
class Money:
    """What the recorded calls cost, with the tokens they had; `calls` are those of which both are known."""

    calls: int
    before: Decimal
    after: Decimal

    @property
    def per_thousand(self) -> tuple[str, str]:
        """Dollars for a thousand of them, now and then."""
        return (
            cost.dollars(self.before * 1000 / self.calls),
            cost.dollars(self.after * 1000 / self.calls),
        )

    @property
    def change(self) -> str:
        """How the cost moves."""
        return cost.change_in_words(self.before, self.after)


@dataclass(frozen=True)
class Radius:
    """What would change of the recorded calls."""

    calls: int
    changed: int
    guessed: int
    """Calls of which one of the two answers is a guess."""
    units: int
    changed_units: int
    how: tuple[tuple[str, int], ...]
    interactions: tuple[Part, ...]
    tiers: tuple[Part, ...]
    tenants: tuple[Part, ...]
    more_tenants: int
    turns: tuple[Turn, ...]
    money: Money | None
    after: Mapping[tuple[str, str | None, int | None, str | None], int] = field(default_factory=dict)
    """How many calls would be answered from where: path, configuration, version, model."""

    @property
    def percent(self) -> str:
        """Which share of the calls changes."""
        return percent(self.changed, self.calls)

    @property
    def is_exact(self) -> bool:
        """Whether nothing in it is a guess."""
        return not self.guessed


def radius(
    decisions: Iterable[Decision],
    before: Snapshot,
    after: Snapshot,
    *,
    now: dt.datetime,
    switches: KillSwitches,
) -> Radius:
    """Decide every call by both releases, at one moment and with these kill switches thrown, and count."""
    tally = _Tally()
    live, then = (Outcomes(each, now=now, switches=switches) for each in (before, after))
    for decision in decisions:
        tally.add(decision, live.of(decision), then.of(decision))
    return tally.radius()


def percent(part: int, whole: int) -> str:
    """Return a share of calls as it is shown: never "0 %" of something, nor "100 %" of less than all."""
    if not part or not whole:
        return "0 %"
    share = part * 100 / whole
    if part == whole:
        return "100 %"
    if share < 0.1:
        return "less than 0.1 %"
    return f"{min(share, 99.9):.1f} %" if share < 10 or share > 99 else f"{share:.0f} %"


class _Tally:
    def __init__(self) -> None:
        self.calls = self.changed = self.guessed = 0
        self.how: Counter[str] = Counter()
        self.after: Counter[tuple[str, str | None, int | None, str | None]] = Counter()
        self.parts: dict[str, defaultdict[str, list[int]]] = {
            kind: defaultdict(lambda: [0, 0]) for kind in ("interaction", "tier", "tenant")
        }
        self.turns: Counter[tuple[str, str]] = Counter()
        self.took: defaultdict[str, list[int]] = defaultdict(list)
        self.units: set[str] = set()
        self.changed_units: set[str] = set()
        # Calls and tokens by the two models: money is worked out once for each pair, not for each call.
        self.spent: defaultdict[tuple[Model, Model], list[int]] = defaultdict(lambda: [0, 0, 0])

    def add(self, decision: Decision, before: Got, after: Got) -> None:
        what = differences(before.outcome, after.outcome)
        self.calls += 1
        self.guessed += not is_certain(before, after)
        self.after[after.outcome.named] += 1
        answered_by = decision.answered_by or (LEGACY if decision.path == Path.LEGACY else None)
        if answered_by and decision.milliseconds is not None and not decision.error:
            self.took[answered_by].append(decision.milliseconds)
        if decision.unit:
            self.units.add(decision.unit)
        if (
            before.model
            and after.model
            and decision.input_tokens is not None
            and decision.output_tokens is not None
        ):
            spent = self.spent[before.model, after.model]
            spent[0] += 1
            spent[1] += decision.input_tokens
            spent[2] += decision.output_tokens
        for kind, name in (
            ("interaction", decision.interaction),
            ("tier", decision.tier or NO_TIER),
            ("tenant", decision.tenant),
        ):
            if name is not None:
                counts = self.parts[kind][name]
                counts[0] += 1
                counts[1] += bool(what)
        if what:
            self.changed += 1
            self.how.update(what)
            self.turns[_answers(before.outcome), _answers(after.outcome)] += 1
            if decision.unit:
                self.changed_units.add(decision.unit)

    def radius(self) -> Radius:
        tenants = [part for part in self._sorted("tenant") if part.changed]
        return Radius(
            calls=self.calls,
            changed=self.changed,
            guessed=self.guessed,
            units=len(self.units),
            changed_units=len(self.changed_units),
            how=tuple(self.how.most_common()),
            interactions=tuple(part for part in self._sorted("interaction") if part.changed),
            tiers=tuple(part for part in self._sorted("tier") if part.changed),
            tenants=tuple(tenants[:MOST_TENANTS]),
            more_tenants=max(0, len(tenants) - MOST_TENANTS),
            turns=tuple(self._turns()),
            money=self._money(),
            after=dict(self.after),
        )

    def _money(self) -> Money | None:
        """Return what the calls cost of which tokens and both prices are known; None when there are none."""
        calls, before, after = 0, Decimal(0), Decimal(0)
        for models, (number, input_tokens, output_tokens) in self.spent.items():
            now, then = (_paid(model, input_tokens, output_tokens) for model in models)
            if now is not None and then is not None:
                calls, before, after = calls + number, before + now, after + then
        return Money(calls, before, after) if calls else None

    def _sorted(self, kind: str) -> Sequence[Part]:
        found = [Part(name, calls, changed) for name, (calls, changed) in self.parts[kind].items()]
        return sorted(found, key=lambda part: (-part.changed, part.name))

    def _turns(self) -> Iterable[Turn]:
        for (before, after), calls in sorted(self.turns.items(), key=lambda turn: (-turn[1], turn[0])):
            yield Turn(before, after, calls, self._middle(before), self._middle(after))

    def _middle(self, model: str) -> int | None:
        return round(median(self.took[model])) if self.took.get(model) else None


def _answers(outcome: Outcome) -> str:
    return outcome.model or LEGACY


def _paid(model: Model, input_tokens: int, output_tokens: int) -> Decimal | None:
    price = cost.Price(model.input_price_per_million, model.output_price_per_million)
    return cost.of_call(price, input_tokens=input_tokens, output_tokens=output_tokens)
