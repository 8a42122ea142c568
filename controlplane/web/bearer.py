"""Who calls the API: by the token in the Authorization header, and by nothing else.

Cookies are not looked at there, so nobody's browser can be made to call; a token in an address is refused, since addresses
are written into logs on the way.
"""

from typing import Final, cast

from flask import g, request

from controlplane.accounts.actor import Actor, Role
from controlplane.errors import NotFound
from controlplane.registry.models import Environment
from controlplane.tokens import minting, services
from controlplane.tokens.scopes import Scope
from controlplane.tokens.services import Bearer, NotKnown
from controlplane.web.unit_of_work import db_session, independent

REALM: Final = "LLM control plane"
_LONGEST: Final = 200


class NoToken(NotKnown):
    """None was sent: what has to be said about that is not an error of a token."""


class TokenInAddress(NotKnown):
    """A token stood in the address: it is not accepted, and no secret any more."""


def admit(scope: Scope) -> None:
    """Let the view be entered, with who calls; raises `NotKnown`, `OutOfScope`, `TooManyCalls`, `NotFound`."""
    if minting.is_within(request.full_path):
        raise TokenInAddress(
            "A token stands in the address, and addresses are written into logs: revoke it, make another one, and send it in the "
            "Authorization header."
        )
    bearer = services.authenticate(independent, _sent(), origin=_origin())
    g.bearer = bearer
    environment = (request.view_args or {}).get("environment")
    bearer.check(scope, environment)
    if environment is not None:
        row = db_session().get(Environment, environment) if "\x00" not in environment else None
        if row is None or row.archived_at is not None:
            raise NotFound("environment", environment.replace("\x00", "?"))


def bearer_or_none() -> Bearer | None:
    """Who calls, once they are known."""
    return cast("Bearer | None", g.get("bearer"))


def bearer() -> Bearer:
    """Who calls. Only for views that a token opens."""
    return cast("Bearer", g.bearer)


def _sent() -> str:
    kind, _, text = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not text.strip():
        raise NoToken("Send a token: Authorization: Bearer lcp_… Make one under API tokens.")
    return text.strip()[:_LONGEST]


def _origin() -> Actor:
    return Actor(
        kind="anonymous",
        id="-",
        name="Somebody",
        role=Role.VIEWER,
        via="token",
        request_id=g.request_id,
        address=request.remote_addr,
        user_agent=request.user_agent.string,
    )
