"""The pages of reviews: the queue, the answer, many at once, and the rules of what has to be looked at."""

import datetime as dt
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from controlplane.accounts.actor import Role
from controlplane.audit.queries import get_event
from controlplane.audit.views import change_page
from controlplane.db import now
from controlplane.errors import Conflict, Refused
from controlplane.reviews import listing, pages, services, signing_off, words
from controlplane.reviews.inputs import LEAST, SAMPLES, AnswerInput, ReplyInput, RulesInput, SignOffInput
from controlplane.reviews.models import ReviewRules
from controlplane.reviews.opening import rules_of
from controlplane.reviews.rules import DEFAULTS, EVERYWHERE, Rule
from controlplane.reviews.states import Level, State
from controlplane.web.access import current_actor, people_with, requires
from controlplane.web.environments import environments
from controlplane.web.forms import Parsed, fill, parse
from controlplane.web.redirects import safe_path
from controlplane.web.unit_of_work import db_session

blueprint = Blueprint("reviews", __name__)
words.teach()

FILTERS = ("show", "environment", "risk", "when", "only")


@blueprint.get("/changes/reviews")
@requires(Role.VIEWER)
def index() -> str:
    """What waits for a review, the riskiest first."""
    return _queue_page(request.args)


@blueprint.get("/changes/emergencies")
@requires(Role.VIEWER)
def emergencies() -> ResponseReturnValue:
    """Where emergencies waited before there were reviews of anything else."""
    return redirect(url_for(".index", only="emergency"), 302)


@blueprint.post("/changes/<id>/review")
@requires(Role.PUBLISHER, or_reviewer=True)
def answer(id: str) -> ResponseReturnValue:  # noqa: A002 - the word in the address
    """Say of somebody else's change that it is all right, ask about it, or dispute it."""
    form = parse(AnswerInput, request.form)
    back = _back(form["back"].value)
    if form.value is None:
        return _again(id, form, back), 422
    state = State(form.value.answer)
    try:
        services.answer(
            db_session(),
            id,
            state=state,
            comment=form.value.comment or "",
            steps=form.value.steps,
            actor=current_actor(),
        )
    except Refused as refusal:
        return _again(id, form.refused(refusal), back), 422
    except Conflict as conflict:
        # In the queue as any other refusal: what comes with 409 is not swapped in, and what was typed would be lost.
        return _again(id, form, back, conflict=str(conflict)), 409 if back is None else 422
    if back is None:
        flash({State.REVIEWED: "Reviewed.", State.QUERIED: "Asked.", State.DISPUTED: "Disputed."}[state])
    return redirect(back or url_for("audit.show", id=id), 303)


@blueprint.post("/changes/<id>/review/reply")
@requires(Role.EDITOR, or_reviewer=True)
def reply(id: str) -> ResponseReturnValue:  # noqa: A002 - the word in the address
    """Answer what was asked, or say something."""
    form = parse(ReplyInput, request.form)
    if form.value is not None:
        try:
            services.reply(db_session(), id, comment=form.value.reply or "", actor=current_actor())
        except Refused as refusal:
            form = form.refused(Refused({"reply": refusal.errors["comment"]}))
        else:
            flash("Said.")
            return redirect(url_for("audit.show", id=id), 303)
    return change_page(id, fill({}), replied=form), 422


@blueprint.get("/changes/reviews/sign-off")
@requires(Role.PUBLISHER, or_reviewer=True)
def sign_off() -> str:
    """The exact set that would be signed off, to be looked at before the statement."""
    wanted, _ = listing.wanted_of(request.args)
    return _sign_off_page(wanted, fill({}))


@blueprint.post("/changes/reviews/sign-off")
@requires(Role.PUBLISHER, or_reviewer=True)
def sign_off_submit() -> ResponseReturnValue:
    """Review everything of a filter at once."""
    wanted, _ = listing.wanted_of(request.form)
    form = parse(SignOffInput, request.form)
    if form.value is None:
        return _sign_off_page(wanted, form), 422
    given = form.value
    try:
        at = dt.datetime.fromisoformat(given.at)
        signed = signing_off.sign_off(
            db_session(),
            wanted,
            statement=given.statement or "",
            through=given.through,
            count=given.count,
            sha256=given.sha256,
            at=at.replace(tzinfo=at.tzinfo or dt.UTC),
            actor=current_actor(),
        )
    except Refused as refusal:
        return _sign_off_page(wanted, form.refused(refusal)), 422
    except (Conflict, ValueError, OverflowError) as problem:
        words = str(problem) if isinstance(problem, Conflict) else "This page was made too long ago."
        return _sign_off_page(wanted, form, conflict=words), 409
    flash(f"{'1 change is' if signed.count == 1 else f'{signed.count:,} changes are'} signed off.")
    return redirect(url_for(".signed_off", number=signed.number), 303)


@blueprint.get("/changes/reviews/sign-offs/<int:number>")
@requires(Role.VIEWER)
def signed_off(number: int) -> str:
    """One sign-off: the statement, and each change that it is of."""
    session = db_session()
    signed, ids = signing_off.get_sign_off(session, number)
    return render_template(
        "reviews/signed_off.html",
        signed=signed,
        whole=signing_off.digest_of(ids) == signed.sha256,
        lines=listing.lines_of(session, ids[: listing.PAGE]),
        more=max(0, len(ids) - listing.PAGE),
    )


@blueprint.get("/changes/reviews/rules")
@requires(Role.VIEWER)
def rules() -> str:
    """What has to be looked at, and by when; administrators may change it."""
    return _rules_page()


