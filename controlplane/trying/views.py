"""Trying a template out in the browser: look at what would be sent, send it, read the answer. All of it works without script.

Sending costs money, so it is a POST that leads to a page of its own: loading that again asks nobody again.
"""

import os
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from controlplane.accounts.actor import Role
from controlplane.errors import NotFound, Refused
from controlplane.prompts import services as prompts
from controlplane.prompts import tokens
from controlplane.prompts.models import Prompt
from controlplane.registry import cost
from controlplane.releases.saved import bodies_by_hash
from controlplane.runtime.profile import normalise
from controlplane.samples import values
from controlplane.samples.services import list_samples
from controlplane.trying import services
from controlplane.trying.calling import ANSWERED, SECONDS, call, providers_of
from controlplane.trying.inputs import TryInput
from controlplane.trying.models import Try
from controlplane.trying.pages import Choice, Trial, trial
from controlplane.web.access import current_actor, requires
from controlplane.web.forms import Parsed, fill, parse
from controlplane.web.unit_of_work import db_session, discard, independent

blueprint = Blueprint("trying", __name__)

ONE = "/<environment>/templates/<code>/try"

Form = Parsed[Any]


@blueprint.get(ONE)
@requires(Role.EDITOR)
def ask(environment: str, code: str) -> str:
    """What would be sent: of the newest text, or `?version=`, or `?sha256=`, with the default sample or `?sample=`."""
    prompt = prompts.get_prompt(db_session(), code)
    what, body = _asked_for(prompt)
    sample = _sample(prompt)
    declared = prompts.declared_parameters(db_session(), prompt.interaction)
    return _page(prompt, what, body, values.typed(declared, sample.values), fill({}), sample=sample.slug)


@blueprint.post(ONE)
@requires(Role.EDITOR)
def look(environment: str, code: str) -> str:
    """What would be sent of a text and values as they stand in the editor."""
    prompt = prompts.get_prompt(db_session(), code)
    body = normalise(request.form.get("body", ""))
    return _page(prompt, "The text as you typed it", body, values.of_form(request.form), fill({}))


@blueprint.post(f"{ONE}/send")
@requires(Role.EDITOR)
def send(environment: str, code: str) -> ResponseReturnValue:
    """Send it, and go to the answer."""
    prompt = prompts.get_prompt(db_session(), code)
    form: Form = parse(TryInput, request.form)
    body, typed = normalise(request.form.get("body", "")), values.of_form(request.form)
    what = request.form.get("what", "")[:120] or "The text as you typed it"
    found = _trial(prompt, what, body, typed)
    try:
        choice = _sendable(form, found)
    except Refused as refusal:
        return _page(prompt, what, body, typed, form.refused(refusal), found=found), 422
    try:
        made = _try(environment, found, choice)
    except services.TooManyTries as refusal:
        page = _page(prompt, what, body, typed, form.refused(Refused({"": str(refusal)})), found=found)
        return page, 429, {"Retry-After": str(refusal.retry_after)}
    return redirect(url_for(".show", code=code, identifier=made.id), 303)


@blueprint.get(f"{ONE}/<identifier>")
@requires(Role.EDITOR)
def show(environment: str, code: str, identifier: str) -> ResponseReturnValue:
    """The answer, with the form to go on from; for whoever tried, for a day. After that it leads to where one tries."""
    try:
        made = services.get_try(db_session(), identifier, actor=current_actor())
    except NotFound:
        flash("That answer is gone: it is kept for a day, and only for whoever tried.")
        return redirect(url_for(".ask", code=code), 303)
    prompt = prompts.get_prompt(db_session(), made.prompt_code)
    sent = made.sent
    form = fill({"configuration": sent["configuration"]})
    return _page(prompt, sent["what"], sent["body"], sent["typed"], form, made=made)


