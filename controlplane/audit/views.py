"""The pages of the record: every change, and one change for ever under its own address."""

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from controlplane.accounts.actor import Role
from controlplane.audit import pages, queries
from controlplane.audit.inputs import DATES, WORDS, asked_of
from controlplane.audit.models import AuditEvent
from controlplane.audit.object_links import object_url, release_url
from controlplane.db import now
from controlplane.prompts import textdiff
from controlplane.prompts.services import get_version
from controlplane.reviews.listing import emergency_count, reviews_of
from controlplane.reviews.pages import look_at
from controlplane.web.access import current_actor, may, requires
from controlplane.web.environments import current_environment, environments
from controlplane.web.forms import Parsed, fill
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
        emergencies=emergency_count(session),
        reviews=reviews_of(session, [event.id for event in listed.events]),
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
    return change_page(id, fill({}))


def change_page(
    id: str,  # noqa: A002 - as above
    form: Parsed[Any],
    *,
    replied: Parsed[Any] | None = None,
    conflict: str | None = None,
) -> str:
    """The page of one change, with what was typed into the review of it."""
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
        object_changes=url_for(".index", object_kind=event.object_kind, object_key=event.object_key),
        previous=previous,
        following=following,
        look=look_at(session, event, actor=current_actor(), now=now()),
        form=form,
        replied=replied or fill({}),
        conflict=conflict,
    )


def _text_change(event: AuditEvent) -> Sequence[textdiff.Row] | None:
    """What an event did to the text of a template. The record holds digests: the versions never change either."""
    number = (event.after or {}).get("version")
    if event.action != "prompt.version_saved" or not isinstance(number, int):
        return None
    old, new = (get_version(db_session(), event.object_key, each).body for each in (number - 1, number))
    return textdiff.lines(old, new)


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
