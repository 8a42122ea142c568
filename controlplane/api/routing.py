"""The blueprint of the API, how a body is read, and how an answer is made."""

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any, TypeVar

from flask import Blueprint, Response, abort, jsonify, request
from pydantic import BaseModel, ValidationError

from controlplane.errors import Refused
from controlplane.prompts.render_pool import RenderBusy
from controlplane.prompts.routing import retry_after
from controlplane.registry.models import Environment
from controlplane.runtime import canonical
from controlplane.web.bearer import bearer_or_none
from controlplane.web.forms import messages_by_path
from controlplane.web.problems import problem
from controlplane.web.unit_of_work import db_session, discard

ROOT = "/api/v1"
HERE = "/<environment>"

M = TypeVar("M", bound=BaseModel)

blueprint = Blueprint("api", __name__, url_prefix=ROOT)


@blueprint.errorhandler(RenderBusy)
def busy(error: RenderBusy) -> tuple[str, int, dict[str, str]]:
    """All render workers are at work: nothing is wrong with what was sent."""
    discard()
    return problem(429, "Too much at once", str(error), headers=retry_after(error))


@blueprint.after_request
def tell_end(answer: Response) -> Response:
    """Say until when the token lives, with each answer: whoever runs a pipeline learns of it before it stops."""
    caller = bearer_or_none()
    if caller is not None:
        answer.headers["Token-Expires"] = caller.expires_at.astimezone(dt.UTC).isoformat(timespec="seconds")
    return answer


def body_as(model: type[M]) -> M:
    """Return what was sent, checked: every error at once, by field. Raises `Refused`."""
    if not request.is_json:
        abort(415, "Send JSON, with Content-Type: application/json.")
    return checked(model, _document(request.get_data()))


def query_as(model: type[M]) -> M:
    """Return what the address asks for, checked. Raises `Refused`."""
    wrong = {
        name: "Give this once." if name in model.model_fields else "There is no such parameter."
        for name, values in sorted(request.args.lists())
        if name not in model.model_fields or len(values) > 1
    }
    if wrong:
        raise Refused(wrong)
    return checked(model, {name: value for name, value in request.args.items() if value.strip()})


def checked(model: type[M], document: Mapping[str, Any]) -> M:
    """Return a document as the model has it; raises `Refused` with every error."""
    try:
        return model.model_validate(document)
    except ValidationError as wrong:
        raise Refused(messages_by_path(wrong)) from None


def environment_row(code: str) -> Environment:
    """Return the environment of the address; that it is there was checked with the token."""
    return db_session().get_one(Environment, code)


def answered(document: Any, status: int = 200, *, location: str | None = None) -> Response:
    """Return a document as the answer; `location` is the address of what was made."""
    answer = jsonify(document)
    answer.status_code = status
    if location is not None:
        answer.headers["Location"] = location
    return answer


def _document(data: bytes) -> dict[str, Any]:
    try:
        found = canonical.loads(data.decode("utf-8"))
        # Half a character is in no text that can be kept.
        json.dumps(found, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as wrong:
        abort(400, f"This is not JSON: line {wrong.lineno}, column {wrong.colno}: {wrong.msg}.")
    except UnicodeError:
        abort(400, "This is not UTF-8, or has half a character in it.")
    except ValueError as wrong:
        abort(400, f"This JSON cannot be used: {wrong}.")
    if not isinstance(found, dict):
        abort(400, "Send an object, in { }.")
    return found