@blueprint.post("/changes/reviews/rules")
@requires(Role.ADMIN)
def change_rules() -> ResponseReturnValue:
    """Change what has to be looked at from now on."""
    form = parse(RulesInput, request.form)
    if form.value is None:
        return _rules_page(form), 422
    defaults = _defaults()
    try:
        services.set_rules(
            db_session(),
            form.value.rules_for(list(defaults), defaults),
            revision=form.value.revision,
            actor=current_actor(),
        )
    except Refused as refusal:
        return _rules_page(form.refused(refusal)), 422
    except Conflict as conflict:
        return _rules_page(form, conflict=str(conflict)), 409
    flash("The rules are changed. They hold for what is done from now on.")
    return redirect(url_for(".rules"), 303)


def _queue_page(
    given: Any, form: Parsed[Any] | None = None, *, at: str | None = None, conflict: str | None = None
) -> str:
    session, actor, moment = db_session(), current_actor(), now()
    wanted, problems = listing.wanted_of(given)
    found = listing.queue(session, wanted, actor=actor, now=moment, after=given.get("after"))
    ids = [row.event.id for row in found.rows]
    counts = listing.counts(session, actor=actor, now=moment)
    return render_template(
        "reviews/index.html",
        wanted=wanted,
        problems=problems,
        queue=found,
        rows=pages.rows_of(found.rows, listing.threads(session, ids), actor=actor, now=moment),
        tabs=[
            (
                label,
                url_for(".index", show=None if show == "open" else show),
                wanted.show == show,
                counts.get(show),
            )
            for show, label in (
                ("open", "To review"),
                ("asked", "Asked of you"),
                ("disputed", "Disputed"),
                ("done", "Reviewed"),
            )
        ],
        overdue=counts["overdue"],
        filters=fill({name: given.get(name) for name in FILTERS}),
        places=[*((each.code, each.name) for each in environments()), ("*", "Saved for all")],
        levels=[(each.label, each.label.capitalize()) for each in reversed(Level)],
        may_review=actor.is_reviewer,
        sees_access=actor.may_review or actor.role.includes(Role.ADMIN),
        may_sign=actor.is_reviewer and wanted.show == "open" and found.total > 0,
        ask=None if actor.is_reviewer else people_with(Role.PUBLISHER),
        following=_turned(wanted, found.following),
        form=form,
        problem_at=at,
        conflict=conflict,
        back=f"{url_for('.index')}?{wanted.query}".rstrip("?"),
    )


def _turned(wanted: listing.Wanted, after: str | None) -> str | None:
    asked: dict[str, Any] = {**wanted.parameters, "after": after}
    return url_for(".index", **asked) if after else None


def _again(id: str, form: Parsed[Any], back: str | None, *, conflict: str | None = None) -> str:  # noqa: A002
    """The page that was answered on, as it was typed: the queue, or the change's own."""
    if back is None:
        return change_page(id, form, conflict=conflict)
    get_event(db_session(), id)
    return _queue_page(dict(parse_qsl(urlsplit(back).query)), form, at=id, conflict=conflict)


def _back(typed: str) -> str | None:
    """The page of the queue to go on with; None when it was answered on the change's own page."""
    path = safe_path(typed, "")
    return path if urlsplit(path).path == url_for(".index") else None


def _sign_off_page(wanted: listing.Wanted, form: Parsed[Any], *, conflict: str | None = None) -> str:
    session, moment = db_session(), now()
    wanted = replace(wanted, show="open")
    chosen = signing_off.choose(session, wanted, actor=current_actor(), at=moment)
    return render_template(
        "reviews/sign_off.html",
        wanted=wanted,
        chosen=chosen,
        most=signing_off.MOST_SIGNED_OFF,
        lines=listing.lines_of(session, chosen.ids[: listing.PAGE]),
        levels=[(level, chosen.levels[level]) for level in reversed(Level) if chosen.levels[level]],
        at=moment.isoformat(),
        form=form,
        conflict=conflict,
        back=f"{url_for('.index')}?{wanted.query}".rstrip("?"),
    )


def _defaults() -> dict[str, Rule]:
    places = {each.code: DEFAULTS.rule(each.code, protected=each.protected) for each in environments()}
    return {**places, EVERYWHERE: DEFAULTS.rule(None, protected=False)}


def _rules_page(form: Parsed[Any] | None = None, *, conflict: str | None = None) -> str:
    session = db_session()
    found = rules_of(session)
    row = session.get(ReviewRules, 1)
    defaults = _defaults()
    names = {each.code: each.name for each in environments()} | {EVERYWHERE: "Saved for all environments"}
    current = {code: found.environments.get(code, rule) for code, rule in defaults.items()}
    if form is None:
        form = fill(
            {
                "rules": [
                    {"code": code, "least": rule.least, "sample": rule.sample}
                    for code, rule in current.items()
                ],
                **{name: value for name, value in found.as_json().items() if name != "environments"},
                "revision": row.revision if row else 0,
            }
        )
    return render_template(
        "reviews/rules.html",
        form=form,
        # After a conflict what was typed stands beside what holds now: sent again, it is meant.
        revision=str(row.revision if row else 0) if conflict else form["revision"].value,
        rules=found,
        current=[(names[code], rule, code in found.environments) for code, rule in current.items()],
        names=names,
        levels=list(reversed(Level)),
        least=[(each, _LEAST[each]) for each in LEAST],
        samples=[(each, "none" if each == 0 else "all" if each == 1 else f"1 in {each}") for each in SAMPLES],
        conflict=conflict,
    )


_LEAST = {
    1: "every change",
    2: "high and medium risk",
    3: "high risk",
    4: "emergencies only",
}
