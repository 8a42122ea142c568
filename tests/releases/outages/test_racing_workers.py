"""Eight worker processes race, held up at random, while release after release is published.

2,000 releases; RACED_RELEASES says another number. They are made as rows, 25 in a transaction, in an environment of few
entries: what is raced for is the pointer, and publishing one by one would leave the workers nothing to race for.
"""

import datetime as dt
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, func, insert, select, update
from sqlalchemy.orm import Session

from controlplane.registry import services as registry
from controlplane.registry.inputs import EnvironmentInput
from controlplane.registry.models import Environment
from controlplane.releases import steps
from controlplane.releases.compose import Document
from controlplane.releases.export import Outcome, reconcile
from controlplane.releases.models import ExportStep, Release, ReleaseEntry
from controlplane.releases.saved import bodies_by_hash, hashes_named, live_entries, live_texts
from controlplane.releases.steps import State, Step
from controlplane.releases.store_check import look
from controlplane.runtime import Client, canonical, snapshot
from controlplane.runtime.signing import Verifier
from controlplane.runtime.stores.aws import AwsStore
from tests.conftest import ROOT
from tests.releases.changing import DEFAULT, move
from tests.site import ROOT_ACTOR

RELEASES = int(os.environ.get("RACED_RELEASES", "2000"))
AT_ONCE = 25
ENVIRONMENT = "race"


def first_release(engine: Engine) -> None:
    """Make an environment of few entries: one row, and what it names."""
    with Session(engine) as session:
        given = EnvironmentInput(code=ENVIRONMENT, name="Race", protected=False, position=9)
        registry.create_environment(session, given, actor=ROOT_ACTOR)
        live = live_entries(session, "production")
        prompt = f"prompt/{live[DEFAULT]['variants'][0]['prompt']['code']}"
        wanted = {DEFAULT, prompt, f"interaction/{live[prompt]['interaction']}"}
        chosen: dict[str, Document | None] = {
            key: document
            for key, document in live.items()
            if key in wanted or key.startswith(("tier/", "model/"))
        }
        move(session, ENVIRONMENT, chosen)


def publish_many(engine: Engine, count: int, *, pause: Callable[[], object]) -> None:
    """Make so many further releases, each with another temperature in the default row."""
    with Session(engine) as session:
        texts = live_texts(session, ENVIRONMENT)
        bodies = bodies_by_hash(session, hashes_named(texts))
        row = live_entries(session, ENVIRONMENT)[DEFAULT]
        for start in range(2, count + 1, AT_ONCE):
            numbers = range(start, min(start + AT_ONCE, count + 1))
            documents = {number: canonical.dumps(_warmer(row, number)) for number in numbers}
            session.execute(
                update(ReleaseEntry)
                .where(
                    ReleaseEntry.environment == ENVIRONMENT,
                    ReleaseEntry.key == DEFAULT,
                    ReleaseEntry.valid_to.is_(None),
                )
                .values(valid_to=start)
            )
            session.execute(
                insert(Release),
                [
                    _release(number, snapshot.assemble({**texts, DEFAULT: document}, bodies), len(texts))
                    for number, document in documents.items()
                ],
            )
            session.execute(insert(ReleaseEntry), [_entry(*each, numbers[-1]) for each in documents.items()])
            session.execute(
                update(Environment)
                .where(Environment.code == ENVIRONMENT)
                .values(next_release=numbers[-1] + 1)
            )
            session.commit()
            pause()


def _warmer(row: Document, number: int) -> Document:
    return {**row, "variants": [{**row["variants"][0], "temperature": number / 1_000_000}]}


def _release(number: int, data: bytes, count: int) -> dict[str, object]:
    return {
        "environment": ENVIRONMENT,
        "number": number,
        "source": "rollout",
        "summary": f"release {number}",
        "reason": "",
        "author_id": "tests",
        "author_name": "tests",
        "created_at": dt.datetime.now(dt.UTC),
        "snapshot_sha256": canonical.digest(data),
        "snapshot_size": len(data),
        "entry_count": count,
    }


def _entry(number: int, document: bytes, last: int) -> dict[str, object]:
    return {
        "environment": ENVIRONMENT,
        "key": DEFAULT,
        "valid_from": number,
        "valid_to": None if number == last else number + 1,
        "document": document.decode(),
        "digest": canonical.digest(document),
    }


@contextmanager
def racing(database_url: str, aws_url: str, name: str) -> Iterator[None]:
    """Eight workers in processes of their own, for as long as the block lasts."""
    command = [sys.executable, "-m", "tests.releases.outages.workers", "race"]
    with subprocess.Popen(
        [*command, database_url, aws_url, name, ENVIRONMENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield


class Reader:
    """Polls the pointer, as often as it can, and serves what it names."""

    def __init__(self, store: AwsStore) -> None:
        self.store = store
        self.client = Client(store, ENVIRONMENT)
        self.pointed: list[int] = []
        self.served: list[int] = []
        self.problems: set[str] = set()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._poll)

    def __enter__(self) -> "Reader":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _poll(self) -> None:
        while not self._done.is_set():
            if (pointer := self.store.read_pointer(ENVIRONMENT)) is not None:
                self.pointed.append(pointer.release)
            self.client.refresh()
            if (live := self.client.snapshot) is not None:
                self.served.append(live.release)
            if problem := self.client.state.last_error:
                self.problems.add(problem)

    def pause(self) -> None:
        """Wait until it looked once more, so that there is somebody to see the pointer between any two publishes."""
        looked = len(self.pointed)
        while len(self.pointed) == looked and self._thread.is_alive():
            self._done.wait(0.01)


def test_workers_that_race_never_move_the_pointer_back_and_the_last_release_is_live(
    engine: Engine, database_url: str, ministack_url: str, store: AwsStore, name: str
) -> None:
    first_release(engine)
    with racing(database_url, ministack_url, name), Reader(store) as reader:
        publish_many(engine, RELEASES, pause=reader.pause)
    reconcile(engine, store, ENVIRONMENT)

    assert reconcile(engine, store, ENVIRONMENT) is Outcome.CURRENT
    pointer = store.read_pointer(ENVIRONMENT)
    assert pointer is not None
    assert pointer.release == RELEASES
    assert reader.pointed == sorted(reader.pointed)
    assert reader.served == sorted(reader.served)
    assert not reader.problems
    assert look(engine, store, ENVIRONMENT, verifier=Verifier()) == []
    numbers = range(1, RELEASES + 1)
    with Session(engine) as session:
        query = select(Release.number).where(Release.environment == ENVIRONMENT).order_by(Release.number)
        assert list(session.scalars(query)) == list(numbers)
        told = steps.exports_of(session, ENVIRONMENT, numbers)
        assert {export.state for export in told.values()} == {State.DONE, State.SUPERSEDED}
        moves = dict(
            session.execute(
                select(ExportStep.state, func.count())
                .where(ExportStep.environment == ENVIRONMENT, ExportStep.step == Step.POINTER)
                .group_by(ExportStep.state)
            ).all()
        )
    # That they raced at all: some came too late, with an older release in their hands.
    assert moves[State.DONE] > 10
    assert moves[State.SUPERSEDED]
    print(f"{RELEASES} releases; the pointer was moved {moves}; {len(reader.pointed)} looks at it")
