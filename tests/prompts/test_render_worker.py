import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controlplane.prompts import render_pool
from controlplane.prompts.render_pool import RenderBusy, RenderPool
from controlplane.runtime.entries import Parameter
from controlplane.runtime.errors import ControlPlaneRuntimeError
from controlplane.runtime.renderer import Preview, Problem, compile_prompt, preview, render

DECLARED = (
    Parameter(name="name", type="string", required=True, example="Ana"),
    Parameter(name="goals", type="list", example=["Grow", "Rest"]),
)
VALUES = {"name": "Ana", "goals": ["Grow"]}


def test_twenty_hostile_templates_at_once_do_not_wedge_the_pool(pool: RenderPool) -> None:
    answers: list[Preview | RenderBusy] = []

    def attack(_: int) -> None:
        try:
            answers.append(pool.preview(slow_source(), VALUES, DECLARED))
        except RenderBusy as busy:
            answers.append(busy)

    with ThreadPoolExecutor(20) as threads:
        list(threads.map(attack, range(20)))
    assert len(answers) == 20
    assert all(isinstance(answer, RenderBusy) or answer.text is None for answer in answers)
    assert pool.preview("Hello {{ name }}", VALUES, DECLARED).text == "Hello Ana"


def slow_source() -> str:
    """Text that the profile lets through and that keeps a processor busy until the clock ends it."""
    inner = "{% if (name ~ b)|upper|lower|replace('1', '22')|length > 999 %}x{% endif %}" * 60
    return "{% for a in range(900) %}{% for b in range(900) %}" + inner + "{% endfor %}{% endfor %}x"


def test_a_job_that_takes_longer_than_a_second_is_ended_and_told_so(pool: RenderPool) -> None:
    # What one render may do takes less by its own ceilings; parsing on and on does not, nor do a thousand renders.
    found = pool.render_all("{% for a in range(1000) %}{{ a }}{% endfor %}", DECLARED, [VALUES] * 5_000)
    assert isinstance(found, list)
    assert found[0].text is not None
    problem = found[-1].problem
    assert problem is not None
    assert problem.message.startswith("There was no time left for this")
    assert pool.preview("Hello {{ name }}", VALUES, DECLARED).text == "Hello Ana"


def test_a_job_beyond_the_queue_is_told_to_come_back() -> None:
    pool = RenderPool(workers=1, queue=0)
    started = threading.Event()
    with ThreadPoolExecutor(1) as threads:

        def occupy() -> None:
            with pool._turn(1):
                started.set()
                release.wait(10)

        release = threading.Event()
        busy = threads.submit(occupy)
        started.wait(10)
        with pytest.raises(RenderBusy) as refusal:
            pool.preview("x", {}, ())
        assert refusal.value.retry_after > 0
        release.set()
        busy.result()
    assert pool.preview("x", {}, ()).text == "x"
    pool.close()


def test_saves_and_publishes_go_before_previews() -> None:
    pool = RenderPool(workers=1)
    order: list[str] = []

    def preview() -> None:
        pool.preview("x", {}, (), patience=60)
        order.append("preview")

    def check() -> None:
        pool.check("x", ())
        order.append("check")

    with ThreadPoolExecutor(2) as threads:
        with pool._turn(1):
            done = [threads.submit(preview)]
            wait_until(lambda: pool._waiting[False] == 1)
            done.append(threads.submit(check))
            wait_until(lambda: pool._waiting[True] == 1)
        for each in done:
            each.result()
    assert order == ["check", "preview"]
    pool.close()


def wait_until(holds: Callable[[], bool]) -> None:
    for _ in range(3_000):
        if holds():
            return
        threading.Event().wait(0.01)
    pytest.fail("it did not come to that")


def test_one_set_of_values_hides_no_other(pool: RenderPool) -> None:
    slow = "{% for a in goals %}{% for b in range(1000) %}{% set c = name|title|upper|title|upper|title|upper|title %}{% endfor %}{% endfor %}{{ name }}"  # fmt: skip
    long: dict[str, Any] = {"name": "a " * 30, "goals": ["x"] * 99}
    broken: dict[str, Any] = {"name": "Ana \ud800", "goals": []}
    sets = [{"name": "Ana"}, long, {}, broken, long, {"name": "Ada"}]
    found = pool.render_all(slow, DECLARED, sets, wall=30)  # of processor time it is one second in any case
    assert isinstance(found, list)
    assert [each.text for each in (found[0], found[5])] == ["Ana", "Ada"]
    assert all(each.problem is not None for each in found[2:4])
    # By the ceilings of the renderer or by the clock, or done on a fast machine: told for itself in any case.
    assert all(each.text or each.problem for each in (found[1], found[4]))


def test_texts_beyond_what_one_answer_holds_are_told_each(pool: RenderPool) -> None:
    long = "{{ name }}" * 10
    found = pool.render_all(long, DECLARED, [{"name": "x" * 25_000}] * 20 + [{"name": "y"}])
    assert isinstance(found, list)
    assert found[0].text == "x" * 250_000
    problem = found[19].problem
    assert problem is not None
    assert problem.message.startswith("There was no room left for this text")
    assert found[20].text == "y" * 10
    assert pool.check_all(long, DECLARED, [{"name": "x" * 25_000}] * 20) == [None] * 20


def test_values_too_large_to_hand_over_are_told_each(pool: RenderPool) -> None:
    found = pool.render_all("{{ name }}", DECLARED, [{"name": "x" * 3_000_000}, {"name": "Ana"}])
    assert isinstance(found, list)
    assert found[0].problem == Problem("these values are too large, or too large together with the others")
    assert found[1].text == "Ana"


