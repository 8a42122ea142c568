"""Which environment a page is about, and the bar that says so.

Addresses of what is live begin with it (`/production/configurations`). Pages without one remember the environment
last looked at, or take `?in=staging`, so that links from them lead to where one came from.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from flask import Flask, Response, current_app, g, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.routing import BuildError

from controlplane.errors import NotFound
from controlplane.registry.models import Environment as EnvironmentRow
from controlplane.web.access import signed_in_or_none
from controlplane.web.unit_of_work import db_session

COOKIE = "environment"


@dataclass(frozen=True)
class Environment:
    """A place with its own live set."""

    code: str
    name: str
    protected: bool


@dataclass(frozen=True)
class LiveRelease:
    """What the bar says about the release that is live; `confirmed` of so many `processes` serve it."""

    number: int
    published_at: dt.datetime | None = None
    confirmed: int = 0
    processes: int = 0


@dataclass(frozen=True)
class Switch:
    """A link of the bar: the same page in another environment."""

    name: str
    url: str
    current: bool


LiveReleaseOf = Callable[[Session, str], LiveRelease | None]


def register(app: Flask) -> None:
    """Check the environment of every address; must come after access, which decides who learns what exists."""
    app.config.setdefault("LIVE_RELEASE", lambda _session, _environment: None)
    app.before_request(resolve)
    app.url_defaults(_fill_in)
    app.after_request(_remember)


def environments() -> list[Environment]:
    """Those in use, in their order; asked once per request."""
    if "environments" not in g:
        rows = db_session().scalars(
            select(EnvironmentRow)
            .where(EnvironmentRow.archived_at.is_(None))
            .order_by(EnvironmentRow.position, EnvironmentRow.code)
        )
        g.environments = [Environment(row.code, row.name, row.protected) for row in rows]
    return cast("list[Environment]", g.environments)


def current_environment() -> Environment | None:
    """The environment of the address, else the one last looked at, else the first protected one: production."""
    if "environment" not in g:
        wanted = request.args.get("in") or request.cookies.get(COOKIE)
        known = environments()
        first = next((each for each in known if each.protected), known[0] if known else None)
        g.environment = next((each for each in known if each.code == wanted), first)
    return cast("Environment | None", g.environment)


def live_release(environment: Environment) -> LiveRelease | None:
    """What is live there. Releases are a feature above this plumbing, so the factory is handed the function."""
    return cast("LiveReleaseOf", current_app.config["LIVE_RELEASE"])(db_session(), environment.code)


def switches() -> list[Switch]:
    """A link to this page in each environment."""
    here = current_environment()
    return [Switch(each.name, _same_page_in(each), each == here) for each in environments()]


def resolve() -> None:
    """Turn the code in the address into an environment, or answer 404."""
    code = (request.view_args or {}).get("environment")
    if code is None or signed_in_or_none() is None:
        return
    found = next((each for each in environments() if each.code == code), None)
    if found is None:
        raise NotFound("environment", code)
    g.environment = found


def _same_page_in(environment: Environment) -> str:
    query: Mapping[str, Any] = request.args.to_dict(flat=False)
    endpoint, arguments = request.endpoint, dict(request.view_args or {})
    if endpoint is None or request.method not in {"GET", "HEAD"} or request.url_rule is None:
        return url_for("overview.show", environment=environment.code) if _has("overview.show") else "/"
    if "environment" in arguments:
        arguments["environment"] = environment.code
        return url_for(endpoint, **{**query, **arguments})
    return url_for(endpoint, **{**query, **arguments, "in": environment.code})


def _has(endpoint: str) -> bool:
    return endpoint in current_app.view_functions


def _fill_in(endpoint: str, values: dict[str, Any]) -> None:
    if "environment" in values or not current_app.url_map.is_endpoint_expecting(endpoint, "environment"):
        return
    here = current_environment()
    if here is None:
        raise BuildError(endpoint, values, "GET")
    values["environment"] = here.code


def _remember(response: Response) -> Response:
    here: Environment | None = g.get("environment")
    shown = response.mimetype == "text/html" and response.status_code == 200 and request.method == "GET"
    if here is not None and shown and request.cookies.get(COOKIE) != here.code:
        response.set_cookie(
            COOKIE, here.code, max_age=31_536_000, httponly=True, samesite="Lax", secure=request.is_secure
        )
    return response
