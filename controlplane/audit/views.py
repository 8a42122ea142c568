"""The pages of the record: every change, and one change for ever under its own address."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from flask import Blueprint, current_app, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Role
from controlplane.audit import archive, finding, language, listing, pages, queries, saved_views
from controlplane.audit.conditions import Wanted
from controlplane.audit.export import FORMATS
from controlplane.audit.inputs import asked_of
from controlplane.audit.language import Query
from controlplane.audit.models import AuditEvent
from controlplane.audit.object_links import object_url, release_url
from controlplane.audit.proof import last_anchors, proof
from controlplane.audit.tickets import link_to_ticket
from controlplane.db import now
from controlplane.errors import NotFound
from controlplane.prompts import services as prompts
from controlplane.prompts import textdiff
from controlplane.releases.words import kind_name
from controlplane.reviews.listing import emergency_count, reviews_of
from controlplane.reviews.pages import look_at
from controlplane.snippets import services as snippets
from controlplane.web.access import current_actor, may, requires
from controlplane.web.environments import current_environment, environments
from controlplane.web.forms import Parsed, fill
from controlplane.web.unit_of_work import db_session

blueprint = Blueprint("audit", __name__)


@blueprint.get("/changes")
@requires(Role.VIEWER)
def index() -> ResponseReturnValue:
    """The list, newest first, narrowed by what the address asks for; a term that cannot be read is marked where it stands."""
    page = list_page()
    return (page, 422) if asked_of(request.args).reading.problems else page


def list_page(saving: Parsed[Any] | None = None) -> str:
    """The page of the list; `saving` is what somebody tried to keep as a view."""
    session = db_session()
    # What came with a form that was refused stands in it; otherwise the address says it all.
    asked = asked_of(request.args if saving is None else {"q": saving["q"].value})
    wanted = Wanted(asked.query, now=now(), upto=asked.upto)
    found = finding.find(session, wanted, older_than=asked.older_than, newer_than=asked.newer_than)
    last = finding.last_number(session)
    text = str(asked.query)
    actor = current_actor()
    return render_template(
        "audit/index.html",
        asked=asked,
        found=found,
        days=pages.days_of(found.events),
        links=_links(found.events),
        emergencies=emergency_count(session),
        reviews=reviews_of(session, [event.id for event in found.events]),
        proof=proof(session),
        chips=listing.chips_of(asked.query, _url_of, found.events),
        facets=listing.facets_of(
            asked.query,
            found.figures,
            _url_of,
            lambda word: _list_url(text, open=word),
            opened=request.args.get("open"),
        ),
        strip=listing.strip_of(asked.query, found.figures, wanted.span, _url_of, now=wanted.now),
        views=listing.views_of(
            saved_views.views_for(session, actor),
            [(each.code, each.name) for each in environments() if each.protected],
            asked.reading,
            _list_url,
            own_id=actor.id,
            may_remove_all=may(Role.ADMIN),
        ),
        exports=[
            (form.upper(), url_for("finding.take", form=form, q=text or None, upto=last)) for form in FORMATS
        ],
        words=language.WORDS,
        states=language.STATES,
        saving=saving or fill({"q": text}),
        newer_url=_list_url(text, newer=found.newer) if found.newer else None,
        older_url=_list_url(text, older=found.older) if found.older else None,
    )


@blueprint.get("/changes/<id>")
@requires(Role.VIEWER)
def show(id: str) -> ResponseReturnValue:  # noqa: A002 - the word in the address
    """One change, with all that is known of it."""
    try:
        return change_page(id, fill({}))
    except NotFound:
        files = archive.where_it_lies(db_session(), id)
        if not files:
            raise
        return render_template("audit/archived.html", id=id.upper(), files=files), 404


@blueprint.get("/changes/record")
@requires(Role.VIEWER)
def standing() -> str:
    """Whether the record is whole, and how that is known."""
    session = db_session()
    return render_template("audit/record.html", proof=proof(session), anchors=last_anchors(session))


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
    text = _text_change(event)
    return render_template(
        "audit/show.html",
        event=event,
        line=pages.line_of(event),
        kind=kind_name(event.object_kind),
        fields=pages.field_changes(event.before, event.after, leave_out={"sha256"} if text else set()),
        text=text,
        about=_reviewed(event),
        before=pages.as_json(event.before),
        after=pages.as_json(event.after),
        object_link=_object_url(event, _environment_code()),
        release_link=release_url(event),
        ticket_link=link_to_ticket(event.ticket, current_app.config["TICKET_URL"]),
        object_changes=_url_of(listing.of_object(event)),
        context=listing.context_of(event, lambda query: finding.newest(session, query, limit=6), _url_of),
        previous=previous,
        following=following,
        look=look_at(session, event, actor=current_actor(), now=now()),
        form=form,
        replied=replied or fill({}),
        conflict=conflict,
    )


def _text_change(event: AuditEvent) -> Sequence[textdiff.Row] | None:
    """What an event did to the text of a template or snippet. The record holds digests: the versions never change either."""
    number = (event.after or {}).get("version")
    text_of = _TEXTS.get(event.action)
    if text_of is None or not isinstance(number, int):
        return None
    old, new = (text_of(db_session(), event.object_key, each) for each in (number - 1, number))
    return textdiff.lines(old, new)


def _reviewed(event: AuditEvent) -> str | None:
    """The id of the change that an event is a look at; None for everything else."""
    about = (event.after or {}).get("change") if event.action.startswith("review.") else None
    return about if isinstance(about, str) else None


_TEXTS: Final[Mapping[str, Callable[[Session, str, int], str]]] = {
    "prompt.version_saved": lambda session, code, number: prompts.get_version(session, code, number).text,
    "snippet.version_saved": lambda session, code, number: snippets.get_version(session, code, number).body,
}


def _links(events: Sequence[AuditEvent]) -> dict[str, tuple[str | None, str | None]]:
    """For each event the address of its object and of its release."""
    where = _environment_code()
    return {event.id: (_object_url(event, where), release_url(event)) for event in events}


def _object_url(event: AuditEvent, where: str | None) -> str | None:
    # People are the administrators' business: for others the link would end at a refusal.
    if event.object_kind in {"person", "people"} and not may(Role.ADMIN):
        return None
    return object_url(event, environment=where)


def _environment_code() -> str | None:
    here = current_environment()
    return here.code if here else None


def _url_of(query: Query) -> str:
    return _list_url(str(query))


def _list_url(text: str, **more: Any) -> str:
    return url_for("audit.index", q=text or None, **more)
