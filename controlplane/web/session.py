"""Browser sessions as rows: sign-out really ends them, and a stolen database holds no usable cookie.

The cookie carries a random token, the row its SHA-256. A session ends after 30 idle minutes or 12 hours.
"""

import datetime as dt
import hashlib
import secrets
import uuid
from typing import Any, cast

from flask import Flask, Request, Response, session
from flask.sessions import SessionInterface, SessionMixin
from sqlalchemy import delete, insert, or_, select, update
from werkzeug.datastructures import CallbackDict

from controlplane.accounts.models import BrowserSession
from controlplane.db import UNAVAILABLE, now
from controlplane.web.problems import API
from controlplane.web.unit_of_work import independent

IDLE = dt.timedelta(minutes=30)
ABSOLUTE = dt.timedelta(hours=12)
# `seen_at` is written at most this often: a write for every page would double the work of reading one.
TOUCH = dt.timedelta(minutes=1)


class ServerSession(CallbackDict[str, Any], SessionMixin):
    """The mapping Flask and flask-login write into, and what has to happen to its row."""

    def __init__(
        self, data: dict[str, Any] | None = None, *, token: str | None = None, stale: bool = False
    ) -> None:
        def on_update(_session: CallbackDict[str, Any]) -> None:
            self.modified = True

        super().__init__(data or {}, on_update)
        self.token = token
        self.stale = stale
        self.replaces: str | None = None
        self.unreadable: Exception | None = None
        self.modified = False

    def rotate(self) -> None:
        """Go on under a new token and forget everything held so far: due whenever a person's rights change."""
        self.clear()
        self.replaces, self.token = self.token or self.replaces, None

    @property
    def person_id(self) -> uuid.UUID | None:
        """Whose session it is, out of flask-login's own key ("<person>:<epoch>")."""
        user_id = self.get("_user_id")
        return uuid.UUID(str(user_id).partition(":")[0]) if user_id else None


def register(app: Flask, *, secure: bool) -> None:
    """Keep sessions in the database."""
    app.session_interface = ServerSessions(secure=secure)
    app.before_request(_refuse_unreadable)


def count_as_idle() -> None:
    """For what a page asks by itself: it is no sign that anybody sits there, and keeps nobody signed in."""
    cast("ServerSession", session).stale = False


def _refuse_unreadable() -> None:
    """Flask opens the session before it can answer errors; so one that could not be read is reported here."""
    unreadable: Exception | None = getattr(session, "unreadable", None)
    if unreadable is not None:
        raise unreadable


class ServerSessions(SessionInterface):
    """Keeps `ServerSession`s in Postgres."""

    def __init__(self, *, secure: bool) -> None:
        # The prefix makes browsers refuse the cookie from anywhere but this very host over TLS; on plain http it cannot be used.
        self.cookie_name = "__Host-session" if secure else "session"
        self.secure = secure

    def open_session(self, app: Flask, request: Request) -> ServerSession:
        """The session of the cookie, or an empty one; static files and probes ask the database nothing, the API no cookie."""
        token = request.cookies.get(self.cookie_name)
        if (
            not token
            or request.path == "/healthz"
            or request.path.startswith((f"{app.static_url_path}/", API))
        ):
            return ServerSession()
        try:
            return _read(token)
        except UNAVAILABLE as down:
            empty = ServerSession()
            empty.unreadable = down
            return empty

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:  # noqa: ARG002 - the interface
        """Bring the row up to the session. A request that failed leaves its session as it was."""
        assert isinstance(session, ServerSession)  # noqa: S101 - what open_session made
        if response.status_code >= 500:
            return
        if session.replaces is not None:
            _delete(session.replaces)
        if session.token is None:
            if session:
                self._set_cookie(response, _create(session))
            elif session.replaces is not None:
                response.delete_cookie(
                    self.cookie_name, path="/", secure=self.secure, httponly=True, samesite="Lax"
                )
        elif session.modified or session.stale:
            _update(session)

    def _set_cookie(self, response: Response, token: str) -> None:
        response.set_cookie(
            self.cookie_name, token, path="/", secure=self.secure, httponly=True, samesite="Lax"
        )


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _read(token: str) -> ServerSession:
    with independent() as database:
        row = database.execute(
            select(BrowserSession.data, BrowserSession.seen_at).where(
                BrowserSession.token_sha256 == _digest(token),
                BrowserSession.seen_at > now() - IDLE,
                BrowserSession.created_at > now() - ABSOLUTE,
            )
        ).first()
    if row is None:
        return ServerSession()
    return ServerSession(row.data, token=token, stale=row.seen_at < now() - TOUCH)


def _create(session: ServerSession) -> str:
    token, moment = secrets.token_urlsafe(32), now()
    with independent() as database:
        # Sweeping here costs nothing on ordinary pages and keeps the table to living sessions.
        database.execute(
            delete(BrowserSession).where(
                or_(BrowserSession.seen_at < moment - IDLE, BrowserSession.created_at < moment - ABSOLUTE)
            )
        )
        database.execute(
            insert(BrowserSession).values(
                token_sha256=_digest(token),
                person_id=session.person_id,
                data=dict(session),
                created_at=moment,
                seen_at=moment,
            )
        )
    return token


def _update(session: ServerSession) -> None:
    """An UPDATE on purpose: a session ended meanwhile by a sign-out elsewhere must not come back."""
    assert session.token is not None  # noqa: S101 - the caller's branch
    values: dict[str, Any] = {"seen_at": now()}
    if session.modified:
        values["data"] = dict(session)
    with independent() as database:
        database.execute(
            update(BrowserSession).where(BrowserSession.token_sha256 == _digest(session.token)).values(values)
        )


def _delete(token: str) -> None:
    with independent() as database:
        database.execute(delete(BrowserSession).where(BrowserSession.token_sha256 == _digest(token)))
