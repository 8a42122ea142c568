"""The pages of the record: every change, and one change for ever under its own address."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Role
from controlplane.audit import pages, queries, reviews
from controlplane.audit.inputs import DATES, WORDS, ReviewInput, asked_of
from controlplane.audit.models import AuditEvent
from controlplane.audit.object_links import object_url, release_url
from controlplane.audit.proof import last_anchors, proof
from controlplane.audit.tickets import link_to_ticket
from controlplane.errors import Conflict, Refused
from controlplane.prompts import services as prompts
from controlplane.prompts import textdiff
from controlplane.snippets import services as snippets
from controlplane.web.access import current_actor, may, people_with, requires, signed_in
from controlplane.web.environments import current_environment, environments
from controlplane.web.forms import Parsed, fill, parse
from controlplane.web.unit_of_work import db_session

blueprint = Blueprint("audit", __name__)


@blueprint.get("/changes")
@requires(Role.VIEWER)
def index() -> str:
    """The list, newest first, narrowed by what the address says."""
    session = db_session()
    asked = asked_of(request.args)
    listed = queries.changes(session, asked.wanted, older_than=asked.older_than, newer_than=asked.newer_than)
    return render_template(
        "audit/index.html",
        form=fill({name: request.args.get(name) for name in (*WORDS, *DATES)}),
        asked=asked,
        listed=listed,
        days=pages.days_of(listed.events),
        emergencies=reviews.open_count(session),
        proof=proof(session),
        links=_links(listed.events),
        options={
            "actor": _offered(queries.known_actors(session), asked.wanted.actor),
            "action": _offered(
                [(each, each) for each in queries.known_actions(session)], asked.wanted.action
            ),
            "environment": _offered(
                [(each.code, each.name) for each in environments()], asked.wanted.environment
            ),
        },
        newer_url=_turn("newer", listed.newer),
        older_url=_turn("older", listed.older),
    )


@blueprint.get("/changes/<id>")
@requires(Role.VIEWER)
def show(id: str) -> ResponseReturnValue:  # noqa: A002 - the word in the address
    """One change, with all that is known of it."""
    return _show_page(id, fill({}))


@blueprint.get("/changes/record")
@requires(Role.VIEWER)
def standing() -> str:
    """Whether the record is whole, and how that is known."""
    session = db_session()
    return render_template("audit/record.html", proof=proof(session), anchors=last_anchors(session))


@blueprint.get("/changes/emergencies")
@requires(Role.VIEWER)
def emergencies() -> str:
    """The emergencies that nobody has looked at yet."""
    found = reviews.open_reviews(db_session())
    return render_template(
        "audit/emergencies.html",
        lines=[pages.line_of(each.event) for each in found],
        total=reviews.open_count(db_session()),
    )


@blueprint.post("/changes/<id>/review")
@requires(Role.PUBLISHER)
def review(id: str) -> ResponseReturnValue:  # noqa: A002 - the word in the address
    """Agree to an emergency after the fact, or dispute it."""
    form = parse(ReviewInput, request.form)
    if form.value is None:
        return _show_page(id, form), 422
    agreed = form.value.answer == "agree"
    try:
        reviews.answer(
            db_session(), id, agreed=agreed, comment=form.value.comment or "", actor=current_actor()
        )
    except Refused as refusal:
        return _show_page(id, form.refused(refusal)), 422
    except Conflict as conflict:
        return _show_page(id, form, conflict=str(conflict)), 409
    flash("Agreed to." if agreed else "Disputed.")
    return redirect(url_for(".show", id=id), 303)


def _show_page(id: str, form: Parsed[Any], *, conflict: str | None = None) -> str:  # noqa: A002 - as above
    session = db_session()
    event = queries.get_event(session, id)
    previous, following = queries.neighbours(session, event)
    return render_template(
        "audit/show.html",
        event=event,
        line=pages.line_of(event),
        fields=pages.field_changes(event.before, event.after),
        text=_text_change(event),
        before=pages.as_json(event.before),
        after=pages.as_json(event.after),
        object_link=_object_url(event, _environment_code()),
        release_link=release_url(event),
        ticket_link=link_to_ticket(event.ticket, current_app.config["TICKET_URL"]),
        object_changes=url_for(".index", object_kind=event.object_kind, object_key=event.object_key),
        previous=previous,
        following=following,
        review=reviews.review_of(session, event.id),
        form=form,
        conflict=conflict,
        own=str(signed_in().id) == event.actor_id,
        publishers=people_with(Role.PUBLISHER),
    )


def _text_change(event: AuditEvent) -> Sequence[textdiff.Row] | None:
    """What an event did to the text of a template or snippet. The record holds digests: the versions never change either."""
    number = (event.after or {}).get("version")
    text_of = _TEXTS.get(event.action)
    if text_of is None or not isinstance(number, int):
        return None
    old, new = (text_of(db_session(), event.object_key, each) for each in (number - 1, number))
    return textdiff.lines(old, new)


_TEXTS: Final[Mapping[str, Callable[[Session, str, int], str]]] = {
    "prompt.version_saved": lambda session, code, number: prompts.get_version(session, code, number).text,
    "snippet.version_saved": lambda session, code, number: snippets.get_version(session, code, number).body,
}


def _offered(options: Sequence[tuple[str, str]], chosen: str | None) -> list[tuple[str, str]]:
    """The choices of a filter, with what the address asks for: "All" must never stand over a narrowed list."""
    if chosen is None or any(value == chosen for value, _ in options):
        return [*options]
    return [*options, (chosen, chosen)]


def _links(events: Sequence[AuditEvent]) -> dict[str, tuple[str | None, str | None]]:
    """For each event the address of its object and of its release."""
    where = _environment_code()
    return {event.id: (_object_url(event, where), release_url(event)) for event in events}


def _object_url(event: AuditEvent, where: str | None) -> str | None:
    # People are the administrators' business: for others the link would end at a refusal.
    if event.object_kind == "person" and not may(Role.ADMIN):
        return None
    return object_url(event, environment=where)


def _environment_code() -> str | None:
    here = current_environment()
    return here.code if here else None


def _turn(direction: str, cursor: int | None) -> str | None:
    if cursor is None:
        return None
    turned: dict[str, Any] = {name: value for name, value in request.args.items() if name in (*WORDS, *DATES)}
    turned[direction] = cursor
    return url_for(".index", **turned)
