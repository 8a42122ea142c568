"""Everything that can go wrong, as a page: one table from error to words, each with the request's id."""

from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask, current_app, g, render_template, request
from sqlalchemy.exc import DataError
from werkzeug.exceptions import HTTPException, InternalServerError

from controlplane.accounts import services as accounts
from controlplane.accounts.actor import Role
from controlplane.db import UNAVAILABLE, NoConnectionFree
from controlplane.errors import Conflict, Forbidden, NotFound, Refused
from controlplane.registry.models import Environment
from controlplane.web.access import SignedIn, current_actor, people_with, signed_in_or_none
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


def register(app: Flask) -> None:
    """Answer every error with a page."""
    app.register_error_handler(NotFound, lambda error: error_page(404, str(error)))
    app.register_error_handler(Forbidden, _forbidden)
    app.register_error_handler(Conflict, lambda error: error_page(409, str(error) or None))
    app.register_error_handler(Refused, _refused)
    # A NUL or a number beyond all bounds in an address or form: Postgres cannot hold it, so nothing can match it.
    app.register_error_handler(DataError, lambda _error: error_page(400))
    for kind in UNAVAILABLE:
        app.register_error_handler(kind, _unavailable)
    app.register_error_handler(HTTPException, _http)


def error_page(status: int, text: str | None = None, *, details: list[str] | None = None) -> Answer:
    """The page for a status. Without a person, or when the database is down, it is drawn without the frame."""
    discard()
    words = TABLE.get(status, TABLE[400 if status < 500 else 500])
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
    return error_page(422, details=list(error.errors.values()))


def _unavailable(error: Exception) -> Answer:
    current_app.logger.error(
        "request %s: the database does not answer: %s", g.get("request_id"), type(error).__name__
    )
    crowded = isinstance(error, NoConnectionFree)
    words = "Too many pages are asked for at once. Nothing was saved; try again." if crowded else None
    page, status = error_page(503, words)[:2]
    return page, status, {"Retry-After": "2"}


def _http(error: HTTPException) -> Answer | HTTPException:
    status = error.code or 500
    if 300 <= status < 400:
        return error  # werkzeug's redirect to the address with its slash
    if isinstance(error, InternalServerError):
        current_app.logger.error(
            "request %s failed: %s %s", g.get("request_id"), request.method, request.path
        )
    # Werkzeug's own descriptions speak to programmers; only words given to abort() by us are shown.
    own = error.description if error.description != type(error).description and status < 500 else None
    page, code = error_page(status, own)[:2]
    headers = {name: value for name, value in error.get_headers() if name in {"Allow", "Retry-After"}}
    return page, code, headers


def _quietly(ask: Callable[[], object]) -> object:
    """Who is signed in, unless asking is what fails."""
    try:
        return ask()
    except UNAVAILABLE:
        return None