def test_a_worker_that_died_is_replaced() -> None:
    pool = RenderPool(workers=1)
    assert pool.preview("x", {}, ()).text == "x"
    (worker,) = pool._idle
    worker._process.kill()
    worker._process.wait()
    assert pool.preview("y", {}, ()).text == "y"
    pool.close()


def test_a_worker_that_dies_at_work_costs_one_answer() -> None:
    pool = RenderPool(workers=1)
    pool.preview("x", {}, ())
    (worker,) = pool._idle
    os.kill(worker._process.pid, 19)  # stopped: it looks alive and never answers
    assert pool.preview("y", {}, ()).problem is not None
    assert pool.preview("z", {}, ()).text == "z"
    pool.close()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_the_worker_has_an_empty_environment_and_no_open_files_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret@nowhere")
    pool = RenderPool(workers=1)
    pool.preview("x", {}, ())
    (worker,) = pool._idle
    process = Path(f"/proc/{worker._process.pid}")
    assert process.joinpath("environ").read_bytes() == b""
    # The last is to the child that waits, or not there while one is forked.
    assert {each.name for each in process.joinpath("fd").iterdir()} <= {"0", "1", "2", "3"}
    if os.geteuid() == 0:
        (uids,) = [
            line for line in process.joinpath("status").read_text().splitlines() if line.startswith("Uid")
        ]
        assert "0" not in uids.split()[1:]
    pool.close()


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs /proc")
def test_a_worker_ends_with_the_process_that_started_it() -> None:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        pool = RenderPool(workers=1)
        pool.preview("x", {}, ())
        os.write(writer, str(pool._idle[0]._process.pid).encode())
        os.kill(os.getpid(), 9)
    os.close(writer)
    pid = int(os.read(reader, 20))
    os.close(reader)
    os.waitpid(child, 0)
    for _ in range(200):
        if not running(pid):
            return
        threading.Event().wait(0.05)
    pytest.fail("the worker outlived its parent by ten seconds")


def running(pid: int) -> bool:
    """Whether there is such a process; one that has ended and that nobody asked after does not count."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_forked_process_gets_workers_of_its_own() -> None:
    pool = RenderPool(workers=1)
    assert pool.preview("x", {}, ()).text == "x"
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        text = pool.preview("from the child", {}, ()).text or ""
        os.write(writer, text.encode())
        os._exit(0)
    os.close(writer)
    assert os.read(reader, 100) == b"from the child"
    os.close(reader)
    os.waitpid(child, 0)
    assert pool.preview("y", {}, ()).text == "y"
    pool.close()


def test_a_warm_pool_has_its_workers_ready() -> None:
    pool = RenderPool(workers=2)
    pool.warm_up()
    pool.warm_up()
    for thread in threading.enumerate():
        if thread.name == "render workers":
            thread.join(30)
    assert len(pool._idle) == 2
    assert pool.preview("x", {}, ()).text == "x"
    pool.close()
    assert not pool._idle


def test_values_are_never_rendered(pool: RenderPool) -> None:
    assert pool.preview("{{ name }}", {"name": "{{ 7 * 7 }}"}, DECLARED).text == "{{ 7 * 7 }}"


def test_a_check_finds_what_fails_only_without_the_optional_parameters(pool: RenderPool) -> None:
    assert pool.check("{{ name }}{% if goals %}{{ goals[0] }}{% endif %}", DECLARED) is None
    problem = pool.check("{{ name }}\n{{ goals[0] }}", DECLARED)
    assert problem is not None
    assert problem.message.startswith("goals is optional, and without it this fails")
    assert problem.line == 2


def test_a_text_that_there_was_no_time_to_look_over_is_not_one_without_faults(
    pool: RenderPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [{"name": "Ana", "goals": [{"a": [number, {"b": number}]}] * 8} for number in range(4_000)]
    assert pool.check("Hello {{ name }}", DECLARED, samples=many) is None  # some tell as much as all
    monkeypatch.setattr(render_pool, "_LEARNT_BYTES", 2 * 1024 * 1024)
    problem = pool.check("Hello {{ name }}", DECLARED, samples=many)
    assert problem is not None
    assert problem.message.startswith("there was no time to look the whole text over")


PARTS = st.sampled_from(
    ["Hello ", "{{ name }}", "{{ nam }}", "{% for g in goals %}- {{ g }}\n{% endfor %}", "{% if goals %}x{% endif %}",
     "{% if", "{{ goals|join(', ') }}", "{{ 1 // 0 }}", "é😀\u2028", "\n"]
)  # fmt: skip
TEXTS = st.lists(PARTS, max_size=6).map("".join)
GIVEN = st.fixed_dictionaries(
    {},
    optional={
        "name": st.text("aé😀{<&'", max_size=5) | st.integers(0, 3),
        "goals": st.lists(st.text("ab\n", max_size=3), max_size=3),
    },
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS, GIVEN)
def test_the_worker_answers_what_the_runtime_renders(
    pool: RenderPool, source: str, values: dict[str, object]
) -> None:
    found = pool.preview(source, values, DECLARED)
    assert found == preview(source, values, DECLARED)
    try:
        expected = render(compile_prompt(source), values, DECLARED)
    except ControlPlaneRuntimeError:
        assert found.text is None
    else:
        assert (found.text or "").encode() == expected.encode()
