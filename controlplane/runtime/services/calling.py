"""Calling the models of a chain, one after the other, until one answers.

    call_first_able      the whole answer
    stream_first_able    the answer as it comes in

Both go the same way: each model in its turn, once more after a failure that may pass, then the next. A model that hangs
leaves time for those after it: while there are others, a model has two thirds of what is left of the deadline.
"""

import asyncio
import math
import random
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace

from controlplane.runtime.providers import errors
from controlplane.runtime.providers.base import (
    NeedsMaxTokens,
    Provider,
    ProviderRequest,
    ProviderResponse,
    StreamPart,
)
from controlplane.runtime.providers.deadlines import until
from controlplane.runtime.providers.manager import ProviderManager
from controlplane.runtime.services.answers import Attempt
from controlplane.runtime.services.chain import Target, fit, is_too_long

_TRIES = 2
_FIRST_PAUSE = 0.2
_SHARE = 2 / 3
# With another model at hand nobody waits for longer than this to be let in by the first.
_LONGEST_PAUSE = 5.0
_STALL_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """Who answered what, and who was asked before."""

    response: ProviderResponse
    target: Target
    attempts: tuple[Attempt, ...]
    dropped: tuple[str, ...]


async def call_first_able(
    providers: ProviderManager, targets: Sequence[Target], request: ProviderRequest, *, seconds: float
) -> Answer:
    """The answer of the first model that gives one, within `seconds`.

    Raises `AllProvidersFailedError` when none does, or at once what no other model would do better with
    (`ProviderError.falls_back` is false). An answer without a word is a failure like any other (`EmptyAnswerError`).
    """
    chain = _Chain(providers, request, deadline=time.monotonic() + seconds)
    for turn in chain.turns(targets):
        await asyncio.sleep(turn.pause)
        with turn.watched():
            limited = turn.limited(turn.until)
            async with asyncio.timeout(limited.timeout_seconds):
                response = await turn.provider().generate(limited)
            return turn.answer(response)
    raise errors.AllProvidersFailedError(chain.attempts)


async def stream_first_able(
    providers: ProviderManager,
    targets: Sequence[Target],
    request: ProviderRequest,
    *,
    seconds: float,
    stall_seconds: float = _STALL_SECONDS,
) -> AsyncGenerator[StreamPart | Answer, None]:
    """The answer of the first model that gives one, as it comes in: parts with text, then exactly one `Answer`.

    As `call_first_able`, and: another model is asked only as long as no text was passed on. After that a failure is a
    `StreamBrokenError` with the text so far. Between two signs of life no more than `stall_seconds` may pass. Whoever stops
    reading closes the generator (`contextlib.aclosing`), which ends the call.
    """
    chain = _Chain(providers, request, deadline=time.monotonic() + seconds)
    for turn in chain.turns(targets):
        await asyncio.sleep(turn.pause)
        with turn.watched():
            async with aclosing(_parts(turn, stall_seconds)) as parts:
                async for part in parts:
                    if part.response is None:
                        yield part
                    else:
                        yield turn.answer(part.response)
                        return
            raise turn.unavailable("its stream had no end")
    raise errors.AllProvidersFailedError(chain.attempts)


async def _parts(turn: "_Turn", stall_seconds: float) -> AsyncGenerator[StreamPart, None]:
    """The parts of one try that a reader should see, and the last one with the response.

    White space before the first word is held back, so that an answer without any can still be another model's.
    """
    held = ""
    async with (
        aclosing(_stream(turn)) as parts,
        aclosing(until(turn.deadline, parts, first_by=turn.until, stall_seconds=stall_seconds)) as timely,
    ):
        async for part in timely:
            if part.response is not None:
                yield part
                return
            held += part.text
            if held.strip() or (held and turn.passed_on):
                turn.passed_on += held
                yield StreamPart(held)
                held = ""


async def _stream(turn: "_Turn") -> AsyncGenerator[StreamPart, None]:
    """A provider's stream, as something that can be closed: an application's own may be no generator."""
    parts = turn.provider().stream(turn.limited(turn.deadline))
    try:
        async for part in parts:
            yield part
    finally:
        if isinstance(parts, AsyncGenerator):
            await parts.aclose()


