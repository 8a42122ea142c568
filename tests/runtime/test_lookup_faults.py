"""The look-up source when stores fail, lie or hang: it serves what is right and held, or nothing, and raises nothing."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from controlplane.runtime import Request, Snapshot, TemplateNotFoundError, canonical, resolve
from controlplane.runtime.acceptance import compiled_prompt
from controlplane.runtime.errors import StoreError
from controlplane.runtime.lookup import release, texts
from controlplane.runtime.lookup.cards import SHARED, card_key
from controlplane.runtime.stores import ObjectMissingError
from tests.runtime import releases
from tests.runtime.lookups import COACHING, RENAMED, Bench, take_away
from tests.runtime.publishing import ENVIRONMENT
from tests.runtime.source_contract import NOW, answer

REQUEST = Request(COACHING, "premium", "acme", "u-1")
READS = ("read_pointer", "read_entry", "read_prompt")


def ask(bench: Bench) -> Snapshot | None:
    return bench.source.view(COACHING, "acme")


def unexpected() -> None:
    raise RuntimeError("a bug in a store")


@pytest.mark.parametrize("fault", [None, unexpected])
def test_a_store_that_goes_away_changes_nothing_that_is_held(fault: Callable[[], None] | None) -> None:
    bench = Bench()
    view = ask(bench)
    assert view is not None
    told = answer(view, REQUEST)
    bench.fail(*READS, fault=fault)

    for _ in range(200):
        bench.pass_time(7)
        view = ask(bench)
        assert view is not None
        assert answer(view, REQUEST) == told

    state = bench.source.state
    assert state.age_seconds == 1400
    assert state.last_error is not None
    bench.heal()
    bench.pass_time(30)
    assert ask(bench) is not None
    assert (bench.source.state.age_seconds, bench.source.state.last_error) == (0, None)


async def test_a_loop_is_served_what_is_held_as_well() -> None:
    bench = Bench()
    await bench.source.view_async(COACHING, "acme")
    bench.fail(*READS)

    for _ in range(50):
        bench.pass_time(60)
        view = await bench.source.view_async(COACHING, "acme")
        assert view is not None
        assert view.complete


def test_what_was_never_read_is_nothing_while_the_store_is_away() -> None:
    bench = Bench()
    assert bench.source.view(COACHING) is not None
    bench.fail(*READS)

    assert bench.source.view(COACHING, "acme") is None
    assert bench.source.view("ROLLOUT") is None

    bench.heal()
    bench.pass_time(1)
    assert bench.source.view(COACHING, "acme") is not None
    assert bench.source.view("ROLLOUT") is not None


def test_nothing_is_served_before_the_store_was_ever_there() -> None:
    bench = Bench(release=False)
    bench.fail(*READS)

    assert not bench.source.start().refresh()

    assert ask(bench) is None
    assert bench.source.state.release is None
    assert bench.source.state.last_error == "nobody answers"


def test_a_dead_store_is_asked_less_and_less_and_not_by_every_call() -> None:
    bench = Bench()
    bench.source.view(COACHING)
    bench.fail(*READS)
    bench.pass_time(6)
    bench.forget()

    for _ in range(6000):  # ten minutes of ten calls a second, each for another tenant
        bench.pass_time(0.1)
        bench.source.view(COACHING, f"tenant-{bench.clock.now}")

    # Pauses of a quarter of a second, twice that … up to between 15 and 30 seconds.
    asked = sum(bench.reads[read] for read in READS)
    assert 20 <= asked <= 60


def test_the_release_before_goes_on_while_the_new_one_s_cards_cannot_be_had() -> None:
    bench = Bench()
    before = ask(bench)
    bench.publish(RENAMED)
    bench.fail("read_entry")
    bench.pass_time(6)

    assert ask(bench) is before
    assert bench.source.state.release == 2

    bench.heal()
    bench.pass_time(30)
    view = ask(bench)
    assert view is not None
    assert view.release == 2


def test_the_last_release_that_could_be_had_goes_on_however_many_cannot() -> None:
    bench = Bench()
    before = ask(bench)
    bench.fail("read_entry")
    for name in ("Gratis", "Umsonst", "Free again"):
        bench.publish({"tier/free": {"name": name, "rank": 0}})
        bench.pass_time(60)
        assert ask(bench) is before


async def test_the_last_release_whose_texts_could_be_had_goes_on_however_many_cannot() -> None:
    bench = Bench()
    before = await bench.source.view_async(COACHING)
    bench.fail("read_prompt")
    for number in (1, 2, 3):
        body = f"Hello {{{{ goal }}}}, in other words, for the {number}. time.\n"
        entry = {**releases.documents()["prompt/coaching_response"], "version": 9, **described(body)}
        bench.publish({"prompt/coaching_response": entry}, bodies={entry["sha256"]: body})
        bench.pass_time(60)
        assert await bench.source.view_async(COACHING) is before


async def test_the_release_before_goes_on_while_a_new_text_cannot_be_had() -> None:
    bench = Bench()
    before = await bench.source.view_async(COACHING)
    body = "Hello {{ goal }}, in other words.\n"
    entry = {**releases.documents()["prompt/coaching_response"], "version": 9, **described(body)}
    bench.publish({"prompt/coaching_response": entry}, bodies={entry["sha256"]: body})
    bench.fail("read_prompt")
    bench.pass_time(6)

    assert await bench.source.view_async(COACHING) is before

    bench.heal()
    bench.pass_time(30)
    view = await bench.source.view_async(COACHING)
    assert view is not None
    assert view.body(entry["sha256"]) == body


def described(body: str) -> dict[str, Any]:
    return {"sha256": canonical.digest(body.encode()), "size": len(body.encode())}


@pytest.mark.parametrize("missing", ["unreachable", "not there"])
def test_a_text_that_cannot_be_read_is_a_template_that_is_not_there(missing: str) -> None:
    bench = Bench()
    view = bench.source.view(COACHING)
    assert view is not None
    found = resolve(view, REQUEST, now=NOW)

    def gone() -> None:
        raise ObjectMissingError("there is no such object")

    bench.fail("read_prompt", fault=None if missing == "unreachable" else gone)

    for _ in range(5):
        with pytest.raises(TemplateNotFoundError, match="cannot be read now: "):
            compiled_prompt(view, found.prompt.sha256)
    assert bench.reads["read_prompt"] == 1  # not asked again by every call
    bench.heal()
    bench.pass_time(6)
    assert compiled_prompt(view, found.prompt.sha256)


def test_a_text_that_the_release_does_not_name_is_not_read() -> None:
    bench = Bench()
    view = bench.source.view(COACHING)
    assert view is not None

    with pytest.raises(TemplateNotFoundError):
        view.body("0" * 64)

    assert bench.reads["read_prompt"] == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"release": 1},
        {"sha256": "0" * 64},
        {"environment": "staging"},
        {"schema": 99},
        {"minimum_reader": 99},
    ],
    ids=str,
)
def test_a_pointer_that_must_not_be_followed_changes_nothing(changes: dict[str, Any]) -> None:
    bench = Bench()
    bench.publish()
    before = ask(bench)
    live = bench.inner.read_pointer(ENVIRONMENT)
    assert live is not None
    higher = {} if "release" in changes or "sha256" in changes else {"release": 3}
    strange = msgspec.structs.replace(live, **{**higher, **changes})
    bench.points_to(strange)
    bench.pass_time(6)

    assert ask(bench) is before

    assert bench.source.state.release == 2
    assert bench.source.state.last_error is not None


def test_a_pointer_that_vanished_changes_nothing() -> None:
    bench = Bench()
    before = ask(bench)
    bench.points_to(None)
    bench.pass_time(6)

    assert ask(bench) is before
    assert bench.source.state.last_error == "the store has no release of this environment"


def golden_card(key: str, **changes: Any) -> bytes:
    bench = Bench()
    data = bench.inner.read_entry(ENVIRONMENT, key, at=1)
    assert data is not None
    return canonical.dumps({**canonical.loads(data), "release": 2, **changes})


def damaged_cards() -> Iterator[tuple[str, str, bytes]]:
    general, own = card_key(COACHING), card_key(COACHING, "acme")
    whole = golden_card(general)
    row = canonical.loads(golden_card(own))["entries"]
    yield "cut short", general, whole[:-1]
    yield "empty", general, b""
    yield "not an object", general, b"[]"
    yield "nested without end", general, b'{"entries":' + b"[" * 100_000
    yield "nothing in it", general, b"{}"
    yield "null entries", general, golden_card(general, entries=None)
    yield "another environment", general, golden_card(general, environment="staging")
    yield "another interaction", general, golden_card(card_key("ROLLOUT"))
    yield "a tenant's for everybody", general, golden_card(own)
    yield "everybody's for a tenant", own, whole
    yield "another tenant's", own, golden_card(card_key("ROLLOUT", "acme"))
    yield "of a later release", general, golden_card(general, release=3)
    yield "unknown schema", general, golden_card(general, schema=99)
    yield "a model of its own", own, golden_card(own, entries={**row, "model/SMALL": {}})
    yield "a row of two tenants", own, golden_card(own, entries={"configuration/X/default/acme": {}})
    yield "a key of no kind", general, golden_card(general, entries={"configuration/x": {}})


DAMAGED = {name: (key, data) for name, key, data in damaged_cards()}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_card_that_is_not_right_leaves_the_release_before(name: str) -> None:
    key, data = DAMAGED[name]
    bench = Bench()
    before = ask(bench)
    bench.publish(RENAMED)
    bench.inner.write_entries(ENVIRONMENT, 2, {key: data})
    bench.pass_time(6)

    for _ in range(3):
        assert ask(bench) is before
    assert bench.source.state.last_error is not None
    assert "card" in bench.source.state.last_error
    assert (
        bench.reads["read_entry"] == 4
    )  # two of each release: what was refused is not asked for by every call

    cold = Bench()
    cold.publish(RENAMED)
    cold.inner.write_entries(ENVIRONMENT, 2, {key: data})
    assert ask(cold) is None


def test_a_card_that_is_healed_is_taken_up() -> None:
    bench = Bench()
    whole = bench.inner.read_entry(ENVIRONMENT, card_key(COACHING), at=1)
    bench.inner.write_entries(ENVIRONMENT, 1, {card_key(COACHING): b"{"})
    assert ask(bench) is None

    bench.inner.write_entries(ENVIRONMENT, 1, {card_key(COACHING): whole})
    bench.pass_time(6)

    assert ask(bench) is not None
    assert bench.source.state.last_error is None


@pytest.mark.parametrize("body", ["{{ goal.__class__ }}", "{% include 'x' %}", "{{ unclosed"])
def test_a_text_that_may_not_be_used_is_not_there(body: str) -> None:
    bench = Bench()
    entry = {**releases.documents()["prompt/coaching_response"], "version": 9, **described(body)}
    bench.publish({"prompt/coaching_response": entry}, bodies={entry["sha256"]: body})
    view = bench.source.view(COACHING)
    assert view is not None

    with pytest.raises(TemplateNotFoundError, match="may not be used"):
        compiled_prompt(view, entry["sha256"])


def test_a_text_with_other_bytes_than_its_name_is_not_there() -> None:
    bench = Bench()
    view = bench.source.view(COACHING)
    assert view is not None
    bench.store.prompt = "Something else {{ goal }}\n"

    with pytest.raises(TemplateNotFoundError, match="another text"):
        view.body(view.named[0])


def test_a_store_without_cards_serves_nothing_and_says_why() -> None:
    bench = Bench()
    take_away(bench.inner, 1, SHARED, card_key(COACHING))

    assert bench.source.view(COACHING) is None
    assert bench.source.state.last_error is not None
    assert "has no cards" in bench.source.state.last_error


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (texts, release):
        monkeypatch.setattr(module, "PATIENCE", 0.05)
    monkeypatch.setattr(release, "SHORT_PATIENCE", 0.02)


@pytest.mark.usefixtures("impatient")
def test_a_store_that_hangs_holds_up_one_call_and_no_other() -> None:
    bench = Bench()
    bench.source.view(COACHING)
    answered = threading.Event()

    def hang() -> None:
        answered.wait(20)
        raise StoreError("too late")

    bench.fail("read_entry", fault=hang)
    for number in range(1000):
        assert bench.source.view(COACHING, f"tenant-{number}") is None
    assert bench.source.view(COACHING) is not None
    assert bench.source.state.last_error is not None
    assert "within" in bench.source.state.last_error
    assert bench.reads["read_entry"] == 2
    answered.set()
