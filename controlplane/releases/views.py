"""Releases in the browser: what is not yet live, publishing it, the releases, rolling back, comparing."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, cast

from flask import (
    Blueprint,
    Response,
    current_app,
    flash,
    redirect,
    render_template,
    request,
    stream_with_context,
    url_for,
)
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Role
from controlplane.audit.finding import newest
from controlplane.audit.language import Query, Term
from controlplane.errors import Conflict, NotFound, Refused
from controlplane.prompts.render_pool import RenderBusy
from controlplane.registry.models import Environment
from controlplane.releases import history, pages, services
from controlplane.releases.authority import to_undo
from controlplane.releases.inputs import ChosenInput
from controlplane.releases.models import Release
from controlplane.releases.pages import Approval, Choosing
from controlplane.releases.progress import progress
from controlplane.releases.trials import DoesNotRender
from controlplane.web.access import current_actor, people_with, requires
from controlplane.web.forms import Parsed, fill, parse
from controlplane.web.unit_of_work import db_session, discard, independent

blueprint = Blueprint("releases", __name__)

Form = Parsed[Any]

PAGE_LENGTH = 50
# A stream holds a thread of the server: it ends by itself, and a page that still waits asks again.
STREAM_LOOKS = 150
STREAM_PAUSE = 0.4

ApprovalsOf = Callable[[Session, str, int], Sequence[Approval]]
ProposedIn = Callable[[Session, str], Mapping[str, Sequence[int]]]


# Not yet live


@blueprint.get("/<environment>/unpublished")
@requires(Role.VIEWER)
def unpublished(environment: str) -> str:
    """What is saved but not live here; `?entry=` ticks only the entries named."""
    page = pages.unpublished(db_session(), _environment(environment), entry_url)
    asked = set(request.args.getlist("entry"))
    ticked = [each.key for each in page.entries if (each.key in asked if asked else each.ticked)]
    return _unpublished_page(environment, page, fill({"entries": ticked, "reason": None}))


@blueprint.post("/<environment>/unpublished")
@requires(Role.PUBLISHER)
def publish(environment: str) -> ResponseReturnValue:
    """Publish what is ticked."""
    form = chosen()
    status, problems = 422, None
    if form.value is not None:
        try:
            release = services.publish_saved(
                db_session(),
                environment,
                keys=form.value.entries,
                seen=form.value.digests,
                reason=form.value.reason or "",
                actor=current_actor(),
                base=form.value.base,
            )
        except Refused as refusal:
            form, problems = refused(form, refusal)
        except Conflict as conflict:
            status, problems = 409, [str(conflict)]
        except RenderBusy as busy:
            status, form = 429, form.refused(Refused({"": str(busy)}))
        else:
            return _made(release, f"Published release {release.number}.")
    discard()
    return unpublished_page(environment, form, problems=problems), status


def unpublished_page(environment: str, form: Form, *, problems: list[str] | None = None) -> str:
    """The page again after something was refused; the session must have let go of what that held."""
    page = pages.unpublished(db_session(), _environment(environment), entry_url)
    return _unpublished_page(environment, page, form, problems=problems)


def _unpublished_page(
    environment: str, page: Choosing, form: Form, *, problems: list[str] | None = None
) -> str:
    """With the open proposals that hold some of it already: nobody shall propose a thing twice without knowing."""
    proposed_in = cast("ProposedIn", current_app.config["PROPOSED_IN"])
    return _choosing_page(
        "releases/unpublished.html",
        page,
        form,
        problems=problems,
        proposed=proposed_in(db_session(), environment),
    )


# Releases


@blueprint.get("/<environment>/releases")
@requires(Role.VIEWER)
def index(environment: str) -> str:
    """The releases, newest first."""
    before = request.args.get("before", type=int)
    found = history.list_releases(db_session(), environment, before=before, limit=PAGE_LENGTH + 1)
    rows = pages.release_rows(db_session(), found[:PAGE_LENGTH])
    older = rows[-1].release.number if len(found) > PAGE_LENGTH else None
    return render_template("releases/index.html", rows=rows, older=older, continued=before is not None)


@blueprint.get("/<environment>/releases/<int:number>")
@requires(Role.VIEWER)
def show(environment: str, number: int) -> str:
    """One release: what it changed, who and why, and how far it has come; `?against=` compares it with another."""
    against = request.args.get("against", type=int)
    page = pages.release_page(db_session(), environment, number, entry_url, shown=_shown(), against=against)
    of_release = Query((Term(environment, "env"), Term(str(number), "release")))
    return render_template(
        "releases/show.html",
        page=page,
        progress=page.progress,
        approvals=_approvals(page.release),
        changes=newest(db_session(), of_release, limit=5),
        all_changes_url=url_for("audit.index", q=of_release),
        people_with=lambda role: people_with(Role(role)),
        form=fill({"against": page.against}),
        more_url=lambda key: url_for("releases.show", number=number, against=page.against, entry=key),
    )


def _approvals(release: Release) -> Sequence[Approval]:
    """Who agreed to it. Proposals are a feature above this one, so the factory is handed the function."""
    if release.proposal is None:
        return []
    approvals_of = cast("ApprovalsOf", current_app.config["APPROVALS_OF"])
    return approvals_of(db_session(), release.environment, release.proposal)


@blueprint.get("/<environment>/releases/<int:number>/events")
@requires(Role.VIEWER)
def events(environment: str, number: int) -> Response:
    """A release on its way, as it happens: the fragment of its page, again whenever it changes."""
    release = history.get_release(db_session(), environment, number)
    stream = stream_with_context(_stream(release))
    return Response(stream, mimetype="text/event-stream", headers={"X-Accel-Buffering": "no"})


def _stream(release: Release) -> Iterator[str]:
    sent = None
    for _ in range(STREAM_LOOKS):
        with independent() as session:
            found = progress(session, release)
        fragment = render_template("releases/_export.html", progress=found)
        # Something is sent each time, or a browser that has gone would never be noticed.
        yield event_of(fragment) if fragment != sent else ": still here\n\n"
        sent = fragment
        if not found.moving:
            yield "event: done\ndata: done\n\n"
            return
        time.sleep(STREAM_PAUSE)


def event_of(fragment: str) -> str:
    """A fragment as one server-sent event."""
    return "".join(f"data: {line}\n" for line in fragment.splitlines()) + "\n"


@blueprint.get("/<environment>/releases/compare")
@requires(Role.VIEWER)
def compare(environment: str) -> str:
    """What leads from one release to another."""
    session = db_session()
    latest = history.latest_release(session, environment)
    if latest is None:
        raise NotFound("release", f"of {environment}")
    newer = request.args.get("to", latest.number, type=int)
    older = (
        request.args.get("from", type=int) or history.previous_number(session, environment, newer) or newer
    )
    for number in (older, newer):
        history.get_release(session, environment, number)
    changes = history.compare(session, environment, older, newer)
    return render_template(
        "releases/compare.html",
        older=older,
        newer=newer,
        more_url=lambda key: url_for("releases.compare", **{"from": older, "to": newer, "entry": key}),
        entries=pages.entry_views(session, changes, entry_url, shown=_shown()),
        form=fill({"from": older, "to": newer}),
        options=pages.release_options(session, environment),
    )


# Rolling back


@blueprint.get("/<environment>/releases/<int:number>/roll-back")
@requires(Role.ON_CALL)
def roll_back(environment: str, number: int) -> str:
    """What rolling back to this release would change, to choose from."""
    page = pages.rollback(db_session(), _environment(environment), number, entry_url)
    form = fill({"entries": [each.key for each in page.entries], "reason": None})
    return _choosing_page(
        "releases/roll_back.html", page, form, number=number, emergency=_is_emergency(environment)
    )


@blueprint.post("/<environment>/releases/<int:number>/roll-back")
@requires(Role.ON_CALL)
def do_roll_back(environment: str, number: int) -> ResponseReturnValue:
    """Make what is ticked live again as it was."""
    form = chosen()
    status, problems = 422, None
    if form.value is not None:
        try:
            release = services.roll_back(
                db_session(),
                environment,
                to=number,
                keys=form.value.entries,
                reason=form.value.reason or "",
                actor=current_actor(),
                base=form.value.base,
                authority=to_undo(_environment(environment), current_actor()),
            )
        except Refused as refusal:
            form, problems = refused(form, refusal)
        except Conflict as conflict:
            status, problems = 409, [str(conflict)]
        else:
            return _made(release, f"Rolled back to release {number}, as release {release.number}.")
    page = pages.rollback(_fresh(), _environment(environment), number, entry_url)
    answer = _choosing_page(
        "releases/roll_back.html",
        page,
        form,
        number=number,
        problems=problems,
        emergency=_is_emergency(environment),
    )
    return answer, status


def _is_emergency(environment: str) -> bool:
    """Whether rolling back goes around what is asked for here, and is to be looked at afterwards."""
    row = _environment(environment)
    return to_undo(row, current_actor()).is_emergency_in(row)


# What the views share


def entry_url(key: str) -> str | None:
    """Return the page of an entry, None when it has none."""
    kind, *parts = key.split("/")
    if kind == "configuration":
        interaction, tier, tenant = parts
        if interaction == "*":
            return None
        more: dict[str, Any] = {} if tenant == "*" else {"tenant": tenant}
        return url_for("configurations.show", interaction=interaction, tier=tier, **more)
    endpoint, name = _PAGES.get(kind, (None, ""))
    values: dict[str, Any] = {name: parts[0]}
    return url_for(endpoint, **values) if endpoint else None


_PAGES = {
    "prompt": ("prompts.show", "code"),
    "interaction": ("registry.interaction", "code"),
    "model": ("registry.model", "code"),
    "gate": ("rollouts.gate", "interaction"),
}


def _shown() -> str:
    """The entry whose fields are asked for, on a page with too many to show them all."""
    return request.args.get("entry", "")


def chosen() -> Form:
    """What was sent. What people cannot see on the form they cannot mend: it is told of the form as a whole."""
    form = parse(ChosenInput, request.form)
    unseen = form.errors.keys() - {"entries", "reason"}
    if not unseen:
        return form
    errors = {name: text for name, text in form.errors.items() if name not in unseen}
    return replace(
        form, errors={"": "The form did not arrive whole. Look at it once more and send it again.", **errors}
    )


def _environment(code: str) -> Environment:
    found = db_session().get(Environment, code)
    if found is None:
        raise NotFound("environment", code)
    return found


def _fresh() -> Any:
    """The session after a refusal: what the refused attempt had locked and read is let go of."""
    session = db_session()
    session.rollback()
    return session


def _made(release: Release, message: str) -> ResponseReturnValue:
    flash(message)
    return redirect(url_for("releases.show", number=release.number), 303)


_DOES_NOT_HOLD: Final = (
    "Services would refuse this release: what you ticked does not hold together with what stays live."
)
_DOES_NOT_RENDER: Final = "A template fails with values with which it has to pass."


def refused(form: Form, refusal: Refused) -> tuple[Form, list[str]]:
    """Part a refusal into what belongs beside a field and what is wrong with what would go live."""
    beside = {name: text for name, text in refusal.errors.items() if name in {"reason", "entries"}}
    problems = [text for name, text in refusal.errors.items() if name not in beside]
    if problems:
        beside.setdefault(
            "entries", _DOES_NOT_RENDER if isinstance(refusal, DoesNotRender) else _DOES_NOT_HOLD
        )
    return form.refused(Refused(beside)), problems


def _choosing_page(
    template: str, page: Choosing, form: Form, *, problems: list[str] | None = None, **more: Any
) -> str:
    return render_template(
        template,
        page=page,
        form=form,
        problems=problems or [],
        publishers=people_with(Role(page.publish_role)),
        **more,
    )
