"""The chain of models: who is asked, in which order, how often, and what comes of it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace

import pytest

from controlplane.runtime.entries import Model
from controlplane.runtime.providers import (
    AllProvidersFailedError,
    ContentFilteredError,
    ContextTooLongError,
    EmptyAnswerError,
    Message,
    ModelNotFoundError,
    ProviderAuthenticationError,
    ProviderBadRequestError,
    ProviderError,
    ProviderManager,
    ProviderNotConfiguredError,
    ProviderRateLimitedError,
    ProviderRequest,
    ProviderTimeoutError,
    ProviderUnavailableError,
    StreamBrokenError,
    StreamPart,
)
from controlplane.runtime.services import calling
from controlplane.runtime.services.calling import Answer, stream_first_able
from controlplane.runtime.services.chain import Target
from tests.runtime.fakes.chain import HANG, NAMES, REQUEST, Chain, Scripted, outcomes

BOTH = pytest.mark.parametrize("streaming", [False, True])


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calling, "_FIRST_PAUSE", 0.001)


@pytest.fixture
def chain() -> Chain:
    return Chain()


def of(kind: type[ProviderError]) -> Callable[[], Exception]:
    return lambda: kind("out of luck", provider="p", model_id="m")


# kind of error → what is raised, how often the model is asked, whether the next one is
FAILURES: dict[str, tuple[Callable[[], object], int, bool]] = {
    "not_configured": (of(ProviderNotConfiguredError), 1, True),
    "authentication": (of(ProviderAuthenticationError), 1, True),
    "rate_limit": (of(ProviderRateLimitedError), 2, True),
    "timeout": (of(ProviderTimeoutError), 2, True),
    "unavailable": (of(ProviderUnavailableError), 2, True),
    "empty_answer": (list, 2, True),
    "model_not_found": (of(ModelNotFoundError), 1, True),
    "context_too_long": (of(ContextTooLongError), 1, True),
    "content_filter": (of(ContentFilteredError), 1, False),
    "bad_request": (of(ProviderBadRequestError), 1, False),
}
WAYS: dict[str, tuple[Callable[[], object], str]] = {
    **{kind: (make, kind) for kind, (make, _, _) in FAILURES.items()},
    "unexpected": (lambda: KeyError("choices"), "unavailable"),
    "unexpected timeout": (TimeoutError, "timeout"),
    "white space": (lambda: [" \n", "\t"], "empty_answer"),
}


@BOTH
@pytest.mark.parametrize("position", range(3))
@pytest.mark.parametrize("way", WAYS)
async def test_each_failure_at_each_place(chain: Chain, way: str, position: int, streaming: bool) -> None:
    make, kind = WAYS[way]
    _, times, falls_back = FAILURES[kind]
    for name in NAMES[:position]:
        chain.providers[name].always = ModelNotFoundError("gone", provider=name)
    failing = NAMES[position]
    chain.providers[failing].script = [make() or [""] for _ in range(times)]
    chain.providers[failing].always = AssertionError("asked too often")
    expected = [(name.upper(), "model_not_found") for name in NAMES[:position]] + [
        (failing.upper(), kind)
    ] * times

    if not falls_back:
        with pytest.raises(ProviderError) as caught:
            await chain.ask(streaming=streaming)
        assert caught.value.kind == kind
    elif position == 2:
        with pytest.raises(AllProvidersFailedError) as all_failed:
            await chain.ask(streaming=streaming)
        assert outcomes(all_failed.value.attempts) == expected
    else:
        answer = await chain.ask(streaming=streaming)
        following = NAMES[position + 1]
        assert answer.response.text == f"{following} says hello"
        assert (answer.target.code, answer.response.model_id) == (following.upper(), f"{following}-1")
        assert outcomes(answer.attempts) == [*expected, (following.upper(), "answered")]
    asked = position + (2 if falls_back and position < 2 else 1)
    assert [bool(chain.calls[name]) for name in NAMES] == [True] * asked + [False] * (3 - asked)
    assert chain.calls[failing] == times


@BOTH
@pytest.mark.parametrize("way", [way for way, (_, kind) in WAYS.items() if FAILURES[kind][2]])
async def test_all_down_is_an_error_and_never_an_apology(chain: Chain, way: str, streaming: bool) -> None:
    make, kind = WAYS[way]
    for provider in chain.providers.values():
        provider.script = [make() or [""] for _ in range(2)]
    with pytest.raises(AllProvidersFailedError) as caught:
        await chain.ask(streaming=streaming)
    times = FAILURES[kind][1]
    assert outcomes(caught.value.attempts) == [(n.upper(), kind) for n in NAMES for _ in range(times)]
    assert chain.seen == []


@BOTH
async def test_a_failure_that_passes_is_passed_over(chain: Chain, streaming: bool) -> None:
    chain.providers["north"].script = [ProviderUnavailableError("oops", provider="north")]
    answer = await chain.ask(streaming=streaming)
    assert answer.response.text == "north says hello"
    assert outcomes(answer.attempts) == [("NORTH", "unavailable"), ("NORTH", "answered")]
    assert chain.calls == {"north": 2, "south": 0, "west": 0}


@BOTH
async def test_who_used_up_its_tokens_is_not_asked_again(chain: Chain, streaming: bool) -> None:
    error = EmptyAnswerError("max_tokens", provider="north")
    chain.providers["north"].always = error
    answer = await chain.ask(streaming=streaming)
    assert outcomes(answer.attempts) == [("NORTH", "empty_answer"), ("SOUTH", "answered")]


@pytest.mark.parametrize("kind", FAILURES)
async def test_after_the_first_word_there_is_no_other_model(chain: Chain, kind: str) -> None:
    make = FAILURES[kind][0]
    failure = make() or EmptyAnswerError("stop", provider="north")
    chain.providers["north"].script = [["Once ", "upon", failure]]
    with pytest.raises(StreamBrokenError) as caught:
        await chain.ask(streaming=True)
    assert caught.value.text == "Once upon"
    assert "".join(chain.seen) == "Once upon"
    assert (caught.value.because.kind, caught.value.falls_back) == (kind, False)
    assert outcomes(caught.value.attempts) == [("NORTH", kind)]
    assert chain.calls == {"north": 1, "south": 0, "west": 0}


async def test_signs_of_life_and_white_space_bind_nobody_to_a_model(chain: Chain) -> None:
    failure = ModelNotFoundError("gone", provider="north")
    chain.providers["north"].script = [["", "\n\n", " ", failure]]
    assert (await chain.ask(streaming=True)).response.text == "south says hello"


async def test_white_space_before_the_first_word_and_within_is_kept(chain: Chain) -> None:
    chain.providers["north"].script = [["\n", " ", "Once", "\n\n", "", "upon "]]
    assert (await chain.ask(streaming=True)).response.text == "\n Once\n\nupon "
    assert chain.seen == ["\n Once", "\n\n", "upon "]


async def test_words_are_handed_over_as_they_come(chain: Chain) -> None:
    chain.providers["north"].script = [["Once ", HANG]]
    manager = ProviderManager(chain.providers)
    async with aclosing(stream_first_able(manager, chain.targets, REQUEST, seconds=60)) as parts:
        assert await anext(parts) == StreamPart("Once ")
    assert chain.providers["north"].closed == 1, "who stops reading closes the stream"


async def test_a_stream_without_an_end_is_a_failure(chain: Chain) -> None:
    class Endless(Scripted):
        async def stream(self, request: ProviderRequest) -> AsyncGenerator[StreamPart, None]:
            self.requests.append(request)
            yield StreamPart("")

    chain.providers["north"] = Endless("north")
    answer = await chain.ask(streaming=True)
    assert outcomes(answer.attempts) == [("NORTH", "unavailable")] * 2 + [("SOUTH", "answered")]


@BOTH
async def test_one_that_hangs_leaves_time_for_the_next(chain: Chain, streaming: bool) -> None:
    chain.seconds = 2.0  # a busy machine may lose half a second, and the next one's turn with it
    chain.providers["north"].always = HANG
    answer = await chain.ask(streaming=streaming)
    assert answer.response.text == "south says hello"
    assert set(outcomes(answer.attempts)) == {("NORTH", "timeout"), ("SOUTH", "answered")}
    assert chain.providers["north"].closed == chain.calls["north"]


@BOTH
async def test_the_last_one_may_take_all_that_is_left_but_no_more(chain: Chain, streaming: bool) -> None:
    chain.seconds = 0.3
    for provider in chain.providers.values():
        provider.always = HANG
    with pytest.raises(AllProvidersFailedError) as caught:
        await chain.ask(streaming=streaming)
    assert {outcome for _, outcome in outcomes(caught.value.attempts)} == {"timeout"}


@BOTH
async def test_every_try_is_told_the_time_that_is_left(chain: Chain, streaming: bool) -> None:
    chain.targets = chain.targets[:1]
    failure = ProviderUnavailableError("oops", provider="north")
    chain.providers["north"].script = [failure]
    await chain.ask(streaming=streaming)
    first, second = (request.timeout_seconds for request in chain.providers["north"].requests)
    assert second < first <= chain.seconds


async def test_a_stream_that_stalls_before_its_first_word_makes_way(chain: Chain) -> None:
    chain.stall_seconds = 0.05
    chain.providers["north"].always = ["", HANG]
    answer = await chain.ask(streaming=True)
    assert outcomes(answer.attempts) == [("NORTH", "timeout")] * 2 + [("SOUTH", "answered")]


async def test_a_stream_that_stalls_after_it_is_broken(chain: Chain) -> None:
    chain.stall_seconds = 0.05
    chain.providers["north"].always = ["Once", HANG]
    with pytest.raises(StreamBrokenError) as caught:
        await chain.ask(streaming=True)
    assert (caught.value.text, caught.value.because.kind) == ("Once", "timeout")


async def test_a_slow_reader_is_no_stall(chain: Chain) -> None:
    chain.providers["north"].script = [["Once ", "upon ", "a time"]]
    manager = ProviderManager(chain.providers)
    seen = []
    stream = stream_first_able(manager, chain.targets, REQUEST, seconds=20, stall_seconds=0.05)
    async with aclosing(stream) as parts:
        async for part in parts:
            await asyncio.sleep(0.1)
            seen.append(part)
    assert isinstance(seen[-1], Answer)


async def test_the_pause_that_a_provider_asks_for_is_kept(chain: Chain) -> None:
    limited = ProviderRateLimitedError("slow down", provider="north")
    limited.retry_after_seconds = 0.3
    north = chain.providers["north"]
    north.script = [limited]
    assert (await chain.ask(streaming=False)).target.provider == "north"
    assert north.at[1] - north.at[0] >= 0.3


@BOTH
async def test_a_long_pause_is_the_next_model_s_turn(chain: Chain, streaming: bool) -> None:
    limited = ProviderRateLimitedError("slow down", provider="north")
    limited.retry_after_seconds = 6.0
    chain.providers["north"].script = [limited]
    answer = await chain.ask(streaming=streaming)
    assert outcomes(answer.attempts) == [("NORTH", "rate_limit"), ("SOUTH", "answered")]


async def test_a_pause_beyond_the_deadline_is_not_waited_for(chain: Chain) -> None:
    chain.targets = chain.targets[:1]
    limited = ProviderRateLimitedError("slow down", provider="north")
    limited.retry_after_seconds = 3_600.0
    chain.providers["north"].script = [limited]
    with pytest.raises(AllProvidersFailedError) as caught:
        await chain.ask(streaming=False)
    assert outcomes(caught.value.attempts) == [("NORTH", "rate_limit")]


@BOTH
async def test_a_cancelled_call_is_cancelled_in_the_provider(chain: Chain, streaming: bool) -> None:
    chain.providers["north"].script = [["Once", HANG]]
    task = asyncio.create_task(chain.ask(streaming=streaming))
    while not chain.providers["north"].requests:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert chain.providers["north"].closed == 1
    assert chain.calls == {"north": 1, "south": 0, "west": 0}


def model(**changes: object) -> Model:
    known: dict[str, object] = {
        "provider": "north",
        "provider_model_id": "north-1",
        "context_window": 1_000,
        "max_output_tokens": 500,
        "parameters": ("temperature",),
    }
    return Model(**{**known, **changes})  # type: ignore[arg-type]


@BOTH
async def test_what_a_model_does_not_take_is_left_out_and_reported(chain: Chain, streaming: bool) -> None:
    chain.targets = [Target("north", "north-1", "NORTH", model(max_output_tokens=20))]
    answer = await chain.ask(streaming=streaming)
    (request,) = chain.providers["north"].requests
    assert (request.model_id, request.system, request.messages) == (
        "north-1",
        REQUEST.system,
        REQUEST.messages,
    )
    assert (request.temperature, request.top_p, request.frequency_penalty, request.presence_penalty) == (
        0.3,
        None,
        None,
        None,
    )
    assert request.max_tokens == 20
    assert answer.dropped == ("top_p", "frequency_penalty", "presence_penalty")


@BOTH
async def test_a_model_that_cannot_hold_the_call_is_passed_over(chain: Chain, streaming: bool) -> None:
    small = model(context_window=100)
    chain.targets = [
        Target("north", "north-1", "NORTH", small),
        Target("south", "south-1", "SOUTH"),
        Target("west", "west-1", "WEST", small),
    ]
    long = replace(REQUEST, messages=(Message("user", "x" * 400),))
    answer = await chain.ask(streaming=streaming, request=long)
    assert outcomes(answer.attempts) == [("NORTH", "context_too_long"), ("SOUTH", "answered")]
    assert chain.calls == {"north": 0, "south": 1, "west": 0}


@BOTH
@pytest.mark.parametrize(("needs", "sent"), [(True, 500), (False, None)])
async def test_who_wants_a_limit_gets_the_registry_s(
    chain: Chain, needs: bool, sent: int | None, streaming: bool
) -> None:
    @dataclass
    class Strict(Scripted):
        needs_max_tokens: bool = True

    if needs:
        chain.providers["north"] = Strict("north")
    chain.targets = [Target("north", "north-1", "NORTH", model())]
    await chain.ask(streaming=streaming, request=replace(REQUEST, max_tokens=None))
    assert chain.providers["north"].requests[0].max_tokens == sent


@BOTH
async def test_a_chain_of_nobody_is_an_error(chain: Chain, streaming: bool) -> None:
    chain.targets = []
    with pytest.raises(AllProvidersFailedError):
        await chain.ask(streaming=streaming)


@BOTH
async def test_a_provider_that_nobody_set_up_makes_way(chain: Chain, streaming: bool) -> None:
    del chain.providers["north"]
    answer = await chain.ask(streaming=streaming)
    assert outcomes(answer.attempts) == [("NORTH", "not_configured"), ("SOUTH", "answered")]
