"""One database session per request, committed at the edge: when the answer's status is below 400, else rolled back.

Views ask for `db_session()`; nobody else commits. What must survive a refusal (a refused sign-in, a browser session)
is written through `independent()`.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

from flask import Flask, Response, current_app, g
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from controlplane.db import make_engine

SessionFactory = Callable[[], Session]


class LazyEngine:
    """An engine made at first use and once per process: connections must not be shared with a forked child."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._engine: Engine | None = None
        self._pid = 0

    def __call__(self) -> Session:
        """A fresh session on this process's engine."""
        if self._engine is None or self._pid != os.getpid():
            self._engine, self._pid = make_engine(self._url), os.getpid()
        return Session(self._engine, expire_on_commit=False)


def register(app: Flask, sessions: SessionFactory) -> None:
    """Commit at the edge. Must be the first to register an `after_request`: those run last to first."""
    app.extensions["sessions"] = sessions
    app.after_request(_finish)
    app.teardown_appcontext(_close)


def db_session() -> Session:
    """The request's session; opened at the first call, finished when the answer is known."""
    if "db_session" not in g:
        g.db_session = _sessions()()
    return cast("Session", g.db_session)


def discard() -> None:
    """Undo what the request has written so far: an error page must be able to read after a failed statement."""
    session: Session | None = g.get("db_session")
    if session is not None:
        session.rollback()


@contextmanager
def independent() -> Iterator[Session]:
    """A session with a transaction of its own, committed at the end of the block whatever the request comes to."""
    with _sessions()() as session, session.begin():
        yield session


def session_opener() -> SessionFactory:
    """What opens a session of one's own, also when the request is over: for an answer that is sent while it is read."""
    return _sessions()


def _sessions() -> SessionFactory:
    return cast("SessionFactory", current_app.extensions["sessions"])


def _finish(response: Response) -> Response:
    session: Session | None = g.get("db_session")
    if session is not None:
        if response.status_code < 400:
            session.commit()
        else:
            session.rollback()
    return response


def _close(_error: BaseException | None) -> None:
    session: Session | None = g.pop("db_session", None)
    if session is not None:
        session.close()
