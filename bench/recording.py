"""Recording a call: what it costs the call itself, when it is off, when the call is not chosen, and when it is.

Floor: one object appended to a list. Limits: 1 µs for a call that is not recorded, 10 µs for one that is, its values included.
What the recorder's own thread does is not in it; the last line is what that takes for one call.
"""

from collections.abc import Callable
from functools import partial

from bench.effort import Effort
from bench.figures import Figure, Limit
from bench.releases import INTERACTION, load, requests
from bench.timing import in_turns, per_call
from controlplane.runtime import Request, Resolution, Snapshot, resolve, snapshot
from controlplane.runtime.entries import interaction_key
from controlplane.runtime.recorded_values import values_to_keep
from controlplane.runtime.recording import Recorder, Seen
from controlplane.runtime.services.configuration import utc_now
from controlplane.runtime.stores.memory import MemoryStore

_OFF, _CHOSEN = Limit(1, of="here"), Limit(10, of="here")
_VALUES = {"user_message": "Are our values real? " * 20, "topic": "goals"}


def run(effort: Effort) -> list[Figure]:
    """Measure."""
    live = _declaring(load(10))
    asked = requests(live, min(effort.calls, 2_000))
    found = [resolve(live, each, now=utc_now()) for each in asked]
    never = Recorder(MemoryStore(), "production", rate=0)
    always = Recorder(MemoryStore(), "production", rate=1)

    def off(_: Resolution, recorder: Recorder | None = None) -> None:
        if recorder is not None and recorder.chooses():
            raise AssertionError("it is off")

    def chosen(one: Resolution) -> None:
        if always.chooses():
            values, lengths = values_to_keep(live, INTERACTION, _VALUES)
            always.see(
                Seen(
                    at=0.0,
                    request=one.request,
                    path="configuration",
                    snapshot=live,
                    resolution=one,
                    answered_by="MODEL",
                    seconds=1.5,
                    input_tokens=1_000,
                    output_tokens=200,
                    values=values,
                    lengths=lengths,
                )
            )

    def written(requests: list[Request]) -> None:
        for one in requests:
            always.see(Seen(at=0.0, request=one, path="configuration", snapshot=live))
        always.flush()

    figures = [
        _figure("off", effort, found, off, _OFF, always),
        _figure("not chosen", effort, found, partial(off, recorder=never), _OFF, always),
        _figure("chosen, with its values", effort, found, chosen, _CHOSEN, always),
    ]
    batch = per_call(written, [asked])
    figures.append(
        Figure("the thread, for each call", batch / len(asked) / 1e3, "µs", figures[-1].floor, 1.0)
    )
    return figures


def _declaring(live: Snapshot) -> Snapshot:
    """Return the same release with every parameter of the interaction declared as one to be kept."""
    documents = live.documents()
    for parameter in documents[interaction_key(INTERACTION)]["parameters"]:
        parameter["recorded"] = "yes"
    data = snapshot.build(documents, live.bodies())
    return Snapshot.load(data, release=live.release, environment=live.environment)


def _figure(
    name: str,
    effort: Effort,
    items: list[Resolution],
    subject: Callable[[Resolution], None],
    limit: Limit,
    recorder: Recorder,
) -> Figure:
    kept: list[Resolution] = []

    def measured() -> float:
        taken = per_call(subject, items)
        recorder.flush()
        return taken

    def floor() -> float:
        kept.clear()
        return per_call(kept.append, items)

    pair = in_turns(measured, floor, rounds=effort.rounds)
    return Figure(name, pair.subject / 1e3, "µs", pair.floor / 1e3, pair.ratio, limit)
