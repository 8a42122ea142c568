"""The figures as OpenTelemetry instruments. They read what was counted anyway, so a call costs nothing more.

OpenTelemetry's package is imported when somebody asks for it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from controlplane.runtime.exposition import Distribution, Family, number
from controlplane.runtime.metrics import Metrics

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Meter, Observation

NAME: Final = "controlplane.runtime"


def observe(metrics: Sequence[Metrics], meter: "Meter | None" = None) -> None:
    """Have a meter (the process's own, without one) report these figures whenever its reader collects.

    Counters are observable counters of the same names as in Prometheus. OpenTelemetry has no histogram that is read from
    outside, so each comes as three counters as Prometheus has them: `…_bucket` with the label `le`, `…_sum`, `…_count`.
    Raises `ImportError` when opentelemetry-api is not installed.
    """
    from opentelemetry.metrics import get_meter

    chosen = meter or get_meter(NAME)
    for family in Metrics().families():
        for suffix in ("_bucket", "_sum", "_count") if family.kind == "histogram" else ("",):
            chosen.create_observable_counter(
                family.name + suffix,
                callbacks=[_reader(metrics, family.name, suffix)],
                description=family.description,
                unit="s" if suffix == "_sum" else "",
            )


def _reader(
    metrics: Sequence[Metrics], name: str, suffix: str
) -> "Callable[[CallbackOptions], Iterable[Observation]]":
    from opentelemetry.metrics import Observation

    def read(_: "CallbackOptions") -> Iterable[Observation]:
        for one in metrics:
            for family in one.families():
                if family.name == name:
                    yield from (Observation(value, dict(labels)) for labels, value in _values(family, suffix))

    return read


def _values(family: Family, suffix: str) -> Iterator[tuple[tuple[tuple[str, str], ...], float]]:
    for labels, value in family.samples:
        if not isinstance(value, Distribution):
            yield labels, value
        elif suffix == "_bucket":
            for bound, count in value.cumulative():
                yield (*labels, ("le", number(bound))), count
        else:
            yield labels, value.total if suffix == "_sum" else value.count
