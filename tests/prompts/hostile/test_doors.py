"""Each family of hostile texts at each place where an author's text is worked on: answered, bounded, and nothing comes out.

What bounds them in time and memory are the limits of the worker's children, which `test_limits.py` reads from the system;
how long they take is printed by `./run bench preview`.
"""

from collections.abc import Callable, Iterator, Mapping

import pytest

from controlplane.prompts import inspection, textdiff
from controlplane.prompts.render_pool import RenderPool
from controlplane.prompts.rendering import SAMPLE, Input, render_inputs
from controlplane.runtime import canonical, snapshot
from controlplane.runtime.acceptance import compiled_prompt
from controlplane.runtime.entries import Parameter
from controlplane.runtime.errors import ControlPlaneRuntimeError
from controlplane.runtime.renderer import MAX_OUTPUT_BYTES, Problem, render
from controlplane.runtime.snapshot import Snapshot
from controlplane.runtime.validate import validate_raws
from tests.prompts.hostile.families import FAMILIES, HARMLESS, leak_in

DECLARED = (
    Parameter(name="name", type="string", required=True, example="Ana"),
    Parameter(name="goal", type="text", required=True, example="Sleep"),
)
EXAMPLES = {"name": "Ana", "goal": "Sleep"}

Door = Callable[[RenderPool, str], Iterator[str]]


def save(pool: RenderPool, source: str) -> Iterator[str]:
    problem = pool.check(source, DECLARED)
    yield problem.message if problem else ""


def preview(pool: RenderPool, source: str) -> Iterator[str]:
    found = pool.preview(source, EXAMPLES, DECLARED)
    yield found.text or ""
    yield found.problem.message if found.problem else ""


def all_samples(pool: RenderPool, source: str) -> Iterator[str]:
    found = pool.render_all(source, DECLARED, [EXAMPLES, {}, {**EXAMPLES, "goal": "x" * 9_000}])
    if isinstance(found, Problem):
        yield found.message
        return
    assert len(found) == 3
    for each in found:
        yield each.text or ""
        yield each.problem.message if each.problem else ""


def rendered_diff(pool: RenderPool, source: str) -> Iterator[str]:
    inputs = [Input("it", EXAMPLES, SAMPLE), Input("another", {**EXAMPLES, "goal": "x" * 9_000}, SAMPLE)]
    for found in render_inputs(pool, source, DECLARED, inputs):
        yield found.text or ""
        yield found.told
        rows = textdiff.lines("Hello Ana", found.text or "")
        yield from (each.text for row in rows for each in row.parts)


DOORS: Mapping[str, Door] = {
    "save": save,
    "preview": preview,
    "all samples": all_samples,
    "rendered diff": rendered_diff,
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("door", DOORS)
def test_a_hostile_text_is_answered_and_nothing_comes_out_by_it(
    pool: RenderPool, door: str, family: str
) -> None:
    for name, source in FAMILIES[family].items():
        for text in DOORS[door](pool, source):
            assert leak_in(text) is None, name
            assert len(text.encode(errors="replace")) <= MAX_OUTPUT_BYTES, name
    assert pool.preview(HARMLESS, EXAMPLES, DECLARED).text == "Hello Ana"


def test_publishing_looks_at_all_of_them_in_the_worker_and_names_what_it_refuses(
    pool: RenderPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        inspection, "inspect_body", lambda *_: pytest.fail("a text was parsed where pages are served")
    )
    sources = [each for family in FAMILIES.values() for each in family.values() if is_text(each)]
    bodies = {canonical.digest(each.encode()): each for each in [*sources, HARMLESS]}

    problems = validate_raws({}, bodies, inspect=inspection.inspector(bodies, pool=pool))

    refused = {problem.key.removeprefix("body/"): problem.message for problem in problems}
    assert canonical.digest(HARMLESS.encode()) not in refused
    assert {canonical.digest(each.encode()) for each in FAMILIES["escapes"].values()} <= refused.keys()

    # What is not refused is what a runtime loads: it compiles, in bounds, and renders or says why not.
    passed = {sha256: body for sha256, body in bodies.items() if sha256 not in refused}
    assert len(passed) > 5
    release = Snapshot.load(snapshot.build({}, passed), release=1, environment="production")
    for sha256, body in passed.items():
        program = compiled_prompt(release, sha256)
        if body in STOPPED_BY_TIME:
            continue
        try:
            text = render(program, EXAMPLES, DECLARED)
        except ControlPlaneRuntimeError as error:
            text = str(error)
        assert leak_in(text) is None


STOPPED_BY_TIME = {FAMILIES["loops"]["much work on short texts"]}


def is_text(source: str) -> bool:
    """Whether a store can hold it; what has half a character or is too long is refused before it is looked at."""
    try:
        return len(source.encode()) <= 64 * 1024
    except UnicodeEncodeError:
        return False
