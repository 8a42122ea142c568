"""One's own API tokens, and for administrators everybody's: made, looked at, revoked. All of it works without script."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from controlplane.accounts.actor import Role
from controlplane.accounts.models import Person
from controlplane.audit.queries import changes_of
from controlplane.db import now
from controlplane.errors import Refused
from controlplane.tokens import pages, services
from controlplane.tokens.inputs import DEFAULT_LIFE, LIVES, RevokeInput, TokenInput
from controlplane.tokens.scopes import Scope
from controlplane.web.access import current_actor, may, requires, signed_in
from controlplane.web.environments import environments
from controlplane.web.forms import Parsed, fill, parse
from controlplane.web.unit_of_work import db_session

blueprint = Blueprint("tokens", __name__)

ROOT = "/settings/tokens"

Form = Parsed[Any]


@blueprint.get(ROOT)
@requires(Role.VIEWER)
def index() -> str:
    """One's own tokens; for administrators the others' as well."""
    me, moment = signed_in().id, now()
    rows = services.list_tokens(db_session(), owner=None if may(Role.ADMIN) else me)
    views = [pages.view_of(token, owner, me=str(me), moment=moment) for token, owner in rows]
    return render_template(
        "tokens/index.html",
        mine=[each for each in views if each.is_mine],
        others=[each for each in views if not each.is_mine],
        shows_others=may(Role.ADMIN),
    )


@blueprint.get(f"{ROOT}/new")
@requires(Role.VIEWER)
def new() -> str:
    """The form of a new token."""
    return _new_page(fill({"scopes": [Scope.READ.value], "environment": None, "days": str(DEFAULT_LIFE)}))


@blueprint.post(f"{ROOT}/new")
@requires(Role.VIEWER)
def create() -> ResponseReturnValue:
    """Make the token and show it, this once, in the answer itself: over a redirect it would have to be kept somewhere."""
    form = parse(TokenInput, request.form)
    if form.value is not None:
        try:
            token, text = services.create_token(
                db_session(), **form.value.model_dump(), actor=current_actor()
            )
        except Refused as refusal:
            form = form.refused(refusal)
        else:
            return render_template("tokens/made.html", token=_view(token.key), text=text), 201
    return _new_page(form), 422


@blueprint.get(f"{ROOT}/<key>")
@requires(Role.VIEWER)
def show(key: str) -> str:
    """One token: what it may do, when it was used last, what was done with it."""
    return _page(key, fill({}))


@blueprint.post(f"{ROOT}/<key>/revoke")
@requires(Role.VIEWER)
def revoke(key: str) -> ResponseReturnValue:
    """End it, once its name is typed."""
    form: Form = parse(RevokeInput, request.form)
    token = services.get_token(db_session(), key, actor=current_actor())
    try:
        wanted = form.value or RevokeInput()
        services.revoke_token(db_session(), token, confirm=wanted.confirm, actor=current_actor())
    except Refused as refusal:
        return _page(key, form.refused(refusal)), 422
    flash(f"{token.name} is revoked: calls with it are refused from now on.")
    return redirect(url_for(".show", key=key), 303)


def _page(key: str, form: Form) -> str:
    token = services.get_token(db_session(), key, actor=current_actor())
    return render_template(
        "tokens/show.html",
        token=_view(key),
        form=form,
        changes=changes_of(db_session(), services.OBJECT_KIND, key),
        all_changes_url=url_for("audit.index", q=f"object:{services.OBJECT_KIND}/{key}"),
        done_url=url_for("audit.index", q=pages.did(token)),
    )


def _view(key: str) -> pages.TokenView:
    token = services.get_token(db_session(), key, actor=current_actor())
    owner = db_session().get_one(Person, token.owner_id)
    return pages.view_of(token, owner, me=str(signed_in().id), moment=now())


def _new_page(form: Form) -> str:
    return render_template(
        "tokens/new.html",
        form=form,
        scopes=pages.scope_choices(signed_in().role),
        scope_hints=pages.scope_hints(signed_in().role),
        environments=[(each.code, f"{each.name} ({each.code})") for each in environments()],
        lives=[(str(days), f"{days} days") for days in LIVES],
    )
