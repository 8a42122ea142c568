"""Errors as `application/problem+json` (RFC 9457), each with the id of the request."""

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from controlplane.runtime.errors import ConfigurationNotFoundError, ControlPlaneRuntimeError
from controlplane.runtime.providers import errors as providers
from controlplane.runtime.services.configuration import NoReleaseError

_log = logging.getLogger(__name__)


class UnknownEnvironmentError(ControlPlaneRuntimeError):
    """The environment asked for is not served by this process."""

    def __init__(self, environment: str, served: Sequence[str]) -> None:
        super().__init__(f"This service serves {', '.join(served)}, not {environment}.")


# The first class that fits decides.
_STATUS: tuple[tuple[type[ControlPlaneRuntimeError], HTTPStatus], ...] = (
    (UnknownEnvironmentError, HTTPStatus.NOT_FOUND),
    (ConfigurationNotFoundError, HTTPStatus.NOT_FOUND),
    (NoReleaseError, HTTPStatus.SERVICE_UNAVAILABLE),
    (providers.ContentFilteredError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (providers.ProviderError, HTTPStatus.BAD_GATEWAY),
    (ControlPlaneRuntimeError, HTTPStatus.INTERNAL_SERVER_ERROR),
)


def problem(status: int, detail: str, request_id: str, **more: Any) -> JSONResponse:
    """One error as an answer."""
    content = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
        "request_id": request_id,
        **more,
    }
    return JSONResponse(content, status_code=status, media_type="application/problem+json")


def register_problems(app: FastAPI) -> None:
    """Have the application answer every error in this one shape."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ControlPlaneRuntimeError, _runtime)


def request_id_of(request: Request) -> str:
    """The id that the edge gave this request."""
    return str(request.scope.get("request_id", ""))


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
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    more: dict[str, Any] = {}
    if isinstance(error, providers.ProviderError):
        more["kind"] = error.kind
    if isinstance(error, providers.AllProvidersFailedError):
        more["attempts"] = error.attempts
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("request %s failed: %s", request_id_of(request), error)
    return problem(status, str(error), request_id_of(request), **_plain(more))


def _plain(more: dict[str, Any]) -> dict[str, Any]:
    from fastapi.encoders import jsonable_encoder

    plain: dict[str, Any] = jsonable_encoder(more)
    return plain
