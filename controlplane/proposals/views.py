"""The list of proposals and the page of one: its parts, and everything that can be done with it. All of it works without script."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from pydantic import BaseModel
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Role
from controlplane.errors import Conflict, FieldError, NotFound, Refused
from controlplane.prompts import tokens
from controlplane.prompts.render_pool import RenderBusy, shared
from controlplane.prompts.routing import retry_after
from controlplane.prompts.textdiff import side_by_side
from controlplane.proposals import listing, newer, pages, reviewing, services, wording
from controlplane.proposals import schedule as schedules
from controlplane.proposals.inputs import COMMON_ZONES, CommentInput, ScheduleInput, SeenInput, moment_of
from controlplane.proposals.models import Proposal
from controlplane.proposals.pages import PARTS, WHOLE, ProposalPage
from controlplane.proposals.services import Moved, get_proposal
from controlplane.proposals.states import State
from controlplane.proposals.steps import AlreadyPublished
from controlplane.registry import cost
from controlplane.registry.models import Environment
from controlplane.releases.rendered_views import try_url
from controlplane.releases.views import entry_url
from controlplane.web.access import current_actor, requires
from controlplane.web.extensions import cache
from controlplane.web.forms import Parsed, fill, parse
from controlplane.web.unit_of_work import db_session, discard, independent

blueprint = Blueprint("proposals", __name__)

ROOT = "/<environment>/proposals"
ONE = f"{ROOT}/<int:number>"

Form = Parsed[Any]


@dataclass(frozen=True)
class Told:
    """A time in words, or what is wrong with it."""

    words: str
    problem: bool = False


# Reading


@blueprint.get(ROOT)
@requires(Role.VIEWER)
def index(environment: str) -> str:
    """The proposals: what waits for this person first; `?state=` has all of one state."""
    state = request.args.get("state", "")
    page = listing.index(
        db_session(),
        _environment(environment),
        actor=current_actor(),
        state=state if state in set(State) else "",
        before=request.args.get("before", type=int),
    )
    return render_template("proposals/index.html", page=page, form=fill({"state": page.state}))


@blueprint.get(ONE)
@requires(Role.VIEWER)
def show(environment: str, number: int) -> str:
    """One proposal: `?part=` chooses what of it, `?view=split` shows texts side by side."""
    return _page(environment, number)


@blueprint.get(f"/_{ROOT}/due")
@requires(Role.VIEWER)
def due(environment: str) -> str:
    """The sentence under the fields of a schedule; no environment is asked anything."""
    told = _due_told(request.args.get("due", ""), request.args.get("zone", ""))
    return render_template("proposals/_due.html", due_told=told, environment=environment)


# Acting


@blueprint.post(f"{ONE}/submit")
@requires(Role.EDITOR)
def submit(environment: str, number: int) -> ResponseReturnValue:
    """Ask others to look at it."""

    def act(session: Session, seen: SeenInput) -> str:
        done = reviewing.submit(session, environment, number, revision=seen.revision, actor=current_actor())
        return _SUBMITTED[State(done.state)]

    return _act(environment, number, act)


@blueprint.post(f"{ONE}/approve")
@requires(Role.PUBLISHER)
def approve(environment: str, number: int) -> ResponseReturnValue:
    """Agree to it as the page showed it."""

    def act(session: Session, seen: SeenInput) -> str:
        reviewing.approve(
            session,
            environment,
            number,
            revision=seen.revision,
            seen_sha256=seen.seen_sha256 or "",
            actor=current_actor(),
        )
        return f"You approved proposal {number}."

    return _act(environment, number, act)


@blueprint.post(f"{ONE}/reject")
@requires(Role.PUBLISHER)
def reject(environment: str, number: int) -> ResponseReturnValue:
    """Ask for changes, saying which."""

    def act(session: Session, seen: SeenInput) -> str:
        reviewing.reject(
            session,
            environment,
            number,
            revision=seen.revision,
            comment=seen.comment or "",
            actor=current_actor(),
        )
        return f"You asked for changes of proposal {number}."

    return _act(environment, number, act)


@blueprint.post(f"{ONE}/update")
@requires(Role.EDITOR)
def update(environment: str, number: int) -> ResponseReturnValue:
    """Take in what was saved since."""

    def act(session: Session, seen: SeenInput) -> str:
        newer.take_in(session, environment, number, revision=seen.revision, actor=current_actor())
        return f"Proposal {number} has what is saved now. Nobody has agreed to that yet."

    return _act(environment, number, act)


@blueprint.post(f"{ONE}/withdraw")
@requires(Role.EDITOR)
def withdraw(environment: str, number: int) -> ResponseReturnValue:
    """End it without publishing it."""

    def act(session: Session, seen: SeenInput) -> str:
        services.withdraw(
            session,
            environment,
            number,
            revision=seen.revision,
            reason=seen.reason or "",
            actor=current_actor(),
        )
        return f"Proposal {number} is withdrawn."

    return _act(environment, number, act)


@blueprint.post(f"{ONE}/comment")
@requires(Role.EDITOR)
def comment(environment: str, number: int) -> ResponseReturnValue:
    """Say something about it."""

    def act(session: Session, said: CommentInput) -> str:
        reviewing.comment(session, environment, number, body=said.body or "", actor=current_actor())
        return "Your comment is kept with the proposal."

    return _act(environment, number, act, model=CommentInput, part="conversation")


@blueprint.post(f"{ONE}/publish")
@requires(Role.PUBLISHER)
def publish(environment: str, number: int) -> ResponseReturnValue:
    """Make it live, and go to the release; asked once more, as a second click does, to the release that it made."""

    def act(session: Session, seen: SeenInput) -> ResponseReturnValue:
        release = services.publish(
            session, environment, number, revision=seen.revision, actor=current_actor()
        )
        flash(f"Published proposal {number} as release {release.number}.")
        return _to_release(release.number)

    return _act(environment, number, act)


@blueprint.post(f"{ONE}/schedule")
@requires(Role.PUBLISHER)
def schedule(environment: str, number: int) -> ResponseReturnValue:
    """Have it go live at a time."""
    if request.form.get("step") == "check":
        form = replace(parse(ScheduleInput, request.form), errors={})
        return _page(environment, number, form=form)

    def act(session: Session, wanted: ScheduleInput) -> str:
        try:
            schedules.schedule(
                session,
                environment,
                number,
                revision=wanted.revision,
                due_at=wanted.due_at,
                zone=wanted.zone,
                actor=current_actor(),
            )
        except Refused as refusal:
            errors = {"due" if name == "due_at" else name: text for name, text in refusal.errors.items()}
            raise Refused(errors) from None
        return f"Scheduled for {wording.due_words(wanted.due_at, wanted.zone)}."

    return _act(environment, number, act, model=ScheduleInput)


@blueprint.post(f"{ONE}/unschedule")
@requires(Role.PUBLISHER)
def unschedule(environment: str, number: int) -> ResponseReturnValue:
    """Take its time away."""

    def act(session: Session, seen: SeenInput) -> str:
        schedules.unschedule(session, environment, number, revision=seen.revision, actor=current_actor())
        return f"The schedule of proposal {number} is cancelled."

    return _act(environment, number, act)


# What can be typed on the page of a proposal.
_FIELDS = {"comment", "reason", "body", "due", "zone"}

_SUBMITTED = {
    State.IN_REVIEW: "Submitted: others can look at it now.",
    State.APPROVED: "Submitted. Nobody else has to agree: it can be published.",
    State.CONFLICTED: "Something it changes was changed meanwhile: choose what shall hold first.",
}


def _act(
    environment: str,
    number: int,
    act: Callable[[Session, Any], str | ResponseReturnValue],
    *,
    model: type[BaseModel] = SeenInput,
    part: str | None = None,
) -> ResponseReturnValue:
    """Check what was sent, do it, and answer with the page, or with where it leads."""
    form = parse(model, request.form)
    if form.value is None:
        return _page(environment, number, form=_visible(form), part=part), 422
    try:
        done = act(db_session(), form.value)
    except AlreadyPublished as already:
        return _to_release(already.release)
    except (Refused, Conflict) as error:
        return _not_done(environment, number, form, error, part)
    except RenderBusy as busy:
        discard()
        form = form.refused(Refused({"": str(busy)}))
        return _page(environment, number, form=form, part=part), 429, retry_after(busy)
    if not isinstance(done, str):
        return done
    flash(done)
    return redirect(url_for(".show", number=number, part=part), 303)


def _not_done(
    environment: str, number: int, form: Form, error: Refused | Conflict, part: str | None
) -> ResponseReturnValue:
    """The page again, as typed, with why nothing was done."""
    discard()
    if isinstance(error, Refused):
        return _page(environment, number, form=form.refused(_beside(error)), part=part), 422
    if isinstance(error, Moved):
        _write_down_conflict(environment, number)
    return _page(environment, number, form=form, part=part, conflict=str(error)), 409


def _beside(refusal: Refused) -> Refused:
    """The refusal with what is wrong with the entries told of the whole: the page has no field for any of them."""
    fields = {name: text for name, text in refusal.errors.items() if name in _FIELDS}
    rest = [text for name, text in refusal.errors.items() if name not in _FIELDS]
    return Refused({"": " ".join(rest), **fields}) if rest else refusal


def _write_down_conflict(environment: str, number: int) -> None:
    """What stopped it outlives the refusal: in a transaction of its own, as that of a refused request is undone."""
    with independent() as session:
        services.mark_conflicted(session, environment, number, actor=current_actor())


def _to_release(number: int) -> ResponseReturnValue:
    return redirect(url_for("releases.show", number=number), 303)


def _visible(form: Form) -> Form:
    """What people cannot see on the form they cannot mend: it is told of the form as a whole."""
    unseen = form.errors.keys() & {"revision", "seen_sha256"}
    if not unseen:
        return form
    errors = {name: text for name, text in form.errors.items() if name not in unseen}
    return replace(form, errors={"": "The form did not arrive whole. Look at it once more.", **errors})


# The page


def _page(
    environment: str,
    number: int,
    *,
    form: Form | None = None,
    part: str | None = None,
    conflict: str | None = None,
) -> str:
    part = part or request.args.get("part", "changes")
    part = part if part in PARTS or part == WHOLE else "changes"
    session, row = db_session(), _environment(environment)
    proposal = get_proposal(session, environment, number)
    page = pages.proposal_page(
        session,
        row,
        proposal,
        actor=current_actor(),
        pool=shared(),
        remembered=_remembered,
        url_of=entry_url,
        with_rendered=part in {"rendered", WHOLE},
        shown_input=request.args.get("input", ""),
    )
    form = _filled(form, page)
    view = request.args.get("view")
    return render_template(
        "proposals/show.html",
        page=page,
        form=form,
        part=part,
        tabs=_tabs(page, part),
        split=view == "split",
        side_by_side=side_by_side,
        shown_input=request.args.get("input"),
        input_url=lambda name: url_for(".show", number=number, part=part, view=view, input=name),
        try_url=try_url,
        url_of=entry_url,
        method=tokens.METHOD,
        basis=cost.MEASURED_BASIS,
        source=wording.source_words(proposal.source),
        conflict=conflict,
        conflict_url=_conflict_url(proposal),
        zones=COMMON_ZONES,
        due_told=_due_told(form["due"].value, form["zone"].value) if form["due"].value else None,
        asks_due={
            "hx-get": url_for(".due"),
            "hx-trigger": "change, input delay:400ms",
            "hx-target": "#due-told",
            "hx-swap": "outerHTML",
            "hx-include": "#f-due, #f-zone",
        },
    )


def _filled(form: Form | None, page: ProposalPage) -> Form:
    first: Form = fill({"zone": page.last_zone})
    return first if form is None else replace(form, raw={**first.raw, **form.raw})


def _tabs(page: ProposalPage, part: str) -> list[tuple[str, str, bool, int | None]]:
    counts = {
        "changes": len(page.content.entries),
        "rendered": page.content.text_count,
        "checks": len(page.content.checks),
        "conversation": len(page.comments),
    }
    shown = PARTS if page.open else {name: PARTS[name] for name in ("changes", "conversation")}
    number = page.proposal.number
    return [
        (
            label,
            url_for(".show", number=number, part=name if name != "changes" else None),
            name == part,
            counts[name],
        )
        for name, label in shown.items()
    ]


def _conflict_url(proposal: Proposal) -> str | None:
    if "proposing.conflict" not in current_app.view_functions:
        return None
    return url_for("proposing.conflict", number=proposal.number)


def _due_told(due: str, zone: str) -> Told:
    try:
        return Told(f"{wording.due_words(moment_of(due, zone or 'UTC'), zone or 'UTC')}.")
    except FieldError as problem:
        return Told(str(problem), problem=True)


def _remembered(key: str, make: Callable[[], Any]) -> Any:
    kept = cache.get(key)
    if kept is None:
        kept = make()
        cache.set(key, kept)
    return kept


def _environment(code: str) -> Environment:
    found = db_session().get(Environment, code)
    if found is None:
        raise NotFound("environment", code)
    return found
