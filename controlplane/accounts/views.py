"""Signing in and out, one's own profile, and the people who may sign in."""

import uuid
from typing import Any

from flask import Blueprint, flash, g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import login_user

from controlplane.accounts import services
from controlplane.accounts.actor import Actor, Role
from controlplane.accounts.inputs import (
    PasswordInput,
    PersonInput,
    ReviewerInput,
    RoleInput,
    SignInInput,
    ThemeInput,
)
from controlplane.accounts.models import Person
from controlplane.accounts.passwords import Busy
from controlplane.accounts.throttle import TooManyAttempts
from controlplane.audit.language import Query, Term
from controlplane.audit.queries import changes_of
from controlplane.errors import Refused
from controlplane.web.access import SignedIn, current_actor, public, requires, signed_in, signed_in_or_none
from controlplane.web.error_pages import error_page
from controlplane.web.forms import Parsed, fill, parse
from controlplane.web.frame import THEME_COOKIE, THEMES
from controlplane.web.redirects import safe_path
from controlplane.web.session import ServerSession
from controlplane.web.unit_of_work import db_session, independent

blueprint = Blueprint("accounts", __name__)

ROLES = [
    (Role.VIEWER.value, Role.VIEWER.label),
    (Role.EDITOR.value, Role.EDITOR.label),
    (Role.ON_CALL.value, Role.ON_CALL.label),
    (Role.PUBLISHER.value, Role.PUBLISHER.label),
    (Role.ADMIN.value, Role.ADMIN.label),
]
ROLE_HINTS = {
    Role.VIEWER.value: "Sees everything, changes nothing.",
    Role.EDITOR.value: "Also saves drafts and versions. Nothing an editor does is live.",
    Role.ON_CALL.value: "Also aborts rollouts, rolls back and throws kill switches, without asking anybody first.",
    Role.PUBLISHER.value: "Also publishes, rolls back and moves rollouts.",
    Role.ADMIN.value: "Also keeps interactions, models, tiers, environments and people.",
}


@blueprint.get("/sign-in")
@public
def sign_in() -> ResponseReturnValue:
    """The form, or straight on for those who are signed in."""
    onward = request.args.get("next")
    if signed_in_or_none() is not None:
        return redirect(safe_path(onward), 303)
    return render_template(
        "accounts/sign_in.html", form=fill({"next": onward}), signed_out="signed_out" in request.args
    )


@blueprint.post("/sign-in")
@public
def sign_in_submit() -> ResponseReturnValue:
    """Check the password; a session under a new id begins."""
    form = parse(SignInInput, request.form)
    if form.value is None:
        return _sign_in_again(form, 422)
    given = form.value
    try:
        person = services.sign_in(
            independent, email=given.email, password=given.password, origin=_anonymous()
        )
    except Refused as refusal:
        return _sign_in_again(form.refused(refusal), 422)
    except TooManyAttempts as wait:
        return _sign_in_again(form.refused(Refused({"": str(wait)})), 429, retry_after=wait.retry_after)
    except Busy as busy:
        return _sign_in_again(form.refused(Refused({"": str(busy)})), 429, retry_after=5)
    _begin_session(person)
    return redirect(safe_path(given.next), 303)


@blueprint.post("/sign-out")
@requires(Role.VIEWER)
def sign_out() -> ResponseReturnValue:
    """End the session here and in the database."""
    services.sign_out(db_session(), actor=current_actor(), email=signed_in().email)
    _server_session().rotate()
    return redirect(url_for(".sign_in", signed_out=""), 303)


@blueprint.post("/settings/theme")
@public
def choose_theme() -> ResponseReturnValue:
    """Keep the choice in a cookie of this browser; it is nobody else's business."""
    form = parse(ThemeInput, request.form)
    answer = redirect(safe_path(form["next"].value), 303)
    if form.value is not None and form.value.theme in THEMES:
        # Not HttpOnly: the script changes it without a round trip.
        answer.set_cookie(
            THEME_COOKIE, form.value.theme, max_age=31_536_000, samesite="Lax", secure=request.is_secure
        )
    return answer


