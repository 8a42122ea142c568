"""Everything that can go wrong, as a page: one table from error to words, each with the request's id.

For a call of the API the same words are a problem in JSON.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Flask, current_app, g, render_template, request
from sqlalchemy.exc import DataError
from werkzeug.exceptions import HTTPException, InternalServerError

from controlplane.accounts import services as accounts
from controlplane.accounts.actor import Role
from controlplane.audit.plain import visible
from controlplane.db import UNAVAILABLE, NoConnectionFree
from controlplane.errors import Conflict, Forbidden, NotFound, Refused
from controlplane.registry.models import Environment
from controlplane.tokens import services as tokens
from controlplane.tokens.counting import TooManyCalls
from controlplane.tokens.services import NotKnown, OutOfScope
from controlplane.web import problems
from controlplane.web.access import SignedIn, current_actor, people_with, signed_in_or_none
from controlplane.web.bearer import REALM, NoToken, TokenInAddress, bearer_or_none
from controlplane.web.csrf import SAFE_METHODS
from controlplane.web.unit_of_work import discard, independent

Answer = tuple[str, int] | tuple[str, int, dict[str, str]]


@dataclass(frozen=True)
class Words:
    """The heading of an error page and the sentence under it."""

    title: str
    text: str


TABLE = {
    400: Words("That request cannot be read", "Something in the address or the form is not as it should be."),
    401: Words("A token is needed", "Send one in the Authorization header."),
    403: Words("You may not do this", "Your role does not cover it."),
    404: Words("Page not found", "Check the address, or start from one of the places in the navigation."),
    405: Words("Not this way", "This address exists, but does not take this kind of request."),
    409: Words("Somebody was faster", "What you were changing was changed meanwhile. Nothing was saved."),
    413: Words("Too much at once", "At most 1 MiB can be sent. Nothing was saved."),
    415: Words("That request cannot be read", "Its content is of a kind this page does not take."),
    422: Words("This cannot be accepted", "Nothing was saved."),
    429: Words("Too many attempts", "Wait a little, then try again."),
    500: Words("Something broke here", "Nothing was saved. The fault is ours and has been written to the log."),
    503: Words("Not available at the moment", "The database does not answer. What is live is not affected: services go on with their last release."),
}  # fmt: skip

# Where a program is told something else than a person.
FOR_PROGRAMS = {
    400: Words("That request cannot be read", "Something in the address or the body is not as it should be."),
    404: Words("Not found", "There is no such address in the API."),
}


def register(app: Flask) -> None:
    """Answer every error with a page."""
    app.register_error_handler(NotFound, lambda error: error_page(404, str(error)))
    app.register_error_handler(Forbidden, _forbidden)
    app.register_error_handler(Conflict, lambda error: error_page(409, str(error) or None))
    app.register_error_handler(Refused, _refused)
    app.register_error_handler(NotKnown, _not_known)
    app.register_error_handler(OutOfScope, _out_of_scope)
    app.register_error_handler(TooManyCalls, _too_many_calls)
    # A NUL or a number beyond all bounds in an address or form: Postgres cannot hold it, so nothing can match it.
    app.register_error_handler(DataError, lambda _error: error_page(400))
    for kind in UNAVAILABLE:
        app.register_error_handler(kind, _unavailable)
    app.register_error_handler(HTTPException, _http)


def error_page(
    status: int,
    text: str | None = None,
    *,
    details: list[str] | None = None,
    errors: Iterable[Mapping[str, Any]] = (),
) -> Answer:
    """The page for a status. Without a person, or when the database is down, it is drawn without the frame.

    For a call of the API it is a problem, with what is wrong field by field in `errors`.
    """
    discard()
    words = TABLE.get(status, TABLE[400 if status < 500 else 500])
    if problems.is_called():
        listed = list(errors)
        words = FOR_PROGRAMS.get(status, words)
        told = " ".join(str(each["message"]) for each in listed)
        return problems.problem(status, words.title, text or told or words.text, errors=listed)
    framed = status < 500 and _quietly(signed_in_or_none) is not None
    page = render_template(
        "errors/error.html",
        layout="base.html" if framed else "bare.html",
        status=status,
        words=words,
        text=text or words.text,
        details=details or [],
        request_id=g.get("request_id", ""),
        home="/",
    )
    return page, status


def _forbidden(error: Forbidden) -> Answer:
    discard()
    if problems.is_called():
        _tell_refused_token(str(error))
        return error_page(403, str(error))
    person = signed_in_or_none()
    if person is not None and request.method not in SAFE_METHODS:
        _tell_refused(person, error.needs)
    details = [f"You are signed in as {person.name}, {person.role.label}."] if person else []
    # What is needed may be more than a role, "Publisher, and a person": then the sentence says it all.
    role = next((each for each in Role if each.label == error.needs), None)
    if role is not None and (names := people_with(role)):
        details.append(f"Ask: {names}.")
    return error_page(403, f"This needs the role {error.needs}.", details=details)


def _tell_refused(person: SignedIn, needs: str) -> None:
    """Who tries to change what they may not is what a reviewer of the record asks for."""
    given = (request.view_args or {}).get("environment")
    with independent() as session:
        accounts.tell_refused(
            session,
            actor=current_actor(),
            email=person.email,
            what=f"{request.method} {request.path}",
            needs=needs,
            # Asked before anybody looked whether there is such an environment.
            environment=given if given and session.get(Environment, given) else None,
        )


def _refused(error: Refused) -> Answer:
    return error_page(422, details=list(error.errors.values()), errors=problems.errors_of(error))


def _not_known(error: NotKnown) -> Answer:
    """Whoever calls without a token, or with one that is not taken, is told what is wrong with it and how it is sent."""
    if isinstance(error, TokenInAddress):
        return error_page(400, str(error))
    told = "" if isinstance(error, NoToken) else ', error="invalid_token"'
    return _with(error_page(401, str(error)), {"WWW-Authenticate": f'Bearer realm="{REALM}"{told}'})


def _out_of_scope(error: OutOfScope) -> Answer:
    discard()
    _tell_refused_token(str(error))
    scope = f', scope="{error.scope}"' if error.scope else ""
    challenge = f'Bearer realm="{REALM}", error="insufficient_scope"{scope}'
    words = "The token does not cover this"
    more: dict[str, Any] = {"scope": error.scope.value} if error.scope else {}
    return problems.problem(403, words, str(error), headers={"WWW-Authenticate": challenge}, **more)


def _too_many_calls(error: TooManyCalls) -> Answer:
    words = "Too many calls"
    return problems.problem(429, words, str(error), headers={"Retry-After": str(error.retry_after)})


def _tell_refused_token(why: str) -> None:
    caller = bearer_or_none()
    if caller is None:
        return
    given = (request.view_args or {}).get("environment")
    with independent() as session:
        tokens.tell_refused(
            session,
            caller,
            what=f"{request.method} {request.path}",
            why=why,
            environment=given if given and "\x00" not in given and session.get(Environment, given) else None,
        )


def _with(answer: Answer, headers: Mapping[str, str]) -> Answer:
    """An answer with further headers."""
    return answer[0], answer[1], {**(answer[2] if len(answer) == 3 else {}), **headers}


def _unavailable(error: Exception) -> Answer:
    current_app.logger.error(
        "request %s: the database does not answer: %s", g.get("request_id"), type(error).__name__
    )
    crowded = isinstance(error, NoConnectionFree)
    words = "Too many pages are asked for at once. Nothing was saved; try again." if crowded else None
    return _with(error_page(503, words), {"Retry-After": "2"})


def _http(error: HTTPException) -> Answer | HTTPException:
    status = error.code or 500
    if 300 <= status < 400:
        return error  # werkzeug's redirect to the address with its slash
    if isinstance(error, InternalServerError):
        current_app.logger.error(
            "request %s failed: %s %s", g.get("request_id"), request.method, visible(request.path)
        )
    # Werkzeug's own descriptions speak to programmers; only words given to abort() by us are shown.
    own = error.description if error.description != type(error).description and status < 500 else None
    headers = {name: value for name, value in error.get_headers() if name in {"Allow", "Retry-After"}}
    return _with(error_page(status, own), headers)


def _quietly(ask: Callable[[], object]) -> object:
    """Who is signed in, unless asking is what fails."""
    try:
        return ask()
    except UNAVAILABLE:
        return None
