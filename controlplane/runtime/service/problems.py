"""Errors as `application/problem+json` (RFC 9457), each with the id of the request."""

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from controlplane.runtime.errors import (
    ConfigurationNotFoundError,
    ControlPlaneRuntimeError,
    TemplateNotFoundError,
    TemplateRenderError,
)
from controlplane.runtime.providers import errors as providers
from controlplane.runtime.services.configuration import NoReleaseError
from controlplane.runtime.services.prompts import UnknownTopicError

MEDIA_TYPE = "application/problem+json"
_log = logging.getLogger(__name__)


class UnknownEnvironmentError(ControlPlaneRuntimeError):
    """The environment asked for is not served by this process."""

    kind = "unknown_environment"

    def __init__(self, environment: str, served: Sequence[str]) -> None:
        super().__init__(f"This service serves {', '.join(served)}, not {environment}.")


# The first class that fits decides.
_STATUS: tuple[tuple[type[ControlPlaneRuntimeError], HTTPStatus], ...] = (
    (UnknownEnvironmentError, HTTPStatus.NOT_FOUND),
    (ConfigurationNotFoundError, HTTPStatus.NOT_FOUND),
    (TemplateNotFoundError, HTTPStatus.NOT_FOUND),
    (TemplateRenderError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (UnknownTopicError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (NoReleaseError, HTTPStatus.SERVICE_UNAVAILABLE),
    (providers.ContentFilteredError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (providers.ProviderError, HTTPStatus.BAD_GATEWAY),
    (ControlPlaneRuntimeError, HTTPStatus.INTERNAL_SERVER_ERROR),
)
# What the errors that have more to say are asked for; None is left out.
_FIELDS = ("kind", "attempts", "prompt", "version", "line", "parameter")
_UNEXPECTED = "Something went wrong here; the log has the request's id."


def problem(status: int, detail: str, request_id: str, **more: Any) -> JSONResponse:
    """One error as an answer."""
    return JSONResponse(
        _document(status, detail, request_id, **more), status_code=status, media_type=MEDIA_TYPE
    )


def document_of(request: Request, error: Exception) -> dict[str, Any]:
    """The problem that an error is; one that nobody expected is logged, and says nothing of itself."""
    request_id = request_id_of(request)
    if not isinstance(error, ControlPlaneRuntimeError):
        _log.error("request %s failed", request_id, exc_info=error)
        return _document(HTTPStatus.INTERNAL_SERVER_ERROR, _UNEXPECTED, request_id)
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("request %s failed: %s", request_id, error)
    more = {name: getattr(error, name, None) for name in _FIELDS}
    known = {name: value for name, value in more.items() if value is not None}
    return _document(status, str(error), request_id, **jsonable_encoder(known))


def register_problems(app: FastAPI) -> None:
    """Have the application answer every error in this one shape."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ControlPlaneRuntimeError, _runtime)


def request_id_of(request: Request) -> str:
    """The id that the edge gave this request."""
    return str(request.scope.get("request_id", ""))


def _document(status: int, detail: str, request_id: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
        "request_id": request_id,
        **more,
    }


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this type only
    # Without the values that came: they may be what a person told a coach.
    fields = [{"field": ".".join(map(str, one["loc"])), "message": one["msg"]} for one in error.errors()]
    return problem(422, "The request is not valid.", request_id_of(request), errors=fields)


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - as above
    answer = problem(error.status_code, str(error.detail), request_id_of(request))
    answer.headers.update(error.headers or {})
    return answer


async def _runtime(request: Request, error: Exception) -> JSONResponse:
    document = document_of(request, error)
    return JSONResponse(document, status_code=document["status"], media_type=MEDIA_TYPE)
