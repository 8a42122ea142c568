"""What the look-up source reads, and when; what it does when it cannot is in `test_lookup_faults.py`."""

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from controlplane.runtime import Request, Snapshot, resolve
from controlplane.runtime.acceptance import compiled_prompt
from controlplane.runtime.lookup import LookupSource
from controlplane.runtime.metrics import Metrics
from tests.runtime.lookups import COACHING, Bench
from tests.runtime.publishing import ENVIRONMENT
from tests.runtime.source_contract import NOW


def render_something(view: Snapshot | None, request: Request) -> str:
    assert view is not None
    found = resolve(view, request, now=NOW)
    compiled_prompt(view, found.prompt.sha256)
    return view.body(found.prompt.sha256)


def test_a_call_without_a_tenant_reads_one_card_and_one_with_a_tenant_two() -> None:
    bench = Bench()
    bench.source.start()
    bench.forget()

    assert bench.source.view(COACHING) is not None
    assert bench.reads == {"read_entry": 1}

    bench.forget()
    assert bench.source.view("ROLLOUT", "acme") is not None
    assert bench.reads == {"read_entry": 2}


def test_the_first_call_ever_also_reads_the_pointer() -> None:
    bench = Bench()

    assert bench.source.view(COACHING) is not None

    assert bench.reads == {"read_pointer": 1, "read_entry": 1}


def test_what_was_read_is_not_read_again() -> None:
    bench = Bench()
    for _ in range(3):
        for tenant in (None, "acme", "nobody"):
            render_something(bench.source.view(COACHING, tenant), Request(COACHING, None, tenant, "u-1"))

    assert bench.reads == {"read_pointer": 1, "read_entry": 3, "read_prompt": 1}
    assert (bench.source.state.hits, bench.source.state.misses) == (6, 3)


def test_tenants_without_rows_share_one_view() -> None:
    bench = Bench()
    everybody = bench.source.view(COACHING)

    assert bench.source.view(COACHING, "nobody") is everybody
    assert bench.source.view(COACHING, "acme") is not everybody


@pytest.mark.parametrize("tenant", ["", "*", "a/b", "a b", "x" * 129, "\ud800"])
def test_a_tenant_that_no_release_can_hold_is_not_asked_for(tenant: str) -> None:
    bench = Bench()

    assert bench.source.view(COACHING, tenant) is bench.source.view(COACHING)
    assert bench.reads["read_entry"] == 1


def test_an_interaction_that_nobody_declared_gets_the_environment_s_default() -> None:
    bench = Bench()

    view = bench.source.view("NEVER_DECLARED", "acme")

    assert view is not None
    found = resolve(view, Request("NEVER_DECLARED", "premium", "acme", "u-1"), now=NOW)
    assert found.key == "configuration/*/default/*"
    bench.forget()
    assert bench.source.view("NEVER_DECLARED", "acme") is view
    assert bench.source.view("ALSO_NOT") is view
    assert bench.reads == {"read_entry": 1}


@pytest.mark.parametrize("name", ["", "*", "a/b", "lower", "X" * 65, "\ud800"])
def test_a_name_that_no_interaction_can_have_is_not_asked_for(name: str) -> None:
    bench = Bench()
    shared = bench.source.view("")
    bench.forget()

    assert bench.source.view(name, "acme") is shared
    assert not bench.reads


def test_a_view_says_which_release_it_is_of() -> None:
    bench = Bench()
    pointer = bench.publish()

    view = bench.source.view(COACHING, "acme")

    assert view is not None
    assert (view.environment, view.release, view.sha256) == (ENVIRONMENT, 2, pointer.sha256)


def test_a_prompt_is_compiled_once_for_all_views() -> None:
    bench = Bench()
    views = [bench.source.view(COACHING, tenant) for tenant in (None, "acme")]

    programs = set()
    for view in views:
        assert view is not None
        entry = view.prompt("coaching_response")
        assert entry is not None
        programs.add(compiled_prompt(view, entry.sha256))

    assert len(programs) == 1
    assert bench.reads["read_prompt"] == 1


