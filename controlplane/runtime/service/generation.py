"""The endpoints that call models."""

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


@router.post("/coaching/responses", summary="The coach's next turn", response_model=None, responses=_ANSWERS)
async def coaching_response(
    request: Request, serving: Served, asked: asking.CoachingRequest
) -> GeneratedAnswer | Response:
    """A turn of a conversation, with everything that explains it."""
    service = _service(serving, asked)
    if _wants_stream(request, asked):
        parts = service.stream_coaching_response(**asked.arguments())
        return await stream(request, parts, lambda response: _answer(serving, response))
    return _answer(serving, await service.generate_coaching_response(**asked.arguments()))


@router.post("/analyses", summary="A single-shot analysis", response_model=None, responses=_ANSWERS)
async def analysis(
    request: Request, serving: Served, asked: asking.AnalysisRequest
) -> GeneratedAnswer | Response:
    """One question with everything that is needed to answer it; parsed has the answer as data where it is JSON."""
    service = _service(serving, asked)
    if _wants_stream(request, asked):
        parts = service.stream_single_shot_analysis(**asked.arguments())
        return await stream(request, parts, lambda response: _answer(serving, response))
    return _answer(serving, await service.generate_single_shot_analysis(**asked.arguments()))


@router.post("/insights", summary="Insights", response_model=None, responses=_ANSWERS)
async def insights(
    request: Request, serving: Served, asked: asking.InsightsRequest
) -> GeneratedAnswer | Response:
    """What the owner of a business may have missed, from a conversation and figures."""
    service = _service(serving, asked)
    if _wants_stream(request, asked):
        parts = service.stream_insights(**asked.arguments())
        return await stream(request, parts, lambda response: _answer(serving, response))
    return _answer(serving, await service.generate_insights(**asked.arguments()))


def _service(
    serving: Serving, asked: asking.CoachingRequest | asking.AnalysisRequest | asking.InsightsRequest
) -> LLMService:
    service = serving.environment(asked.environment).service
    return service.acting_for(tenant_id=asked.tenant_id or None, user_id=asked.user_id or None)


def _wants_stream(
    request: Request, asked: asking.CoachingRequest | asking.AnalysisRequest | asking.InsightsRequest
) -> bool:
    accepted = [one.partition(";")[0].strip().lower() for one in request.headers.get("accept", "").split(",")]
    return asked.stream or MEDIA_TYPE in accepted


def _answer(serving: Serving, response: LLMResponse) -> GeneratedAnswer:
    return GeneratedAnswer.of(response, providers=serving.providers.mode)
