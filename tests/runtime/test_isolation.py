"""A release of which only some entries are wrong: with `isolate`, the others are served."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.runtime import Client, Request, Snapshot, canonical, resolve, snapshot
from controlplane.runtime.acceptance import compiled_prompt
from controlplane.runtime.service.settings import ServiceSettings
from controlplane.runtime.validate import READ, validate
from tests.runtime import releases
from tests.runtime.faults import FaultyStore, release_bytes
from tests.runtime.releases import Documents
from tests.runtime.serving import GOOD, NEXT, gone, temperature
from tests.runtime.test_acceptance import WRONG

EVERYWHERE = "configuration/*/default/*"
PREMIUM = "configuration/COACHING_RESPONSE/premium/*"
BROKEN = "{% for x in y %}"
BROKEN_NAME = f"body/{canonical.digest(BROKEN.encode())}"
CODE = "prompt/coaching_response"


def published(change: Callable[[Documents], None], **bodies: str) -> bytes:
    """A release that is wrong somewhere and moves the default configuration's temperature to 0.6."""
    documents = releases.documents()
    documents[EVERYWHERE]["variants"][0]["temperature"] = 0.6
    change(documents)
    new = {canonical.digest(body.encode()): body for body in bodies.values()}
    return snapshot.build(documents, {**releases.bodies(), **new})


def null_model(documents: Documents) -> None:
    documents["model/LARGE"]["context_window"] = None


def unknown_model(documents: Documents) -> None:
    documents[PREMIUM]["variants"][0]["model"] = "NONE"


def broken_prompt(documents: Documents) -> None:
    sha256 = canonical.digest(BROKEN.encode())
    documents[CODE] |= {"sha256": sha256, "size": len(BROKEN), "version": 3}


def two_of_them(documents: Documents) -> None:
    null_model(documents)
    broken_prompt(documents)


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore()


@pytest.fixture
def warm(store: FaultyStore) -> Client:
    store.publish(5, GOOD)
    client = Client(store, "production", isolate=True)
    assert client.refresh()
    return client


CASES: dict[str, tuple[bytes, set[str]]] = {
    "null in a model that others name": (published(null_model), {"model/LARGE"}),
    "a model that is not there": (published(unknown_model), {PREMIUM}),
    "a prompt that does not compile": (published(broken_prompt, new=BROKEN), {BROKEN_NAME, CODE}),
    "two of them": (published(two_of_them, new=BROKEN), {"model/LARGE", BROKEN_NAME, CODE}),
}


@pytest.mark.parametrize(("data", "held_back"), CASES.values(), ids=CASES.keys())
def test_what_is_wrong_stays_as_it_was_and_the_rest_moves_on(
    store: FaultyStore, warm: Client, data: bytes, held_back: set[str]
) -> None:
    before = warm.snapshot
    bad = store.publish(6, data)
    for _ in range(3):
        assert not warm.refresh(), "what is live is not what is served"
    assert temperature(warm) == 0.6
    assert warm.snapshot
    assert before
    assert warm.snapshot.accepted
    for key in held_back - {BROKEN_NAME}:
        assert warm.snapshot.raw(key) == before.raw(key)
    state = warm.state
    assert (state.release, state.source, state.quarantined) == (6, "store", bad.sha256)
    assert set(state.held_back) == held_back
    assert all(state.held_back.values())
    assert warm.snapshot.sha256 != bad.sha256, "it is not that release"
    assert store.downloads == 2


@pytest.mark.parametrize(("data", "held_back"), CASES.values(), ids=CASES.keys())
def test_unless_it_is_asked_for_the_whole_release_is_kept_out(
    store: FaultyStore, data: bytes, held_back: set[str]
) -> None:
    store.publish(5, GOOD)
    client = Client(store, "production")
    assert client.refresh()
    store.publish(6, data)
    assert not client.refresh()
    assert (temperature(client), client.state.release, client.state.held_back) == (0.5, 5, {})


def test_the_next_good_release_is_served_as_it_is(store: FaultyStore, warm: Client) -> None:
    store.publish(6, CASES["two of them"][0])
    warm.refresh()
    good = store.publish(7, NEXT)
    assert warm.refresh()
    assert warm.snapshot
    assert (warm.snapshot.sha256, warm.state.held_back, warm.state.quarantined) == (good.sha256, {}, None)


def test_a_second_bad_release_has_what_was_last_good(store: FaultyStore, warm: Client) -> None:
    store.publish(6, CASES["null in a model that others name"][0])
    warm.refresh()
    store.publish(7, CASES["a prompt that does not compile"][0])
    warm.refresh()
    assert warm.state.release == 7
    assert set(warm.state.held_back) == {BROKEN_NAME, CODE}
    store.publish(8, b"rubbish")
    warm.refresh()
    assert (warm.state.release, set(warm.state.held_back)) == (7, {BROKEN_NAME, CODE})
    assert warm.state.last_error


def new_and_wrong(documents: Documents) -> None:
    documents["tier/new"] = {"name": "", "rank": 1}


def inactive(documents: Documents) -> None:
    documents["model/SMALL"]["active"] = False


def key_like_a_text(documents: Documents) -> None:
    documents["body/x"] = {"name": "New", "rank": 1}