@blueprint.get("/settings/profile")
@requires(Role.VIEWER)
def profile() -> str:
    """Who one is here, and the change of password."""
    return render_template("accounts/profile.html", form=fill({}), person=_me(), role_hints=ROLE_HINTS)


@blueprint.post("/settings/profile")
@requires(Role.VIEWER)
def change_password() -> ResponseReturnValue:
    """Change one's own password and go on under a new session id."""
    form = parse(PasswordInput, request.form)
    person = _me()
    if form.value is not None:
        given = form.value
        try:
            services.change_own_password(
                db_session(),
                independent,
                person,
                current=given.current,
                new=given.new,
                actor=current_actor(),
            )
        except Refused as refusal:
            form = form.refused(refusal)
        except TooManyAttempts as wait:
            return _profile_again(form.refused(Refused({"": str(wait)})), 429, retry_after=wait.retry_after)
        except Busy as busy:
            return _profile_again(form.refused(Refused({"": str(busy)})), 429, retry_after=5)
        else:
            _begin_session(person)
            flash("Your password is changed. Your other sessions have ended.")
            return redirect(url_for(".profile"), 303)
    return _profile_again(form, 422)


@blueprint.get("/settings/people")
@requires(Role.ADMIN)
def people() -> str:
    """Everybody who may sign in, and those who no longer may."""
    return render_template("accounts/people.html", people=services.list_people(db_session()), me=signed_in())


@blueprint.get("/settings/people/new")
@requires(Role.ADMIN)
def new_person() -> str:
    """The form for a new person."""
    form = fill({"role": Role.VIEWER.value})
    return render_template("accounts/new_person.html", form=form, roles=ROLES, role_hints=ROLE_HINTS)


@blueprint.post("/settings/people/new")
@requires(Role.ADMIN)
def add_person() -> ResponseReturnValue:
    """Add the person and show their password, this once."""
    form = parse(PersonInput, request.form)
    if form.value is not None:
        given = form.value
        try:
            person, password = services.add_person(
                db_session(), email=given.email, name=given.name, role=given.role, actor=current_actor()
            )
        except Refused as refusal:
            form = form.refused(refusal)
        else:
            return _show_password(person, password)
    return render_template("accounts/new_person.html", form=form, roles=ROLES, role_hints=ROLE_HINTS), 422


@blueprint.get("/settings/people/<uuid:person_id>")
@requires(Role.ADMIN)
def person(person_id: uuid.UUID) -> str:
    """One person: role, state, what can be done."""
    return _person_page(services.get_person(db_session(), person_id))


@blueprint.post("/settings/people/<uuid:person_id>/role")
@requires(Role.ADMIN)
def change_role(person_id: uuid.UUID) -> ResponseReturnValue:
    """Give another role."""
    form = parse(RoleInput, request.form)
    person = services.get_person(db_session(), person_id)
    if form.value is None:
        return _person_page(person, form), 422
    try:
        services.change_role(db_session(), person, role=form.value.role, actor=current_actor())
    except Refused as refusal:
        return _person_page(person, form.refused(refusal)), 422
    flash(f"{person.name} is {form.value.role.label} now and has to sign in again.")
    return redirect(url_for(".person", person_id=person_id), 303)


@blueprint.post("/settings/people/<uuid:person_id>/reviewer")
@requires(Role.ADMIN)
def set_reviewer(person_id: uuid.UUID) -> ResponseReturnValue:
    """Let somebody look at changes after the fact, or no longer."""
    form = parse(ReviewerInput, request.form)
    person = services.get_person(db_session(), person_id)
    if form.value is None:
        refusal = Refused({"": "Say whether they may review."})
        return _person_page(person, fill({"role": person.role}).refused(refusal)), 422
    try:
        services.set_reviewer(db_session(), person, may_review=form.value.may_review, actor=current_actor())
    except Refused as refusal:
        return _person_page(person, fill({"role": person.role}).refused(refusal)), 422
    flash(
        f"{person.name} is a reviewer now."
        if person.may_review
        else f"{person.name} is no reviewer any more."
    )
    return redirect(url_for(".person", person_id=person_id), 303)


