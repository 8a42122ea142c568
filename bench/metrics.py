"""Counting what a call did: what the metrics themselves cost.

Floor: one number in one dict raised by one, without buckets, labels or threads. Limit: 1 µs for each call of `Metrics`. "All
that one answer counts" is of a model that takes seconds. The last line is a look-up that counts its unit and its time, and its
floor one that counts its time alone: what sketches of units cost the path of a call.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

from bench.effort import Effort
from bench.figures import Figure, Limit
from bench.releases import load, requests
from bench.timing import in_turns, per_call
from controlplane.runtime.metrics import Metrics
from controlplane.runtime.resolver import Request, resolve
from controlplane.runtime.services.measuring import count_unit

_LIMIT = Limit(1, of="here")
_SUBJECTS = 50

Subject = tuple[str, str, str, int]


def run(effort: Effort) -> list[Figure]:
    """Measure."""
    metrics = Metrics("production")
    return [
        _figure("lookup", effort, lambda one: metrics.lookup(*one, 3e-6)),
        _figure("render", effort, lambda one: metrics.render(*one, 4e-5)),
        _figure("answered", effort, partial(_answered, metrics)),
        _figure("error", effort, partial(_failed, metrics)),
        _figure("fallback", effort, partial(_stepped_down, metrics)),
        _figure("cache", effort, lambda _: metrics.cache("configuration", hit=True)),
        _figure("unit", effort, lambda one: metrics.units.count(one[0], "user", one[0], one[3])),
        _figure("all that one answer counts", effort, partial(_whole, metrics), limit=None),
        _with_and_without_units(effort, metrics),
    ]


def _figure(
    name: str, effort: Effort, count: Callable[[Subject], None], *, limit: Limit | None = _LIMIT
) -> Figure:
    items = _subjects(effort.calls)
    counted: dict[Subject, int] = {}

    def least(one: Subject) -> None:
        counted[one] = counted.get(one, 0) + 1

    pair = in_turns(lambda: per_call(count, items), lambda: per_call(least, items), rounds=effort.rounds)
    return Figure(name, pair.subject / 1e3, "µs", pair.floor / 1e3, pair.ratio, limit)


def _with_and_without_units(effort: Effort, metrics: Metrics) -> Figure:
    live = load(effort.sizes[0])
    asked = requests(live, effort.calls)
    now = datetime.now(UTC)

    def without(request: Request) -> None:
        found = resolve(live, request, now=now)
        metrics.lookup(request.interaction, request.tier, found.variant.model, found.variant.version, 3e-6)

    def counting(request: Request) -> None:
        found = resolve(live, request, now=now)
        metrics.lookup(request.interaction, request.tier, found.variant.model, found.variant.version, 3e-6)
        count_unit(metrics.units, found)

    pair = in_turns(lambda: per_call(counting, asked), lambda: per_call(without, asked), rounds=effort.rounds)
    name = "a look-up with its unit counted (floor: without)"
    return Figure(name, pair.subject / 1e3, "µs", pair.floor / 1e3, pair.ratio, None)


def _answered(metrics: Metrics, one: Subject) -> None:
    interaction, tier, model, variant = one
    metrics.answered(
        interaction,
        tier,
        model,
        variant,
        path="configuration",
        seconds=1.5,
        input_tokens=1_000,
        output_tokens=200,
        cost=0.01,
    )


def _failed(metrics: Metrics, one: Subject) -> None:
    interaction, tier, model, variant = one
    metrics.error(interaction, "timeout", tier=tier, model=model, variant=variant)


def _stepped_down(metrics: Metrics, one: Subject) -> None:
    interaction, tier, model, variant = one
    metrics.fallback(interaction, "fallback_model", "timeout", tier=tier, model=model, variant=variant)


def _whole(metrics: Metrics, one: Subject) -> None:
    metrics.lookup(*one, 3e-6)
    metrics.render(*one, 4e-5)
    metrics.path(one[0], "configuration")
    _answered(metrics, one)


def _subjects(calls: int) -> Sequence[Subject]:
    known = [(f"INTERACTION_{number}", "premium", "MODEL", number) for number in range(_SUBJECTS)]
    return [known[number % _SUBJECTS] for number in range(calls)]
