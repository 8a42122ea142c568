"""Who may see a page. Closed by default: a view without a marker is refused to everybody.

@blueprint.get("/models")
@requires(Role.VIEWER)
def models() -> str: ...

What programs call has another marker, `@requires_token(Scope.READ)`: a token opens it, and no session does.
"""

import uuid
from collections.abc import Callable
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from flask import Flask, Response, abort, current_app, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import UserMixin, current_user
from sqlalchemy import select

from controlplane.accounts.actor import Actor, Role
from controlplane.accounts.models import Person
from controlplane.errors import Forbidden
from controlplane.tokens.scopes import Scope
from controlplane.web import bearer
from controlplane.web.csrf import SAFE_METHODS
from controlplane.web.extensions import htmx, login_manager
from controlplane.web.unit_of_work import db_session

View = TypeVar("View", bound=Callable[..., Any])

PUBLIC = "public"


class SignedIn(UserMixin):
    """A person as the site knows them for the length of one request."""

    def __init__(self, person: Person) -> None:
        self.id = person.id
        self.email = person.email
        self.name = person.name
        self.role = Role(person.role)
        self.may_review = person.may_review
        self.epoch = person.session_epoch

    def get_id(self) -> str:
        """Kept in the session. The epoch in it ends all sessions at once when role, password or `active` change."""
        return f"{self.id}:{self.epoch}"

    @property
    def initials(self) -> str:
        """One or two letters for the round sign beside the name."""
        words = self.name.split() or ["?"]
        return (words[0][0] + (words[-1][0] if len(words) > 1 else "")).upper()


def requires(role: Role, *, or_reviewer: bool = False) -> Callable[[View], View]:
    """Mark a view: only people whose role includes `role` may open it, and where it says so whoever was made a reviewer."""

    def mark(view: View) -> View:
        view.access = role  # type: ignore[attr-defined]
        view.or_reviewer = or_reviewer  # type: ignore[attr-defined]
        return view

    return mark


def public(view: View) -> View:
    """Mark a view as open to anybody, signed in or not."""
    view.access = PUBLIC  # type: ignore[attr-defined]
    return view


def requires_token(scope: Scope) -> Callable[[View], View]:
    """Mark a view of the API: only a token with this scope opens it, for the environment that the address names."""

    def mark(view: View) -> View:
        view.access = f"token: {scope}"  # type: ignore[attr-defined]
        view.scope = scope  # type: ignore[attr-defined]
        return view

    return mark


def access_of(app: Flask, endpoint: str) -> Role | str | None:
    """The marker of an endpoint: a role, "public", what a token needs, or None when it was forgotten."""
    return cast("Role | str | None", getattr(app.view_functions[endpoint], "access", None))


def register(app: Flask) -> None:
    """Attach flask-login and check every request against its view's marker."""
    login_manager.init_app(app)  # type: ignore[no-untyped-call]
    # Strong: a session that turns up from another address or browser is ended, not only made stale.
    login_manager.session_protection = "strong"
    login_manager.user_loader(_load)  # type: ignore[no-untyped-call]
    public(app.view_functions["static"])
    app.before_request(guard)
    app.jinja_env.globals["may"] = may


def guard() -> ResponseReturnValue | None:
    """Refuse, or send to sign-in, before the view is entered."""
    if request.endpoint is None:
        return None  # no such address: the 404 page answers
    needed = access_of(current_app, request.endpoint)
    if needed == PUBLIC:
        return None
    scope: Scope | None = getattr(current_app.view_functions[request.endpoint], "scope", None)
    if scope is not None:
        bearer.admit(scope)
        return None
    if signed_in_or_none() is None:
        return to_sign_in()
    if needed is None:
        abort(403, "This page does not say who may see it, so nobody may.")
    person = signed_in()
    if not person.role.includes(cast("Role", needed)) and not (
        person.may_review and getattr(current_app.view_functions[request.endpoint], "or_reviewer", False)
    ):
        raise Forbidden(cast("Role", needed).label)
    return None


def to_sign_in() -> ResponseReturnValue:
    """Sign in first, then back to the page that was asked for (for a POST or a fragment: the page it stood on)."""
    here = request.full_path.rstrip("?")
    if htmx:
        here = _path_of(request.headers.get("HX-Current-URL"))
        # Inside a card a redirect would put the sign-in page into the card: the browser itself must go there.
        return Response(status=401, headers={"HX-Redirect": url_for("accounts.sign_in", next=here)})
    if request.method not in SAFE_METHODS:
        here = _path_of(request.referrer)
    return redirect(url_for("accounts.sign_in", next=here if here != "/" else None), 303)


def signed_in() -> SignedIn:
    """The person behind the request. Only for views that require a role."""
    return cast("SignedIn", current_user)


def signed_in_or_none() -> SignedIn | None:
    """As `signed_in`, where nobody may be."""
    person: Any = current_user
    return signed_in() if person and person.is_authenticated else None


def current_actor() -> Actor:
    """Who acts, for the services: the person, or their token, with the way the request came in."""
    caller = bearer.bearer_or_none()
    if caller is not None:
        return caller.actor
    person = signed_in()
    return Actor(
        kind="person",
        id=str(person.id),
        name=person.name,
        role=person.role,
        via="browser",
        request_id=g.request_id,
        address=request.remote_addr,
        user_agent=request.user_agent.string,
        may_review=person.may_review,
    )


def may(role: str | Role) -> bool:
    """Whether the person on the page has this role: templates ask it before they offer an action."""
    person = signed_in_or_none()
    return person is not None and person.role.includes(Role(role))


def people_with(role: Role, *, limit: int = 5) -> str:
    """Names of those who may, for "Needs Publisher. Ask: …"; the lowest sufficient role first."""
    sufficient = [each.value for each in Role if each.includes(role)]
    people = db_session().execute(
        select(Person.name, Person.role)
        .where(Person.active, Person.role.in_(sufficient))
        .order_by(Person.name, Person.id)
    )
    names = [name for name, _ in sorted(people, key=lambda person: sufficient.index(person[1]))]
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")


def _load(user_id: str) -> SignedIn | None:
    identity, _, epoch = user_id.partition(":")
    person = db_session().get(Person, uuid.UUID(identity))
    if person is None or not person.active or str(person.session_epoch) != epoch:
        return None
    return SignedIn(person)


def _path_of(address: str | None) -> str:
    parts = urlsplit(address or "/")
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
