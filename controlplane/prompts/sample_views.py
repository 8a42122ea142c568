"""Sample sets from within the editor, and two templates beside one another with the same one."""

from dataclasses import replace
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from controlplane.accounts.actor import Role
from controlplane.errors import Refused
from controlplane.prompts import beside, drafts, editing, services
from controlplane.prompts.edit_views import editor_page
from controlplane.prompts.inputs import AsTyped, NewSampleInput
from controlplane.prompts.routing import blueprint
from controlplane.runtime.profile import normalise
from controlplane.samples import services as samples
from controlplane.samples import values
from controlplane.samples.models import Sample
from controlplane.web.access import current_actor, requires
from controlplane.web.forms import Parsed, fill, parse
from controlplane.web.unit_of_work import db_session

Form = Parsed[Any]


@blueprint.post("/<environment>/templates/<code>/samples")
@requires(Role.EDITOR)
def save_sample(environment: str, code: str) -> ResponseReturnValue:
    """Keep the values of the editor under a name. The text that was typed is kept as the person's draft."""
    prompt = services.get_prompt(db_session(), code)
    form, sample = _saved_sample(prompt.interaction)
    if sample is None:
        return editor_page(prompt, form), 422
    body = request.form.get("body", "")
    if normalise(body) != prompt.versions[0].body:
        drafts.save_draft(
            db_session(),
            prompt,
            body=body,
            parameters=editing.typed_values(request.form),
            base_version=request.form.get("base_version", prompt.versions[0].number, type=int),
            actor=current_actor(),
        )
    return redirect(url_for(".edit", code=code, sample=sample.slug), 303)


@blueprint.get("/<environment>/templates/<code>/side-by-side")
@requires(Role.VIEWER)
def side_by_side(environment: str, code: str) -> str:
    """A template beside another of its interaction, or beside another version, rendered with the same values."""
    session = db_session()
    prompt = services.get_prompt(session, code)
    asked = request.args
    page = beside.page(
        session,
        prompt,
        left=asked.get("from", ""),
        right=asked.get("with", ""),
        sample=asked.get("sample", ""),
    )
    return render_template(
        "prompts/side_by_side.html",
        page=page,
        prompt=prompt,
        form=fill({"from": page.left.key, "with": page.right.key, "sample": page.sample.slug}),
    )


def _saved_sample(interaction: str) -> tuple[Form, Sample | None]:
    """The form as typed, with what stands against it, or the sample set that was made of it."""
    form: Form = parse(AsTyped, request.form)
    asked: Form = parse(NewSampleInput, request.form)
    read = values.read(services.declared_parameters(db_session(), interaction), request.form)
    given: NewSampleInput | None = asked.value
    if given is None or read.errors:
        return form.refused(Refused({**asked.errors, **read.errors})), None
    try:
        sample = samples.create_sample(
            db_session(),
            interaction,
            name=given.sample_name,
            values=read.given,
            must_pass=given.sample_must_pass,
            actor=current_actor(),
        )
    except Refused as refusal:
        named = {"sample_name" if name == "name" else name: words for name, words in refusal.errors.items()}
        return replace(form, errors=named), None
    flash(f"Added the sample set “{sample.name}”.", "good")
    return form, sample