@dataclass(slots=True, kw_only=True)
class _Turn:
    """One try of one model; `problem` is what it failed with."""

    providers: ProviderManager
    target: Target
    request: ProviderRequest
    dropped: tuple[str, ...]
    attempts: list[Attempt]
    pause: float
    """Seconds to wait before it."""
    until: float
    """When it is the next model's turn."""
    deadline: float
    """When the whole call has to be over."""
    passed_on: str = ""
    """The text that the reader of a stream has seen."""
    problem: errors.ProviderError | None = None
    started: float = field(default_factory=time.perf_counter)

    def provider(self) -> Provider:
        """Whom to ask; raises `ProviderNotConfiguredError`."""
        return self.providers.get_provider(self.target.provider)

    def limited(self, deadline: float) -> ProviderRequest:
        """The request with the time that is left until then."""
        request = replace(self.request, timeout_seconds=max(0.001, deadline - time.monotonic()))
        if request.max_tokens is None and self.target.model and isinstance(self.provider(), NeedsMaxTokens):
            return replace(request, max_tokens=self.target.model.max_output_tokens)
        return request

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Note a failure, and raise it only if no other model can help."""
        self.started = time.perf_counter()
        try:
            yield
        except Exception as found:
            self.problem = problem = self._typed(found)
            self._note(problem.kind, str(problem), (time.perf_counter() - self.started) * 1000)
            if self.passed_on:
                raise errors.StreamBrokenError(self.passed_on, problem, self.attempts) from found
            if not problem.falls_back:
                raise problem from (found if problem is not found else found.__cause__)

    def answer(self, response: ProviderResponse) -> Answer:
        """What to hand over; raises `EmptyAnswerError` when there is nothing in it."""
        if not response.text.strip():
            raise errors.EmptyAnswerError(
                response.finish_reason, provider=self.target.provider, model_id=self.target.model_id
            )
        self._note("answered", latency_ms=response.latency_ms)
        dropped = self.dropped + tuple(
            name for name in response.dropped_parameters if name not in self.dropped
        )
        return Answer(response, self.target, tuple(self.attempts), dropped)

    def unavailable(self, message: str) -> errors.ProviderUnavailableError:
        """The error for a model that did not do its part."""
        return errors.ProviderUnavailableError(
            message, provider=self.target.provider, model_id=self.target.model_id
        )

    def _typed(self, problem: Exception) -> errors.ProviderError:
        if isinstance(problem, errors.ProviderError):
            return problem
        if isinstance(problem, TimeoutError):
            return errors.ProviderTimeoutError(
                "no answer, or no further word of it, in time",
                provider=self.target.provider,
                model_id=self.target.model_id,
            )
        # A provider of the application's own may raise anything; the next model should still be asked.
        return self.unavailable(f"unexpected {type(problem).__name__}: {problem}")

    def _note(self, outcome: str, error: str | None = None, latency_ms: float | None = None) -> None:
        self.attempts.append(_attempt(self.target, outcome, error, latency_ms))


@dataclass(frozen=True, slots=True)
class _Chain:
    """Whose turn it is, until somebody answers."""

    providers: ProviderManager
    request: ProviderRequest
    deadline: float
    attempts: list[Attempt] = field(default_factory=list)

    def turns(self, targets: Sequence[Target]) -> Iterator[_Turn]:
        """One try after the other; whoever gets an answer asks for no more."""
        fitted = [(target, *fit(self.request, target)) for target in targets]
        last = max(
            (index for index, (target, own, _) in enumerate(fitted) if not is_too_long(own, target)),
            default=-1,
        )
        for index, (target, own, dropped) in enumerate(fitted):
            if is_too_long(own, target):
                too_long = "prompt and answer exceed its context window"
                self.attempts.append(_attempt(target, errors.ContextTooLongError.kind, too_long))
                continue
            now = time.monotonic()
            if now >= self.deadline:
                return
            share = 1.0 if index == last else _SHARE
            first = _Turn(
                providers=self.providers,
                target=target,
                request=own,
                dropped=dropped,
                attempts=self.attempts,
                pause=0.0,
                until=now + (self.deadline - now) * share,
                deadline=self.deadline,
            )
            yield from _tries(first, longest_pause=math.inf if index == last else _LONGEST_PAUSE)


def _tries(first: _Turn, *, longest_pause: float) -> Iterator[_Turn]:
    """A model's first turn, and another if that may help and there is time for it."""
    turn = first
    for number in range(_TRIES):
        yield turn
        problem = turn.problem
        if problem is None or not problem.retryable:
            return
        # Full jitter: those who failed together should not come back together.
        pause = random.uniform(0, _FIRST_PAUSE * 2**number)  # noqa: S311 - not a secret
        pause += problem.retry_after_seconds or 0.0
        if pause > longest_pause or time.monotonic() + pause >= turn.until:
            return
        turn = replace(turn, pause=pause, problem=None)


def _attempt(
    target: Target, outcome: str, error: str | None = None, latency_ms: float | None = None
) -> Attempt:
    return Attempt(
        provider=target.provider,
        model_code=target.code,
        model_id=target.model_id,
        outcome=outcome,
        error=error,
        latency_ms=latency_ms,
    )
