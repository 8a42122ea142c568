"""The store fails in the ways that AWS does, which no emulator shows; everything drains to done."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from controlplane.releases import steps
from controlplane.releases.saved import live_entry
from controlplane.releases.steps import State
from controlplane.releases.store_check import look
from controlplane.releases.worker import Worker
from controlplane.runtime import Client
from controlplane.runtime.signing import Verifier
from controlplane.runtime.stores.aws import AwsStore
from tests.clock import Clock
from tests.releases.changing import PREMIUM, PROMPT, move, publish_saved, save_prompt
from tests.runtime.emulator import Body, hooked, reply_lost, throttled, unprocessed

Fault = Callable[[AwsStore], AbstractContextManager[Any]]
ROUNDS = 8


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries again at once: how long boto and we wait in between is not what is tested."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _seconds: None))
    monkeypatch.setattr("controlplane.runtime.stores.batches._LONGEST_WAIT", 0.001)


@contextmanager
def refused(
    client: Any, event: str, *, status: int, code: str, after: int, times: int
) -> Iterator[list[str]]:
    """Let some requests pass, and then answer so many with an error; yields what was refused."""
    asked: list[str] = []
    found: list[str] = []

    def answer(request: AWSPreparedRequest, **_: Any) -> AWSResponse | None:
        asked.append(request.url)
        if not after < len(asked) <= after + times:
            return None
        found.append(request.url)
        if ".s3" in event:
            body = f"<Error><Code>{code}</Code><Message>not now</Message></Error>".encode()
        else:
            body = json.dumps({"__type": f"com.amazonaws#{code}", "message": "not now"}).encode()
        headers: Any = HTTPHeaders.from_dict({"Content-Type": "application/xml"})
        return AWSResponse(request.url, status, headers, Body(body))

    with hooked(client, event, answer):
        yield found


def dynamodb(code: str, *, operation: str = "", status: int = 400, after: int = 0, times: int = 4) -> Fault:
    event = f"before-send.dynamodb{operation and '.'}{operation}"
    return lambda store: refused(store.dynamodb, event, status=status, code=code, after=after, times=times)


def s3(code: str, *, operation: str = "", status: int = 503, after: int = 0, times: int = 4) -> Fault:
    event = f"before-send.s3{operation and '.'}{operation}"
    return lambda store: refused(store.s3, event, status=status, code=code, after=after, times=times)


FAULTS: dict[str, Fault] = {
    "throttled for long": lambda store: throttled(store.dynamodb, "BatchWriteItem", times=4),
    "the pointer throttled": lambda store: throttled(store.dynamodb, "PutItem", times=4),
    "reads throttled": dynamodb("ProvisionedThroughputExceededException", operation="Query"),
    "the table in trouble": dynamodb("InternalServerError", status=500, after=2),
    "some items unprocessed": lambda store: unprocessed(store.dynamodb, times=4, written=1),
    "items unprocessed until we give up": lambda store: unprocessed(store.dynamodb, times=15),
    "a reply about entries lost": lambda store: reply_lost(store.dynamodb, "dynamodb", "BatchWriteItem"),
    "the pointer's reply lost": lambda store: reply_lost(store.dynamodb, "dynamodb", "PutItem"),
    "the pointer's replies all lost": lambda store: reply_lost(
        store.dynamodb, "dynamodb", "PutItem", times=3
    ),
    "a snapshot's replies lost": lambda store: reply_lost(store.s3, "s3", "PutObject", times=4),
    "S3 in trouble": s3("InternalError", status=500),
    "S3 asks to slow down": s3("SlowDown", operation="PutObject"),
    "S3 does not read back": s3("SlowDown", operation="GetObject"),
    "credentials of the table expire half-way": dynamodb("ExpiredTokenException", after=3, times=2),
    "credentials expire before the pointer": dynamodb("ExpiredTokenException", operation="PutItem", times=2),
    "credentials of the bucket expire half-way": s3("ExpiredToken", status=400, after=1, times=2),
}


def drained(engine: Engine, worker: Worker, number: int) -> int:
    """Run rounds of a worker until the release is live, and return how many it took."""
    for rounds in range(1, ROUNDS + 1):
        worker.round(woken=["production"])
        with Session(engine) as session:
            export = steps.export_of(session, "production", number)
        if export.state is State.DONE and export.is_told:
            return rounds
    raise AssertionError(f"not done after {ROUNDS} rounds: {export}")


@pytest.fixture
def worker(engine: Engine, store: AwsStore) -> Worker:
    """One that brought the first release, and whose clock stands: it looks at what it is woken for."""
    worker = Worker(engine, store, prepare=store.ensure, clock=Clock())
    worker.round()
    return worker


def publish(engine: Engine, turn: int) -> int:
    """Publish a text, and the share of a rollout: objects, entries and a card; nothing that was published before."""
    with Session(engine) as session:
        save_prompt(session, suffix=f"Number {turn}.")
        publish_saved(session, "production", PROMPT)
        live = live_entry(session, "production", PREMIUM)
        assert live is not None
        older, share = live["variants"][0], 1_000 * (turn + 1)
        variants = [
            {**older, "ranges": [[0, 100_000 - share]]},
            {**older, "version": older["version"] + 1, "ranges": [[100_000, 100_000 - share]]},
        ]
        return move(session, "production", {PREMIUM: {**live, "variants": variants}}).number


@pytest.fixture
def reader(store: AwsStore) -> Client:
    return Client(store, "production")


def test_whatever_fails_everything_drains_to_done(
    engine: Engine, store: AwsStore, worker: Worker, reader: Client
) -> None:
    reader.refresh()
    for turn, (name, fault) in enumerate(FAULTS.items()):
        number = publish(engine, turn)
        with fault(store) as happened:
            drained(engine, worker, number)
        assert happened, f"did not happen: {name}"
        assert reader.refresh(), name
        assert reader.state.release == number, name
        assert reader.state.last_error is None, name
    assert look(engine, store, "production", verifier=Verifier()) == []


def test_a_store_that_was_emptied_heals_by_itself(
    engine: Engine, store: AwsStore, name: str, worker: Worker, reader: Client
) -> None:
    number = publish(engine, 0)
    drained(engine, worker, number)
    reader.refresh()

    store.dynamodb.delete_table(TableName=name)
    for found in store.s3.list_objects_v2(Bucket=name)["Contents"]:
        store.s3.delete_object(Bucket=name, Key=found["Key"])
    store.s3.delete_bucket(Bucket=name)
    reader.refresh()
    assert reader.state.release == number

    for _ in range(3):  # the first finds out; then table and bucket are made again
        worker.round(woken=["production", "staging"])

    for environment in ("production", "staging"):
        assert look(engine, store, environment, verifier=Verifier()) == []
    reader.refresh()
    assert (reader.state.release, reader.state.last_error) == (number, None)


def test_a_bucket_that_was_emptied_alone_heals_by_the_thorough_look(
    engine: Engine, store: AwsStore, name: str, worker: Worker
) -> None:
    for found in store.s3.list_objects_v2(Bucket=name)["Contents"]:
        store.s3.delete_object(Bucket=name, Key=found["Key"])
    assert isinstance(worker.clock, Clock)
    worker.clock.now += 61

    worker.round()

    for environment in ("production", "staging"):
        assert look(engine, store, environment, verifier=Verifier()) == []