def test_what_many_threads_want_at_once_is_read_once() -> None:
    bench = Bench()
    bench.source.start()
    bench.forget()
    together = threading.Barrier(8)

    def ask(number: int) -> Snapshot | None:
        together.wait()
        return bench.source.view(COACHING, f"tenant-{number % 2}")

    with ThreadPoolExecutor(8) as pool:
        views = set(pool.map(ask, range(8)))

    assert len(views) == 1
    assert bench.reads["read_entry"] == 3


async def test_what_many_tasks_want_at_once_is_read_once() -> None:
    bench = Bench()

    views = await asyncio.gather(*(bench.source.view_async(COACHING, "acme") for _ in range(50)))

    assert len(set(views)) == 1
    assert views[0] is not None
    assert bench.reads == {"read_pointer": 1, "read_entry": 2, "read_prompt": len(views[0].named)}


async def test_a_loop_goes_on_while_the_store_is_read() -> None:
    bench = Bench()
    asked, answer = threading.Event(), threading.Event()

    def hold() -> None:
        asked.set()
        assert answer.wait(10)

    bench.fail("read_entry", fault=hold)
    waiting = asyncio.create_task(bench.source.view_async(COACHING))
    while not asked.is_set():  # turns of the loop, which would stand still if it were blocked
        await asyncio.sleep(0)
    assert not waiting.done()
    answer.set()

    assert await waiting is not None


async def test_a_task_that_is_cancelled_takes_nothing_from_the_others() -> None:
    bench = Bench()
    asked, answer = threading.Event(), threading.Event()

    def hold() -> None:
        asked.set()
        assert answer.wait(10)

    bench.fail("read_entry", fault=hold)
    first, second = (asyncio.create_task(bench.source.view_async(COACHING)) for _ in range(2))
    while not asked.is_set():
        await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    answer.set()

    assert await second is not None
    assert first.cancelled()
    assert bench.reads["read_entry"] == 1


async def test_a_loop_gets_views_that_need_nothing_more() -> None:
    bench = Bench()
    view = await bench.source.view_async(COACHING, "acme")
    assert view is not None
    bench.forget()

    for sha256 in view.named:
        compiled_prompt(view, sha256)

    assert not bench.reads


def test_the_pointer_is_looked_at_when_it_is_older_than_the_interval_and_not_before() -> None:
    bench = Bench()
    bench.source.view(COACHING)
    pointer = bench.publish()

    bench.pass_time(3.9)
    assert bench.source.view(COACHING).release == 1  # type: ignore[union-attr]
    bench.pass_time(1.1)
    view = bench.source.view(COACHING)

    assert view is not None
    assert (view.release, view.sha256) == (2, pointer.sha256)
    assert bench.reads["read_pointer"] == 2


def test_where_threads_may_run_a_call_does_not_wait_for_the_pointer_until_it_must() -> None:
    bench = Bench(background=True)
    bench.source.view(COACHING)
    answer = threading.Event()

    def hold() -> None:
        assert answer.wait(10)

    bench.fail("read_pointer", fault=hold)
    bench.publish()

    bench.pass_time(4.5)
    view = bench.source.view(COACHING)
    assert view is not None
    assert view.release == 1
    answer.set()
    bench.pass_time(1)  # now it is too old to be trusted: this call waits for the look that is under way
    view = bench.source.view(COACHING)

    assert view is not None
    assert view.release == 2
    assert bench.reads["read_pointer"] == 2


def test_a_function_that_is_frozen_between_calls_is_known_by_its_environment() -> None:
    bench = Bench(background=None, environ={"AWS_LAMBDA_FUNCTION_NAME": "coach"})
    bench.source.view(COACHING)
    bench.publish()

    bench.pass_time(4.5)
    view = bench.source.view(COACHING)

    assert view is not None
    assert view.release == 2