@blueprint.post("/settings/people/<uuid:person_id>/disable")
@requires(Role.ADMIN)
def disable_person(person_id: uuid.UUID) -> ResponseReturnValue:
    """Shut a person out."""
    person = services.get_person(db_session(), person_id)
    try:
        services.disable(db_session(), person, actor=current_actor())
    except Refused as refusal:
        return _person_page(person, fill({"role": person.role}).refused(refusal)), 422
    flash(f"{person.name} can no longer sign in.")
    return redirect(url_for(".person", person_id=person_id), 303)


@blueprint.post("/settings/people/<uuid:person_id>/enable")
@requires(Role.ADMIN)
def enable_person(person_id: uuid.UUID) -> ResponseReturnValue:
    """Let a person in again."""
    person = services.get_person(db_session(), person_id)
    try:
        services.enable(db_session(), person, actor=current_actor())
    except Refused as refusal:
        return _person_page(person, fill({"role": person.role}).refused(refusal)), 422
    flash(f"{person.name} may sign in again.")
    return redirect(url_for(".person", person_id=person_id), 303)


@blueprint.post("/settings/people/<uuid:person_id>/password")
@requires(Role.ADMIN)
def reset_password(person_id: uuid.UUID) -> ResponseReturnValue:
    """A new one-time password for somebody who lost theirs."""
    person = services.get_person(db_session(), person_id)
    return _show_password(person, services.reset_password(db_session(), person, actor=current_actor()))


def _show_password(person: Person, password: str) -> ResponseReturnValue:
    """The one POST that answers with a page: on the way over a redirect the password would have to be stored."""
    return render_template("accounts/one_time_password.html", person=person, password=password), 201


def _person_page(person: Person, form: Parsed[Any] | None = None) -> str:
    return render_template(
        "accounts/person.html",
        person=person,
        role=Role(person.role),
        publisher=Role.PUBLISHER,
        form=form or fill({"role": person.role}),
        roles=ROLES,
        role_hints=ROLE_HINTS,
        is_me=person.id == signed_in().id,
        changes=changes_of(db_session(), "person", person.email),
        all_changes_url=url_for("audit.index", q=Query((Term(f"person/{person.email}", "object"),))),
        done_url=url_for("audit.index", q=Query((Term(str(person.id), "actor"),))),
    )


def _sign_in_again(
    form: Parsed[SignInInput], status: int, *, retry_after: int | None = None
) -> ResponseReturnValue:
    page = render_template("accounts/sign_in.html", form=form, signed_out=False)
    return page, status, {"Retry-After": str(retry_after)} if retry_after else {}


def _profile_again(
    form: Parsed[PasswordInput], status: int, *, retry_after: int | None = None
) -> ResponseReturnValue:
    page = render_template("accounts/profile.html", form=form, person=_me(), role_hints=ROLE_HINTS)
    return page, status, {"Retry-After": str(retry_after)} if retry_after else {}


@blueprint.app_errorhandler(Busy)
def busy_page(error: Busy) -> ResponseReturnValue:
    """The page when too many passwords are worked on at once; the form's own pages tell it in the form."""
    return *error_page(429, str(error))[:2], {"Retry-After": "5"}


def _begin_session(person: Person) -> None:
    """A new id and nothing of the old session: an id planted before sign-in is worth nothing after it."""
    _server_session().rotate()
    login_user(SignedIn(person))  # type: ignore[no-untyped-call]


def _server_session() -> ServerSession:
    assert isinstance(session._get_current_object(), ServerSession)  # type: ignore[attr-defined]  # noqa: S101, SLF001
    return session  # type: ignore[return-value]


def _me() -> Person:
    return services.get_person(db_session(), signed_in().id)


def _anonymous() -> Actor:
    return Actor(
        kind="anonymous",
        id="-",
        name="Somebody",
        role=Role.VIEWER,
        via="browser",
        request_id=g.request_id,
        address=request.remote_addr,
        user_agent=request.user_agent.string,
    )
