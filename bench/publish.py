"""Publishing one key in embedded Postgres, where 16 configurations are live and where 5,000 are; and its way to the pointer.

Floor: the small environment. All that is live is read and written into the new snapshot, so the cost grows with it; the ratio
says how steeply. Once by the wall's clock, which counts Postgres in, and once in our own processor time.

From "Publish" until the store's pointer names the release, a worker and the embedded stores are there as `./run` has them.
What a move of one share writes to the store is counted: an entry, its card, and one snapshot, however many are live.

Limits: 250 ms in the large environment (the first publish of a process checks every entry; later ones what they change); a
second to the pointer for 95 of 100, with 10,000 configurations live; as many writes as in the small environment.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy import Engine

from bench.effort import Effort
from bench.figures import Figure, Limit
from bench.releases import INTERACTION, Document, Documents, configurations
from bench.timing import Clock, Pair, in_turns, once, percentile
from controlplane.accounts.actor import Actor
from controlplane.db import make_engine, transaction
from controlplane.first_data import load as first_data
from controlplane.local.ports import any_free
from controlplane.local.postgres import temporary
from controlplane.registry import services as registry
from controlplane.registry.inputs import EnvironmentInput
from controlplane.releases.export import reconcile
from controlplane.releases.history import latest_release
from controlplane.releases.saved import saved_entries
from controlplane.releases.services import publish_entries
from controlplane.runtime import BUCKETS
from controlplane.runtime.entries import configuration_key
from controlplane.runtime.errors import StoreUnavailable
from controlplane.runtime.stores import ReleaseStore
from controlplane.runtime.stores.build import store_from_environment
from controlplane.runtime.stores.memory import MemoryStore
from controlplane.web.cli import migrate

_ACTOR = Actor.system("bench", via="command line")
_KEY = configuration_key(INTERACTION)
_LIMIT = Limit(250, of="here")
_SECONDS_TO_POINTER = 1.0
_LOOK_SECONDS = 0.02
_SECONDS_TO_FILL = 180.0


def run(effort: Effort) -> list[Figure]:
    """Measure."""
    with temporary() as url:
        migrate(url)
        engine = make_engine(url)
        try:
            return [*_measure(engine, effort), *_measure_export(engine, url, effort)]
        finally:
            engine.dispose()


def _measure(engine: Engine, effort: Effort) -> list[Figure]:
    small, large = effort.published
    _prepare(engine, "small", small)
    _prepare(engine, "large", large)
    documents = _temperatures()
    found = [
        ("the wall's clock", _compare(engine, documents, time.perf_counter_ns, effort)),
        ("processor time", _compare(engine, documents, time.process_time_ns, effort)),
    ]
    return [
        Figure(
            f"publish one key on {large:,} configurations (floor: on {small}), {by}",
            pair.subject / 1e6,
            "ms",
            pair.floor / 1e6,
            pair.ratio,
            _LIMIT,
        )
        for by, pair in found
    ]


def _compare(engine: Engine, documents: Iterator[Document], clock: Clock, effort: Effort) -> Pair:
    return in_turns(
        lambda: once(lambda: _publish(engine, "large", {_KEY: next(documents)}), clock=clock),
        lambda: once(lambda: _publish(engine, "small", {_KEY: next(documents)}), clock=clock),
        rounds=effort.loads,
    )


def _temperatures() -> Iterator[Document]:
    """Yield the document with one number changed, never twice the same: no change is no release."""
    (document,) = configurations(1).values()
    older, newer = document["variants"]
    for number in range(1, 500):  # in steps too small to come to the 0.7 that is live at first
        yield {
            **document,
            "variants": [older, {**newer, "temperature": number / 1_000}],
        }


def _prepare(engine: Engine, environment: str, count: int) -> None:
    with transaction(engine) as session:
        if first_data.is_empty(session):
            first_data.load(session)
        given = EnvironmentInput(code=environment, name=environment.title(), protected=False, position=9)
        registry.create_environment(session, given, actor=_ACTOR)
        saved, _ = saved_entries(session, environment)
    bare = {key: document for key, document in saved.items() if not key.startswith("configuration/")}
    _publish(engine, environment, bare | configurations(count))


def _publish(engine: Engine, environment: str, changes: Documents) -> int:
    with transaction(engine) as session:
        return publish_entries(
            session,
            environment,
            changes,
            reason="A benchmark",
            actor=_ACTOR,
            action="rollout.raised",
            sentence="raised a share",
            source_name="rollout",
        ).number


class _Counting(MemoryStore):
    """Counts what is written: entries and cards, and objects."""

    def __init__(self) -> None:
        super().__init__()
        self.entries = 0
        self.objects = 0

    def write_entries(self, environment: str, release: int, documents: Mapping[str, bytes | None]) -> None:
        self.entries += len(documents)
        super().write_entries(environment, release, documents)

    def write_snapshot(self, environment: str, sha256: str, data: bytes) -> None:
        self.objects += 1
        super().write_snapshot(environment, sha256, data)

    def write_prompt(self, sha256: str, body: str) -> None:
        self.objects += 1
        super().write_prompt(sha256, body)


def _measure_export(engine: Engine, url: str, effort: Effort) -> list[Figure]:
    few, many = effort.published[0], effort.large
    _prepare(engine, "few", few)
    _prepare(engine, "many", many)
    counted = {environment: _writes_of_a_move(engine, environment) for environment in ("few", "many")}
    with _running(url) as store:
        taken = {
            environment: [
                _seconds_to_pointer(engine, store, environment, move) for move in _moves(effort.loads * 5)
            ]
            for environment in ("few", "many")
        }
    late = {environment: percentile(seconds, 95) for environment, seconds in taken.items()}
    figures = [
        Figure(
            f"publish to pointer moved, 95 of 100, {many:,} configurations (floor: {few})",
            late["many"],
            "s",
            late["few"],
            late["many"] / late["few"],
            Limit(_SECONDS_TO_POINTER, of="here"),
        )
    ]
    for place, what in enumerate(("entries and cards", "objects")):
        here, floor = counted["many"][place], counted["few"][place]
        name = f"{what} written by a move of one share, {many:,} configurations (floor: {few})"
        figures.append(Figure(name, here, "", floor, here / floor, Limit(1)))
    return figures


def _writes_of_a_move(engine: Engine, environment: str) -> tuple[int, int]:
    """Export to a store of its own, move one share, and return the entries and the objects that this wrote."""
    store = _Counting()
    reconcile(engine, store, environment)
    store.entries = store.objects = 0
    _publish(engine, environment, {_KEY: _share(49_999)})
    reconcile(engine, store, environment)
    return store.entries, store.objects


def _moves(count: int) -> list[Document]:
    return [_share(share) for share in range(1, count + 1)]


def _share(share: int) -> Document:
    """Return the row with this many buckets at its newer variant."""
    (document,) = configurations(1).values()
    older, newer = document["variants"]
    rest = BUCKETS - share
    return {
        **document,
        "variants": [{**older, "ranges": [[0, rest]]}, {**newer, "ranges": [[BUCKETS, rest]]}],
    }


def _seconds_to_pointer(engine: Engine, store: ReleaseStore, environment: str, document: Document) -> float:
    began = time.perf_counter()
    number = _publish(engine, environment, {_KEY: document})
    _until(store, environment, number)
    return time.perf_counter() - began


def _until(store: ReleaseStore, environment: str, number: int) -> None:
    deadline = time.monotonic() + _SECONDS_TO_FILL
    while time.monotonic() < deadline:
        try:
            pointer = store.read_pointer(environment)
        except StoreUnavailable:  # the emulator is not up yet
            pointer = None
        if pointer is not None and pointer.release >= number:
            return
        time.sleep(_LOOK_SECONDS)
    raise RuntimeError(f"release {number} of {environment} did not go live")


@contextmanager
def _running(url: str) -> Iterator[ReleaseStore]:
    """The emulator and a worker in processes of their own, once every environment is in the store."""
    port = any_free()
    environ = {**os.environ, "DATABASE_URL": url, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
    programs = (("controlplane.local.aws", "--port", str(port)), ("controlplane.worker",))
    started = [
        subprocess.Popen(
            [sys.executable, "-m", *program],
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for program in programs
    ]
    store = store_from_environment(environ)
    engine = make_engine(url)
    try:
        for environment in ("few", "many"):
            with transaction(engine) as session:
                latest = latest_release(session, environment)
            if latest is not None:
                _until(store, environment, latest.number)
        yield store
    finally:
        engine.dispose()
        for process in started:
            process.terminate()
            process.wait(10)
