"""The endpoints that call models."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from controlplane.runtime.service import asking
from controlplane.runtime.service.asking import GeneratedAnswer
from controlplane.runtime.service.serving import Serving, serving_of
from controlplane.runtime.service.streams import MEDIA_TYPE, json_bytes, stream
from controlplane.runtime.services.answers import LLMResponse
from controlplane.runtime.services.llm import LLMService

_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "model": GeneratedAnswer,
        "description": "The answer; as events text, done and error when a stream was asked for.",
        "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
    }
}


class _Json(JSONResponse):
    def render(self, content: Any) -> bytes:
        return json_bytes(content)


router = APIRouter(prefix="/v1", tags=["Generation"], default_response_class=_Json)
Served = Annotated[Serving, Depends(serving_of)]
Asked = asking.CoachingRequest | asking.AnalysisRequest | asking.InsightsRequest


@router.post("/coaching/responses", summary="The coach's next turn", response_model=None, responses=_ANSWERS)
async def coaching_response(
    request: Request, serving: Served, asked: asking.CoachingRequest
) -> GeneratedAnswer | Response:
    """A turn of a conversation, with everything that explains it."""
    service, given = _service(serving, asked), asked.arguments()
    return await _respond(
        request,
        serving,
        asked,
        whole=lambda: service.generate_coaching_response(**given),
        pieces=lambda: service.stream_coaching_response(**given),
    )


@router.post("/analyses", summary="A single-shot analysis", response_model=None, responses=_ANSWERS)
async def analysis(
    request: Request, serving: Served, asked: asking.AnalysisRequest
) -> GeneratedAnswer | Response:
    """One question with everything that is needed to answer it; parsed has the answer as data where it is JSON."""
    service, given = _service(serving, asked), asked.arguments()
    return await _respond(
        request,
        serving,
        asked,
        whole=lambda: service.generate_single_shot_analysis(**given),
        pieces=lambda: service.stream_single_shot_analysis(**given),
    )


@router.post("/insights", summary="Insights", response_model=None, responses=_ANSWERS)
async def insights(
    request: Request, serving: Served, asked: asking.InsightsRequest
) -> GeneratedAnswer | Response:
    """What the owner of a business may have missed, from a conversation and figures."""
    service, given = _service(serving, asked), asked.arguments()
    return await _respond(
        request,
        serving,
        asked,
        whole=lambda: service.generate_insights(**given),
        pieces=lambda: service.stream_insights(**given),
    )


async def _respond(
    request: Request,
    serving: Serving,
    asked: Asked,
    *,
    whole: Callable[[], Awaitable[LLMResponse]],
    pieces: Callable[[], AsyncGenerator[str | LLMResponse, None]],
) -> GeneratedAnswer | Response:
    """The answer in the way the caller wants it."""

    def answer(response: LLMResponse) -> GeneratedAnswer:
        return GeneratedAnswer.of(response, providers=serving.providers.mode)

    if _wants_stream(request, asked):
        return await stream(request, pieces(), answer)
    return answer(await whole())


def _service(serving: Serving, asked: Asked) -> LLMService:
    service = serving.environment(asked.environment).service
    return service.acting_for(tenant_id=asked.tenant_id or None, user_id=asked.user_id or None)


def _wants_stream(request: Request, asked: Asked) -> bool:
    accepted = [one.partition(";")[0].strip().lower() for one in request.headers.get("accept", "").split(",")]
    return asked.stream or MEDIA_TYPE in accepted