def test_a_moved_pointer_drops_what_was_read_but_not_texts_which_never_change() -> None:
    bench = Bench()
    request = Request(COACHING, None, "acme", "u-1")
    render_something(bench.source.view(COACHING, "acme"), request)
    bench.publish({"tier/free": {"name": "Gratis", "rank": 0}})
    bench.source.refresh()
    bench.forget()

    view = bench.source.view(COACHING, "acme")
    render_something(view, request)

    assert view is not None
    assert view.tier("free").name == "Gratis"  # type: ignore[union-attr]
    assert bench.reads == {"read_entry": 2}


def test_cards_are_read_again_after_five_minutes_and_texts_after_ten() -> None:
    bench = Bench(poll_seconds=10_000)
    request = Request(COACHING, None, None, "u-1")
    seen = []
    for seconds in (
        0,
        269,
        32,
        238,
        362,
    ):  # each a little before or after: ages are up to a tenth less than said
        bench.pass_time(seconds)
        bench.forget()
        render_something(bench.source.view(COACHING), request)
        seen.append((bench.reads["read_entry"], bench.reads["read_prompt"]))

    assert seen == [(1, 1), (0, 0), (1, 0), (0, 0), (1, 1)]


def test_memory_is_bounded_by_what_was_used_last() -> None:
    bench = Bench(capacity=8)
    for number in range(100):
        assert bench.source.view(COACHING, f"tenant-{number}") is not None
        bench.pass_time(0.001)

    assert bench.source.state.views <= 8
    bench.forget()
    bench.source.view(COACHING, "tenant-99")
    assert not bench.reads
    bench.source.view(COACHING, "tenant-0")
    assert bench.reads == {"read_entry": 1}


def test_the_state_says_what_is_served_and_for_how_long_it_is_known_to_be_live() -> None:
    bench = Bench()
    before = bench.source.state
    bench.source.start()
    bench.pass_time(3)

    state = bench.source.state

    assert (before.release, before.age_seconds, before.source) == (None, None, "lookup")
    assert (state.environment, state.release, state.age_seconds) == (ENVIRONMENT, 1, 3)
    assert (state.last_error, state.switches_error, state.thrown) == (None, None, ())


async def test_metrics_are_told_of_hits_and_misses() -> None:
    metrics = Metrics(ENVIRONMENT)
    bench = Bench(metrics=metrics)
    for _ in range(3):
        view = await bench.source.view_async(COACHING)
        assert view is not None
        compiled_prompt(view, view.named[0])

    told = "controlplane_cache_requests_total"
    lines = [line for line in metrics.prometheus().splitlines() if line.startswith(told)]
    assert sorted(lines) == [
        f'{told}{{environment="production",cache="configuration",result="hit"}} 2',
        f'{told}{{environment="production",cache="configuration",result="miss"}} 1',
        f'{told}{{environment="production",cache="prompt",result="hit"}} 3',
    ]


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_child_reads_by_threads_of_its_own() -> None:
    bench = Bench()
    assert bench.source.view(COACHING) is not None
    child = os.fork()
    if child == 0:
        found = bench.source.view(COACHING, "acme")
        os._exit(0 if found is not None and found.release == 1 else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_closed_source_serves_what_it_has() -> None:
    bench = Bench()
    view = bench.source.view(COACHING)

    bench.source.close()

    assert bench.source.view(COACHING) is view
    assert bench.source.view(COACHING, "acme") is None


@pytest.mark.parametrize("name", ["poll_seconds", "configuration_seconds", "prompt_seconds", "capacity"])
def test_an_interval_or_a_bound_of_nothing_is_refused(name: str) -> None:
    options: dict[str, Any] = {name: 0}
    with pytest.raises(ValueError, match=name):
        LookupSource(Bench().store, ENVIRONMENT, **options)