WHOLE: dict[str, bytes] = {
    "a key that is none": published(key_like_a_text),
    "an entry that was not there before": published(new_and_wrong),
    "an entry that did not change, wrong for what others did": published(inactive),
    "no release at all": b"rubbish",
    "most entries gone": release_bytes(
        entries={key: value for key, value in releases.documents().items() if key.startswith("tier/")}
    ),
}


@pytest.mark.parametrize("data", WHOLE.values(), ids=WHOLE.keys())
def test_what_cannot_be_mended_so_is_kept_out_as_a_whole(
    store: FaultyStore, warm: Client, data: bytes
) -> None:
    bad = store.publish(6, data)
    for _ in range(2):
        assert not warm.refresh()
    assert (temperature(warm), warm.state.release, warm.state.held_back) == (0.5, 5, {})
    assert warm.state.quarantined == bad.sha256
    assert warm.failures == 0, "the store did what a store should"


@pytest.mark.parametrize(("wrong", "release"), [(50, 6), (51, 5)])
def test_more_than_a_few_wrong_entries_are_a_bad_release(
    store: FaultyStore, wrong: int, release: int
) -> None:
    tiers = {f"tier/t{number}": {"name": "New", "rank": number} for number in range(wrong)}
    store.publish(5, release_bytes(entries=releases.documents() | tiers))
    client = Client(store, "production", isolate=True)
    assert client.refresh()
    nameless = {key: {"name": "", "rank": 1} for key in tiers}
    store.publish(6, release_bytes(entries=releases.documents() | nameless))
    client.refresh()
    assert client.state.release == release
    assert client.state.quarantined


def test_a_mixture_stays_when_its_release_is_signed_anew(store: FaultyStore, warm: Client) -> None:
    bad = store.publish(6, CASES["two of them"][0])
    warm.refresh()
    store.pointer_fault = lambda: msgspec.structs.replace(bad, key_id="new", signature="x", published_at="y")
    said = warm.state.last_error
    warm.refresh()
    assert (warm.state.release, warm.state.last_error, store.downloads) == (6, said, 2)


def test_a_first_release_that_is_wrong_is_kept_out(store: FaultyStore) -> None:
    store.publish(6, CASES["two of them"][0])
    client = Client(store, "production", isolate=True)
    assert not client.refresh()
    assert client.snapshot is None


def test_a_mixture_is_never_kept_nor_called_good_and_a_restart_mixes_it_again(
    store: FaultyStore, tmp_path: Path
) -> None:
    now = 1000.0
    store.publish(5, GOOD)
    client = Client(store, "production", isolate=True, disk=tmp_path, clock=lambda: now)
    assert client.refresh()
    (kept,) = (tmp_path / "production").iterdir()
    store.publish(6, CASES["two of them"][0])
    for _ in range(3):
        client.refresh()
        now += 1000
    assert [*(tmp_path / "production").iterdir()] == [kept]
    assert not client.state.promoted
    age = client.state.age_seconds
    assert age == 1000, "the store says again and again that this is live"
    again = Client(store, "production", isolate=True, disk=tmp_path)
    again.refresh()
    assert (temperature(again), set(again.state.held_back)) == (0.6, CASES["two of them"][1])
    cold = Client(gone(store), "production", isolate=True, disk=tmp_path)
    cold.refresh()
    assert (cold.state.release, cold.state.held_back) == (5, {})


def test_a_service_is_told_by_its_environment() -> None:
    assert ServiceSettings.from_environment({"CONTROLPLANE_ISOLATE": "yes"}).isolate
    assert not ServiceSettings.from_environment({}).isolate


def test_it_is_said_in_the_log_once(
    store: FaultyStore, warm: Client, caplog: pytest.LogCaptureFixture
) -> None:
    store.publish(6, CASES["two of them"][0])
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            warm.refresh()
    (said,) = caplog.messages
    assert "model/LARGE" in said


@given(st.data())
def test_whatever_is_wrong_what_is_served_has_no_problems(data: st.DataObject) -> None:
    store = FaultyStore()
    store.publish(1, release_bytes())
    client = Client(store, "production", isolate=True)
    assert client.refresh()
    documents = releases.documents()
    for _ in range(data.draw(st.integers(1, 3))):
        target = documents[data.draw(st.sampled_from(sorted(documents)))]
        for inner in ("variants", "parameters"):
            within = target.get(inner)
            if (
                isinstance(within, list)
                and within
                and isinstance(within[0], dict)
                and data.draw(st.booleans())
            ):
                target = within[0]
        target[data.draw(st.sampled_from(sorted(target)))] = data.draw(WRONG)
    store.publish(2, snapshot.build(documents, releases.bodies()))
    client.refresh()
    served = client.snapshot
    assert served
    assert validate(served.documents(), served.bodies(), limits=READ) == []
    assert served.keys() == documents.keys()
    raws = Snapshot.load(snapshot.build(documents, releases.bodies()), release=2, environment="production")
    for key in documents:
        if served.release == 2 and key not in client.state.held_back:
            assert served.raw(key) == raws.raw(key)
    resolve(served, Request("UNCONFIGURED"), now=datetime(2026, 11, 22, tzinfo=UTC))
    for sha256 in served.bodies():
        assert compiled_prompt(served, sha256)