def _asked_for(prompt: Prompt) -> tuple[str, str]:
    """The text that the address names, with words for it."""
    digest = request.args.get("sha256", "")
    if digest:
        body = bodies_by_hash(db_session(), [digest]).get(digest)
        if body is None:
            raise NotFound("text of this template", digest[:12])
        known = next((each.number for each in prompt.versions if each.sha256 == digest), None)
        return (f"Version {known}" if known else "The proposed text"), body
    number = request.args.get("version", prompt.versions[0].number, type=int)
    version = prompts.get_version(db_session(), prompt.code, number)
    return f"Version {number}", bodies_by_hash(db_session(), [version.sha256])[version.sha256]


def _sample(prompt: Prompt) -> Any:
    found = list_samples(db_session(), prompt.interaction)
    return next((each for each in found if each.slug == request.args.get("sample")), found[0])


def _trial(prompt: Prompt, what: str, body: str, typed: dict[str, str]) -> Trial:
    return trial(
        db_session(),
        prompt,
        what=what,
        body=body,
        typed=typed,
        pool=prompts.pool_for(db_session(), body),
        providers=providers_of(os.environ),
    )


def _sendable(form: Form, found: Trial) -> Choice:
    """The configuration to call as; raises `Refused` when something is not as the page showed it."""
    if found.text is None:
        raise Refused({"": "Nothing was sent: the text does not render."})
    if form.value is None:
        raise Refused(form.errors)
    choice = found.choice(form.value.configuration)
    if choice is None:
        raise Refused({"configuration": "Choose whose call it is to be."})
    if form.value.mode != found.mode:
        raise Refused(
            {
                "": "Nothing was sent: whom this calls has changed since you opened the page. Look at it once more."
            }
        )
    return choice


def _try(environment: str, found: Trial, choice: Choice) -> Try:
    actor = current_actor()
    with independent() as session:
        made = services.begin(
            session,
            prompt_code=found.code,
            configuration=choice.title,
            model=choice.code,
            provider=choice.model.provider,
            sent={
                "what": found.what,
                "body": found.body,
                "typed": dict(found.typed),
                "configuration": choice.key,
            },
            text=found.text or "",
            estimated_tokens=found.input_tokens,
            actor=actor,
        )
        identifier = made.id
    # A model thinks for seconds, and nothing of the database waits for it.
    discard()
    result = call(
        providers_of(os.environ),
        choice.code,
        choice.model,
        choice.settings,
        found.text or "",
        seconds=SECONDS,
    )
    spent = None
    if result.outcome == ANSWERED and not result.is_echo:
        spent = cost.of_call(
            choice.price,
            input_tokens=found.input_tokens if result.input_tokens is None else result.input_tokens,
            output_tokens=tokens.estimate(result.answer or "")
            if result.output_tokens is None
            else result.output_tokens,
        )
    return services.end(db_session(), identifier, result, cost=spent, environment=environment, actor=actor)


def _page(
    prompt: Prompt,
    what: str,
    body: str,
    typed: dict[str, str],
    form: Form,
    *,
    found: Trial | None = None,
    made: Try | None = None,
    sample: str | None = None,
) -> str:
    samples = [(each.slug, each.name) for each in list_samples(db_session(), prompt.interaction)]
    found = found or _trial(prompt, what, body, typed)
    key = form["configuration"].value or next((each.key for each in found.choices), "")
    return render_template(
        "trying/show.html",
        trial=found,
        form=form if form["configuration"].value else _with(form, key),
        chosen=found.choice(key),
        made=made,
        samples=samples,
        picker=fill({"sample": sample}) if sample is not None else None,
        asked={name: value for name, value in request.args.items() if name in {"version", "sha256"}},
        choices=[(each.key, each.label) for each in found.choices],
        method=tokens.METHOD,
        dollars=cost.dollars,
    )


def _with(form: Form, key: str) -> Form:
    return Parsed(form.value, form.errors, {**form.raw, "configuration": [key]})
