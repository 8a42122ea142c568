"""The workflows: the steps from an application's request to an answer, one after the other."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from controlplane.runtime.providers.errors import ProviderError
from controlplane.runtime.providers.manager import ProviderManager
from controlplane.runtime.recording import Recorder
from controlplane.runtime.services.answers import LLMResponse, Step
from controlplane.runtime.services.calling import Answer, call_first_able, stream_first_able
from controlplane.runtime.services.calls import Analysis, Call
from controlplane.runtime.services.measuring import Measurements
from controlplane.runtime.services.parsing import Reading, asks_for_json, read_json
from controlplane.runtime.services.planning import Plan, Planner
from controlplane.runtime.services.remembering import remember
from controlplane.runtime.services.responses import make_response
from controlplane.runtime.sources import ReleaseSource


class WorkflowOrchestrator:
    """Takes a call through its steps: resolve → render → call → parse.

    What the configuration says reaches the provider untouched: no step in between knows a model or a parameter of its own.
    """

    def __init__(
        self,
        planner: Planner,
        providers: ProviderManager,
        releases: ReleaseSource,
        measured: Measurements,
        *,
        timeout_seconds: float,
        recorder: Recorder | None = None,
    ) -> None:
        self._planner = planner
        self._providers = providers
        self._releases = releases
        self._measured = measured
        self._timeout_seconds = timeout_seconds
        self._recorder = recorder

    async def answer(self, call: Call) -> LLMResponse:
        """The whole answer; raises `ProviderError` when no model gives one, or none should be asked further."""
        started = time.perf_counter()
        plan = await self._planner.plan(call)  # resolve → render
        answer = await self._ask(call, plan, started)
        return self._respond(call, plan, answer, time.perf_counter() - started)

    async def stream(self, call: Call) -> AsyncGenerator[str | LLMResponse, None]:
        """Pieces of the text as they come, and the whole response after the last of them.

        Raises as `answer` does; once a piece was handed over no other model is asked any more.
        """
        started = time.perf_counter()
        plan = await self._planner.plan(call)
        parts = stream_first_able(self._providers, plan.targets, plan.request, seconds=self._timeout_seconds)
        async with aclosing(parts):
            try:
                async for part in parts:
                    if isinstance(part, Answer):
                        yield self._respond(call, plan, part, time.perf_counter() - started)
                    elif part.response is None:
                        yield part.text
            except ProviderError as problem:
                self._failed(call, plan, problem, started)
                raise

    async def _ask(self, call: Call, plan: Plan, started: float) -> Answer:
        try:
            return await call_first_able(
                self._providers, plan.targets, plan.request, seconds=self._timeout_seconds
            )
        except ProviderError as problem:
            self._failed(call, plan, problem, started)
            raise

    def _failed(self, call: Call, plan: Plan, problem: ProviderError, started: float) -> None:
        self._measured.failed(plan.descent, problem.kind)
        if self._recorder is not None and self._recorder.chooses():
            remember(self._recorder, call, plan, seconds=time.perf_counter() - started, error=problem.kind)

    def _respond(self, call: Call, plan: Plan, answer: Answer, seconds: float) -> LLMResponse:
        if answer.target is not plan.targets[0]:
            self._note_fallback(plan, answer)
        reading = self._parse(call, plan, answer)
        response = make_response(call, plan, answer, reading, age_seconds=self._age_of(plan))
        self._measured.answered(plan.descent, response, seconds)
        if self._recorder is not None and self._recorder.chooses():
            remember(self._recorder, call, plan, seconds=seconds, response=response)
        return response

    def _note_fallback(self, plan: Plan, answer: Answer) -> None:
        failed = answer.attempts[:-1]
        plan.descent.steps.append(Step.FALLBACK_MODEL)
        plan.descent.because.append("; ".join(attempt.error or attempt.outcome for attempt in failed))
        self._measured.stepped_down(plan.descent, Step.FALLBACK_MODEL, failed[-1].outcome)

    def _parse(self, call: Call, plan: Plan, answer: Answer) -> Reading:
        """The answer of an analysis as data, where its prompt (or the caller) asks for JSON."""
        if not isinstance(call, Analysis):
            return Reading()
        wanted = call.answer_format or ("json" if asks_for_json(plan.instructions) else "text")
        if wanted != "json":
            return Reading()
        reading = read_json(answer.response.text)
        if reading.error is not None:
            self._measured.failed(plan.descent, "parse")
        return reading

    def _age_of(self, plan: Plan) -> float | None:
        return self._releases.state.age_seconds if plan.resolution is not None else None
