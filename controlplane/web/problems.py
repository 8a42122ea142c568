"""What goes wrong with a call of the API, as RFC 9457 has it: `application/problem+json`, with each field that is wrong."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from flask import g, request

API: Final = "/api/"
MIMETYPE: Final = "application/problem+json"
_TYPES: Final = "urn:llm-control-plane:problem:"

Answer = tuple[str, int, dict[str, str]]


def is_called() -> bool:
    """Whether a program asks, and not a browser: everything under `/api/` is answered in JSON, whether it exists or not."""
    return request.path.startswith(API)


def problem(
    status: int,
    title: str,
    detail: str,
    *,
    errors: Iterable[Mapping[str, Any]] = (),
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Answer:
    """Return the answer; the type is made of the title, so that each title is one type."""
    document = {
        "type": _TYPES + "-".join(word for word in title.lower().split() if word.isalnum()),
        "title": title,
        "status": status,
        "detail": detail,
        **more,
        "request_id": g.get("request_id", ""),
    }
    listed = [dict(each) for each in errors]
    if listed:
        document["errors"] = listed
    body = json.dumps(document, ensure_ascii=False)
    return body, status, {"Content-Type": MIMETYPE, **(headers or {})}


def errors_of(refusal: Exception) -> list[dict[str, Any]]:
    """Return what a `Refused` says, field by field; where in a text, when it knows that."""
    errors: Mapping[str, str] = getattr(refusal, "errors", {})
    place = {
        name: found for name in ("line", "column") if (found := getattr(refusal, name, None)) is not None
    }
    return [{"field": name, "message": message, **place} for name, message in errors.items()]
