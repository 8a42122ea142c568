"""What if this model or this provider fails? Every live cell's chain gone through, as a call would go through it. Pure.

The chain, what a model is not sent, and whether a call fits are asked of what calls themselves ask (`services/chain.py`). Not
foretold is how long each model would be waited for, and whether those that are asked then really answer.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from controlplane.configurations.places import Place
from controlplane.registry import cost
from controlplane.runtime.bucketing import size
from controlplane.runtime.entries import ANY, Model, Variant
from controlplane.runtime.errors import TemplateNotFoundError
from controlplane.runtime.providers.base import Message, ProviderRequest
from controlplane.runtime.services.chain import Target, fit, is_too_long, targets_of
from controlplane.runtime.snapshot import Snapshot


@dataclass(frozen=True)
class Failure:
    """What is supposed to fail: models by code, or all models of a provider."""

    model: str | None = None
    provider: str | None = None

    def takes(self, target: Target) -> bool:
        """Whether a model would not answer."""
        return target.code == self.model or target.provider == self.provider


@dataclass(frozen=True)
class Outcome:
    """What calls of one live variant would get: `instead` is None when its chain ends nowhere."""

    place: Place
    version: int
    share: int
    """In buckets, of 100,000."""
    model: str
    instead: str | None
    too_long: tuple[str, ...]
    """Models of the chain that are passed over, because prompt and answer do not fit."""
    dropped: tuple[str, ...]
    """Parameters that the model before was sent, and this one is not."""
    cost: Decimal | None
    cost_instead: Decimal | None

    @property
    def cost_words(self) -> str:
        """How the cost of a thousand calls moves."""
        return cost.change_in_words(self.cost, self.cost_instead)


@dataclass(frozen=True)
class Rehearsal:
    """All live variants that the failure touches, the chains that end nowhere first; `untouched` are the others."""

    outcomes: tuple[Outcome, ...]
    untouched: int

    @property
    def dead_ends(self) -> int:
        """How many of them would end in an error."""
        return sum(outcome.instead is None for outcome in self.outcomes)


def rehearse(snapshot: Snapshot, failure: Failure, *, now: dt.datetime) -> Rehearsal:
    """Return what every live variant that counts at this moment would do."""
    touched, untouched = [], 0
    for place, variant in _live(snapshot, now):
        targets = targets_of(snapshot, variant)
        usual = _first_able(_request(snapshot, variant), targets, None)
        if usual is not None and not failure.takes(usual):
            untouched += 1
            continue
        touched.append(_outcome(snapshot, place, variant, targets, usual, failure))
    return Rehearsal(tuple(sorted(touched, key=_worst_first)), untouched)


def _outcome(
    snapshot: Snapshot,
    place: Place,
    variant: Variant,
    targets: Sequence[Target],
    usual: Target | None,
    failure: Failure,
) -> Outcome:
    request = _request(snapshot, variant)
    instead = _first_able(request, targets, failure)
    known = () if usual is None else fit(request, usual)[1]
    dropped = () if instead is None else tuple(name for name in fit(request, instead)[1] if name not in known)
    return Outcome(
        place=place,
        version=variant.version,
        share=size(variant.ranges),
        model=variant.model,
        instead=None if instead is None else instead.code,
        too_long=tuple(
            target.code or "" for target in targets if is_too_long(fit(request, target)[0], target)
        ),
        dropped=dropped,
        cost=_cost(snapshot.model(variant.model), variant),
        cost_instead=None if instead is None else _cost(instead.model, variant),
    )


def _live(snapshot: Snapshot, now: dt.datetime) -> Iterator[tuple[Place, Variant]]:
    for key in sorted(snapshot.keys()):
        if not key.startswith("configuration/") or key.startswith(f"configuration/{ANY}/"):
            continue
        row = snapshot.configuration(key)
        for variant in row.variants if row is not None else ():
            if size(variant.ranges) and variant.counts(now):
                yield Place.from_key(key), variant


def _first_able(
    request: ProviderRequest, targets: Sequence[Target], failure: Failure | None
) -> Target | None:
    for target in targets:
        if failure is not None and failure.takes(target):
            continue
        if not is_too_long(fit(request, target)[0], target):
            return target
    return None


def _request(snapshot: Snapshot, variant: Variant) -> ProviderRequest:
    """A call of the variant, about: the template's own text stands for what it is rendered to."""
    live = snapshot.prompt(variant.prompt.code)
    sha256 = variant.prompt.sha256 or (live.sha256 if live is not None else "")
    try:
        text = snapshot.body(sha256)
    except TemplateNotFoundError:
        text = ""
    return ProviderRequest(
        model_id="",
        messages=(Message("user", text),),
        temperature=variant.temperature,
        max_tokens=variant.max_tokens,
        top_p=variant.top_p,
        frequency_penalty=variant.frequency_penalty,
        presence_penalty=variant.presence_penalty,
    )


def _cost(model: Model | None, variant: Variant) -> Decimal | None:
    if model is None:
        return None
    price = cost.Price(model.input_price_per_million, model.output_price_per_million)
    return cost.per_thousand_calls(price, max_tokens=variant.max_tokens)


def _worst_first(outcome: Outcome) -> tuple[bool, int, str, int]:
    return outcome.instead is not None, -outcome.share, outcome.place.key, outcome.version
