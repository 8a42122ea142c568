"""What every release source owes, run against each kind of source on each kind of store.

Subclass it and give it fixtures: a `store`, and `make`, which makes a source on a store that looks at it when told to.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import product
from typing import Any, NamedTuple, Protocol

import pytest

from controlplane.runtime import (
    ConfigurationNotFoundError,
    Pointer,
    Request,
    Snapshot,
    render,
    resolve,
    snapshot,
)
from controlplane.runtime.acceptance import compiled_prompt
from controlplane.runtime.resolver import in_gate
from controlplane.runtime.sources import ReleaseSource
from controlplane.runtime.stores import ReleaseStore
from controlplane.runtime.switches import KillSwitches, Switch, document
from tests.runtime.publishing import ENVIRONMENT, Publisher

Documents = dict[str, dict[str, Any]]
NOW = datetime(2026, 11, 22, tzinfo=UTC)
TENANTS = (None, "acme", "größe-7", "nobody", "*", "no such/tenant", "x" * 200)
UNITS = (None, "u-1", "ünïcode")


class Content(NamedTuple):
    """What a release holds."""

    documents: Documents
    bodies: dict[str, str]


class Source(ReleaseSource, Protocol):
    """A source that a test tells when to look."""

    def refresh(self) -> bool: ...
    def close(self) -> None: ...


def part(content: Content, interaction: str) -> Content:
    """Return what is left when there is but one interaction: little, for what is published many times."""
    kept = {
        key: one
        for key, one in content.documents.items()
        if key.startswith(("model/", "tier/"))
        or key.split("/")[1] in {interaction, "*"}
        or one.get("interaction") == interaction
    }
    text = str(kept)
    return Content(kept, {sha256: body for sha256, body in content.bodies.items() if sha256 in text})


Make = Callable[[ReleaseStore], Source]


def requests(content: Content) -> Iterator[Request]:
    """Every interaction, and two that nobody declared, for every tier and none, and for tenants with and without rows."""
    codes = sorted(key.partition("/")[2] for key in content.documents if key.startswith("interaction/"))
    tiers = sorted(key.partition("/")[2] for key in content.documents if key.startswith("tier/"))
    for code, tier, tenant in product(
        [*codes, "NEVER_DECLARED", "no code/at all"], [None, *tiers, "unheard_of"], TENANTS
    ):
        for unit in UNITS:
            yield Request(code, tier, tenant, unit)


Texts = dict[tuple[int, str], str]


def answer(view: Snapshot, request: Request, texts: Texts | None = None) -> tuple[object, ...]:
    """All that a call of this request would be told, down to the text; `texts` has those of views that are still there."""
    gate = in_gate(view, request.interaction, request.unit, tenant_id=request.tenant_id)
    try:
        found = resolve(view, request, now=NOW)
    except ConfigurationNotFoundError as problem:
        return gate, str(problem)
    fallbacks = [view.model(code) for code in found.variant.fallbacks]
    where = (
        found.environment,
        found.release,
        view.sha256,
        found.key,
        found.reason,
        found.chosen,
        found.bucket,
    )
    what = (found.variant, found.model, found.prompt, found.gate, found.baseline_version, found.passed_over)
    texts, prompt = {} if texts is None else texts, found.prompt
    if (id(view), prompt.sha256) not in texts:
        texts[id(view), prompt.sha256] = text(view, prompt.code, prompt.sha256)
    return gate, where, what, found.why, fallbacks, texts[id(view), prompt.sha256]


def text(view: Snapshot, code: str, sha256: str) -> str:
    prompt = view.prompt(code)
    interaction = None if prompt is None else view.interaction(prompt.interaction)
    assert interaction is not None
    examples = {parameter.name: parameter.example for parameter in interaction.parameters}
    return render(compiled_prompt(view, sha256), examples, interaction.parameters)


def whole(content: Content, pointer: Pointer) -> Snapshot:
    """The release as one object, which is what every source has to agree with."""
    data = snapshot.build(content.documents, content.bodies)
    return Snapshot.load(data, release=pointer.release, environment=ENVIRONMENT)


_known: dict[tuple[str, int], list[tuple[Request, tuple[object, ...]]]] = {}


def expectations(content: Content, pointer: Pointer) -> list[tuple[Request, tuple[object, ...]]]:
    """Every request with its answer, worked out once for all sources and stores."""
    place = (pointer.sha256, pointer.release)
    if place not in _known:
        expected, texts = whole(content, pointer), dict[tuple[int, str], str]()
        _known[place] = [(request, answer(expected, request, texts)) for request in requests(content)]
    return _known[place]


def assert_answers(source: ReleaseSource, content: Content, pointer: Pointer) -> None:
    """Every request is answered as the whole release answers it."""
    texts: Texts = {}
    views = []
    for request, expected in expectations(content, pointer):
        view = source.view(request.interaction, request.tenant_id)
        assert view is not None
        views.append(view)  # kept, so that no other gets its identity
        assert answer(view, request, texts) == expected


class SourceContract:
    def test_before_the_first_release_there_is_nothing_to_serve(
        self, store: ReleaseStore, make: Make
    ) -> None:
        source = make(store)

        assert not source.refresh()

        assert source.view("COACHING_RESPONSE", "acme") is None
        assert source.switches == KillSwitches()

    def test_every_request_is_answered_as_the_whole_release_does(
        self, store: ReleaseStore, make: Make, first: Content, rich: Content
    ) -> None:
        publisher = Publisher(store)
        source = make(store)
        for content in (first, rich, first):  # the last is a rollback: a newer release with older content
            pointer = publisher.publish(*content)
            assert source.refresh()
            assert_answers(source, content, pointer)

    async def test_a_loop_is_told_the_same(self, store: ReleaseStore, make: Make, rich: Content) -> None:
        pointer = Publisher(store).publish(*rich)
        source, expected = make(store), whole(rich, pointer)
        source.refresh()
        asked = [request for request in requests(rich) if request.unit == "u-1"]

        views = await asyncio.gather(
            *(source.view_async(request.interaction, request.tenant_id) for request in asked)
        )

        for request, view in zip(asked, views, strict=True):
            assert view is not None
            assert answer(view, request) == answer(expected, request)

    def test_a_view_stays_as_it_was_when_the_release_changes(
        self, store: ReleaseStore, make: Make, first: Content, rich: Content
    ) -> None:
        publisher = Publisher(store)
        first, rich = (part(content, "COACHING_RESPONSE") for content in (first, rich))
        pointer = publisher.publish(*rich)
        source = make(store)
        source.refresh()
        request = Request("COACHING_RESPONSE", "premium", "acme", "u-1")
        view = source.view(request.interaction, request.tenant_id)
        assert view is not None
        told = answer(view, request)

        publisher.publish(*first)
        source.refresh()

        assert answer(view, request) == told == answer(whole(rich, pointer), request)
        newer = source.view(request.interaction, request.tenant_id)
        assert newer is not None
        assert newer.release == 2

    def test_what_is_written_but_not_live_is_not_served(
        self, store: ReleaseStore, make: Make, first: Content, rich: Content
    ) -> None:
        publisher = Publisher(store)
        first, rich = (part(content, "COACHING_RESPONSE") for content in (first, rich))
        pointer = publisher.publish(*first)
        source = make(store)
        source.refresh()
        publisher.publish(*rich, move=False)

        assert_answers(source, first, pointer)

    def test_a_call_never_sees_two_releases_while_many_are_published(
        self, store: ReleaseStore, make: Make, first: Content, rich: Content
    ) -> None:
        publisher = Publisher(store)
        first, rich = (part(content, "COACHING_RESPONSE") for content in (first, rich))
        contents: dict[int, Content] = {publisher.publish(*rich).release: rich}
        source = make(store)
        source.refresh()
        asked = [
            Request("COACHING_RESPONSE", tier, tenant, "u-1")
            for tier, tenant in product([None, "premium"], [None, "acme", "nobody"])
        ]
        answers: list[tuple[Request, int, tuple[object, ...]]] = []
        over = threading.Event()

        def ask() -> None:
            while not over.is_set():
                source.refresh()
                for request in asked:
                    view = source.view(request.interaction, request.tenant_id)
                    assert view is not None
                    answers.append((request, view.release, answer(view, request)))

        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        for number in range(4):
            content = (first, rich)[number % 2]
            contents[publisher.release + 1] = content
            publisher.publish(*content)
        over.set()
        for thread in threads:
            thread.join()

        assert answers
        known: dict[tuple[Request, int], tuple[object, ...]] = {}
        for request, release, told in answers:
            if (request, release) not in known:
                pointer = Pointer(environment=ENVIRONMENT, release=release, sha256="0" * 64, size=0)
                known[request, release] = answer(whole(contents[release], pointer), request)
            assert told == known[request, release]

    @pytest.mark.parametrize("everything", [True, False])
    def test_switches_are_taken_up_and_lifted_even_without_a_release(
        self, store: ReleaseStore, make: Make, everything: bool
    ) -> None:
        source = make(store)
        switch = Switch("ada", "2026-11-22T10:00:00Z", "it invents sources")
        thrown = KillSwitches(
            switch if everything else None, {} if everything else {"COACHING_RESPONSE": switch}
        )

        store.write_switches(ENVIRONMENT, document(thrown, environment=ENVIRONMENT, version=1), version=1)
        source.refresh()

        assert source.switches.thrown("COACHING_RESPONSE") == switch
        assert (source.switches.thrown("KPI_ANALYSIS") is None) == (not everything)
        store.write_switches(
            ENVIRONMENT, document(KillSwitches(), environment=ENVIRONMENT, version=2), version=2
        )
        source.refresh()
        assert source.switches.thrown("COACHING_RESPONSE") is None
