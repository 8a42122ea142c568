"""The recorder: what it keeps of calls, what it never keeps, and that it never gets in their way."""

import asyncio
import json
import os
import threading
import time
import urllib.request
from datetime import UTC, datetime
from typing import Any

import pytest

from controlplane.runtime import Request, resolve
from controlplane.runtime import decisions as recorded
from controlplane.runtime.errors import StoreUnavailable
from controlplane.runtime.providers.errors import AllProvidersFailedError, ProviderUnavailableError
from controlplane.runtime.recording import Recorder, Seen
from controlplane.runtime.stores.memory import MemoryStore
from tests.runtime import coaching
from tests.runtime.coaching import Place
from tests.runtime.service_inside import inside

KEY = b"a key of a test, which is long enough"


class Gone(MemoryStore):
    """A store that nobody can write to, until it is mended."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = True

    def write_decisions(self, environment: str, hour: datetime, name: str, packed: bytes) -> None:
        if self.broken:
            raise StoreUnavailable("gone")
        super().write_decisions(environment, hour, name, packed)


def recorder(store: MemoryStore | None = None, **settings: Any) -> Recorder:
    return Recorder(store or MemoryStore(), "production", **{"rate": 1, "key": KEY, **settings})


def batches(store: MemoryStore) -> list[recorded.Batch]:
    return [
        recorded.read(store.read_decisions("production", hour, name, limit=10_000_000))
        for hour in store.list_decision_hours("production")
        for name in store.list_decisions("production", hour)
    ]


def calls(store: MemoryStore) -> list[recorded.Decision]:
    return [each for batch in batches(store) for each in batch.decisions]


def declaring(**how: str) -> coaching.Documents:
    """The coaching release, with how each parameter may be recorded."""
    entries = coaching.documents()
    for parameter in entries["interaction/COACHING_RESPONSE"]["parameters"]:
        if parameter["name"] in how:
            parameter["recorded"] = how[parameter["name"]]
    return entries


def recorder_is_well(recording: Recorder) -> bool:
    return recording.state.error is None


SEEN = Seen(at=0.0, request=Request("COACHING_RESPONSE", unit="u-1"), path="legacy")


async def test_a_call_is_kept_with_what_was_decided_and_what_came_of_it() -> None:
    store = MemoryStore()
    recording = recorder(store)
    place = Place(recorder=recording, tenant_id="acme")
    answer = await place.ask()
    assert recording.flush()

    (batch,) = batches(store)
    (kept,) = batch.decisions
    assert (batch.header.rate, batch.header.environment, batch.header.dropped) == (1, "production", 0)
    assert (kept.interaction, kept.tier, kept.tenant, kept.path) == (
        "COACHING_RESPONSE",
        "premium",
        "acme",
        answer.path,
    )
    assert (
        kept.release,
        kept.key,
        kept.version,
        kept.bucket,
        kept.model,
        kept.prompt,
        kept.prompt_version,
    ) == (
        answer.release,
        answer.configuration,
        answer.configuration_version,
        answer.bucket,
        "LARGE",
        answer.template,
        answer.template_version,
    )
    assert (kept.answered_by, kept.input_tokens, kept.output_tokens, kept.error) == (
        "LARGE",
        1_000,
        200,
        None,
    )
    assert kept.unit == recorded.hashed(KEY, "u-1")
    assert set(kept.buckets) == {"v1:b2:user", "v1:a1:user"}, "by every row that could answer, first or not"
    assert (kept.parameters, kept.lengths) == (None, None)


async def test_of_values_only_that_is_kept_which_is_declared() -> None:
    store = MemoryStore()
    recording = recorder(store)
    entries = declaring(user_message="yes", conversation_context="length", topic="perhaps")
    await Place(entries, recorder=recording).ask()
    recording.flush()

    (kept,) = calls(store)
    assert kept.parameters == {"user_message": "Are our values real?"}
    assert kept.lengths is not None
    assert list(kept.lengths) == ["conversation_context"]
    assert kept.lengths["conversation_context"] > 10


async def test_values_that_are_too_long_leave_their_lengths() -> None:
    store = MemoryStore()
    recording = recorder(store)
    place = Place(declaring(user_message="yes"), recorder=recording)
    await place.ask(template_parameters={"user_message": "a" * 20_000})
    recording.flush()
    (kept,) = calls(store)
    assert (kept.parameters, kept.lengths) == (None, {"user_message": 20_000})


class Mute:
    """A value of an application that cannot be put into words."""

    def __str__(self) -> str:
        raise RuntimeError("not even that")


@pytest.mark.parametrize("unreadable", [False, True])
async def test_what_cannot_be_kept_of_values_costs_no_call_its_answer(unreadable: bool) -> None:
    store = MemoryStore()
    recording = recorder(store)
    entries = declaring(topic="length")
    if unreadable:  # held by a process that took the release when it could be read
        entries["interaction/COACHING_RESPONSE"]["parameters"].append({"type": "text"})
    live = coaching.Releases.of(entries).snapshot
    assert live is not None
    found = resolve(live, Request("COACHING_RESPONSE", "premium", unit="u-1"), now=datetime.now(UTC))
    recording.decided(live, found, values={"topic": Mute(), "user_message": "Why?"})
    recording.flush()
    (kept,) = calls(store)
    assert (kept.version, kept.parameters, kept.lengths) == (7, None, None)


async def test_values_are_kept_as_they_were_when_the_call_was_made() -> None:
    store = MemoryStore()
    recording = recorder(store)
    entries = declaring(user_message="yes")
    entries["interaction/COACHING_RESPONSE"]["parameters"].append(
        {"name": "notes", "type": "list", "recorded": "yes"}
    )
    notes = ["first"]
    await Place(entries, recorder=recording).ask(template_parameters={"notes": notes})
    notes.append("written after the call")
    recording.flush()
    assert calls(store)[0].parameters == {"user_message": "Are our values real?", "notes": ["first"]}


@pytest.mark.parametrize(
    ("kept_out", "settings", "asked"),
    [
        ("call", {}, {"use_config_lookup": False}),
        ("service", {"use_config_lookup": False}, {}),
        ("gate", {}, {}),
        ("no_configuration", {}, {"interaction_code": "UNCONFIGURED"}),
    ],
)
async def test_a_call_that_took_the_legacy_path_says_why(
    kept_out: str, settings: dict[str, Any], asked: dict[str, Any]
) -> None:
    store = MemoryStore()
    recording = recorder(store)
    entries = coaching.documents()
    if kept_out == "gate":
        entries["gate/COACHING_RESPONSE"] = {"salt": "9f", "unit": "user", "ranges": []}
    await Place(entries, recorder=recording, **settings).ask(**asked)
    recording.flush()
    (kept,) = calls(store)
    assert (kept.path, kept.kept_out, kept.key) == ("legacy", kept_out, None)
    if kept_out == "gate":
        assert "v1:9f:user" in kept.buckets


async def test_a_call_that_stepped_down_twice_says_what_left_it_the_legacy_path() -> None:
    store = MemoryStore()
    recording = recorder(store)
    entries = coaching.documents()
    entries["configuration/*/default/*"] = entries["configuration/COACHING_RESPONSE/default/*"]
    asked = {"interaction_code": "UNCONFIGURED", "template_parameters": {"user_message": 7}}
    answer = await Place(entries, recorder=recording).ask(**asked)
    recording.flush()
    assert [step.value for step in answer.degraded] == ["environment_default", "render_failed"]
    assert [each.kept_out for each in calls(store)] == ["render_failed"]


async def test_a_call_that_failed_is_kept_with_its_error() -> None:
    store = MemoryStore()
    recording = recorder(store)
    place = Place(recorder=recording)
    for provider in (place.north, place.south):
        provider.failures = [
            ProviderUnavailableError("down", provider=provider.name, model_id="m") for _ in range(8)
        ]
    with pytest.raises(AllProvidersFailedError):
        await place.ask()
    recording.flush()
    (kept,) = calls(store)
    assert (kept.error, kept.answered_by, kept.version) == ("all_failed", None, 7)


@pytest.mark.parametrize(
    ("switched_off", "ranges", "kept_out", "path"),
    [
        (False, [[0, 100_000]], None, "configuration"),
        (False, [], "gate", "legacy"),
        (True, [[0, 100_000]], "switch", "legacy"),
    ],
)
def test_who_resolves_by_himself_tells_what_was_decided(
    switched_off: bool, ranges: list[list[int]], kept_out: str | None, path: str
) -> None:
    store = MemoryStore()
    recording = recorder(store)
    entries = declaring(user_message="yes")
    entries["gate/COACHING_RESPONSE"] = {"salt": "9f", "unit": "user", "ranges": ranges}
    live = coaching.Releases.of(entries).snapshot
    assert live is not None
    found = resolve(live, Request("COACHING_RESPONSE", "premium", unit="u-1"), now=datetime.now(UTC))
    recording.decided(live, found, values={"user_message": "Why?"}, switched_off=switched_off)
    recording.flush()
    (kept,) = calls(store)
    assert (kept.kept_out, kept.path, kept.parameters) == (kept_out, path, {"user_message": "Why?"})
    assert kept.version == (7 if kept_out is None else None)


async def test_a_stream_is_kept_once_it_has_ended() -> None:
    store = MemoryStore()
    recording = recorder(store)
    place = Place(recorder=recording)
    pieces = place.service.stream_coaching_response(
        "c-1", "goals", "Why?", [], interaction_code="COACHING_RESPONSE", user_tier="premium"
    )
    assert [piece async for piece in pieces]
    recording.flush()
    assert [each.version for each in calls(store)] == [7]


async def test_at_a_rate_of_nought_nothing_is_kept() -> None:
    store = MemoryStore()
    recording = recorder(store, rate=0)
    for _ in range(20):
        await Place(recorder=recording).ask()
    recording.flush()
    assert calls(store) == []


def test_the_sample_is_about_as_large_as_the_rate() -> None:
    recording = recorder(rate=0.1)
    assert 800 < sum(recording.chooses() for _ in range(10_000)) < 1_200


def test_what_the_queue_has_no_room_for_is_dropped_and_counted() -> None:
    store = MemoryStore()
    recording = recorder(store)
    for _ in range(2_500):
        recording.see(SEEN)
    assert recording.state.dropped == 500
    recording.flush()
    (batch,) = batches(store)
    assert (len(batch.decisions), batch.header.dropped, recording.state.written) == (2_000, 500, 2_000)


def test_a_store_that_does_not_answer_costs_calls_nothing_and_loses_what_there_is_no_room_for() -> None:
    store = Gone()
    recording = recorder(store)
    for _ in range(4):
        for _ in range(2_000):
            recording.see(SEEN)
        assert not recording.flush()
    assert recording.state.error == "gone"
    assert recording.state.dropped == 3_000, "what is held is bounded"
    store.broken = False
    assert recording.flush()
    (batch,) = batches(store)
    assert (len(batch.decisions), batch.header.dropped) == (5_000, 3_000)
    assert recorder_is_well(recording)


def test_a_batch_whose_arrival_nobody_confirmed_is_not_there_twice() -> None:
    class Unsure(MemoryStore):
        unsure = True

        def write_decisions(self, environment: str, hour: datetime, name: str, packed: bytes) -> None:
            super().write_decisions(environment, hour, name, packed)
            if self.unsure:
                raise StoreUnavailable("no answer came")

    store = Unsure()
    recording = recorder(store)
    recording.see(SEEN)
    assert not recording.flush()
    store.unsure = False
    for _ in range(2):
        recording.see(SEEN)
        assert recording.flush()
    assert [len(batch.decisions) for batch in batches(store)] == [2, 1]


def test_when_the_bytes_of_the_hour_are_used_up_calls_are_dropped() -> None:
    store = MemoryStore()
    recording = recorder(store, bytes_per_hour=2_000)
    for number in range(50):
        recording.see(Seen(at=float(number), request=Request("X", unit=os.urandom(8).hex()), path="legacy"))
        recording.flush()
    state = recording.state
    assert 0 < state.written < 50
    assert state.written + state.dropped == 50


@pytest.mark.parametrize(
    "asked",
    [
        Request("X", unit=7),  # type: ignore[arg-type]
        Request("X", tenant_id="t" * 300),
        Request("X", tenant_id="\ud800"),
    ],
    ids=["no text", "too long", "half a letter"],
)
def test_an_id_that_cannot_be_kept_spoils_one_call_and_not_the_others(
    asked: Request, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore()
    recording = recorder(store)
    recording.see(Seen(at=0.0, request=asked, path="legacy"))
    recording.see(SEEN)
    assert recording.flush()
    assert (len(calls(store)), recording.state.dropped) == (1, 1)
    assert "calls are not recorded" in caplog.text
    assert "ttt" not in caplog.text, "ids stay out of the log"


def test_the_thread_writes_by_itself_and_closing_writes_the_rest() -> None:
    store = MemoryStore()
    recording = recorder(store, seconds=0.02).start()
    recording.see(SEEN)
    deadline = time.monotonic() + 20
    while not calls(store):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
    recording.close()
    patient = recorder(store, seconds=3_600).start()
    patient.see(SEEN)
    patient.close()
    assert len(calls(store)) == 2
    assert not [each for each in threading.enumerate() if each.name.startswith("recorder-")]


def test_a_forked_child_has_a_name_of_its_own_and_nothing_of_its_parents() -> None:
    recording = recorder()
    recording.see(SEEN)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, json.dumps([recording.process, len(recording._queue)]).encode())
        os._exit(0)
    os.waitpid(child, 0)
    name, waiting = json.loads(os.read(read, 1_000))
    for end in (read, write):
        os.close(end)
    assert (name != recording.process, waiting) == (True, 0)


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"CONTROLPLANE_RECORD_RATE": "2"}, "CONTROLPLANE_RECORD_RATE must be a number from 0 to 1"),
        ({"CONTROLPLANE_RECORD_RATE": "often"}, "CONTROLPLANE_RECORD_RATE must be a number"),
        (
            {"CONTROLPLANE_RECORD_RATE": "1", "CONTROLPLANE_RECORD_KEY": "short"},
            "CONTROLPLANE_RECORD_KEY must",
        ),
        ({"CONTROLPLANE_RECORD_RATE": "1", "CONTROLPLANE_RECORD_MEGABYTES": "0"}, "_MEGABYTES must be"),
    ],
)
def test_a_variable_that_cannot_be_meant_is_refused_by_its_name(environ: dict[str, str], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Recorder.from_environment(MemoryStore(), "production", environ)


def test_without_a_rate_nothing_records() -> None:
    assert Recorder.from_environment(MemoryStore(), "production", {"CONTROLPLANE_RECORD_RATE": ""}) is None
    made = Recorder.from_environment(MemoryStore(), "production", {"CONTROLPLANE_RECORD_RATE": "0.01"})
    assert made is not None
    assert made.rate == 0.01


def test_batches_lie_under_the_hour_in_which_they_were_written() -> None:
    store = MemoryStore()
    recording = recorder(store)
    recording.see(SEEN)
    began = datetime.now(UTC)
    recording.flush()
    (hour,) = store.list_decision_hours("production")
    assert began.replace(minute=0, second=0, microsecond=0) <= hour <= datetime.now(UTC)


async def test_the_service_records_calls_and_what_others_resolve_and_writes_the_rest_when_it_ends() -> None:
    store = MemoryStore()
    body = {
        "interaction_code": "COACHING_RESPONSE",
        "conversation_id": "c-1",
        "topic": "goals",
        "user_message": "Why?",
        "conversation_history": [],
    }
    async with inside(coaching.Recorder("north"), kept_in=store) as service:
        async with service.ask("/v1/coaching/responses", body) as asked:
            assert asked.status == 200
            await asked.body()
        address = (
            f"http://127.0.0.1:{service.port}/v1/resolve?interaction=COACHING_RESPONSE&tier=premium&unit=u-1"
        )
        await asyncio.to_thread(_read, address)
    assert [(each.version, each.answered_by) for each in calls(store)] == [(3, "SMALL"), (7, None)]


def _read(address: str) -> bytes:
    with urllib.request.urlopen(address) as answer:
        found: bytes = answer.read()
        return found
