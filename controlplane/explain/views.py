"""The page that says why somebody gets what they get."""

from typing import Any

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from controlplane.accounts.actor import Role
from controlplane.errors import Refused
from controlplane.explain.answering import Answer, answers
from controlplane.explain.asked import ExplainInput
from controlplane.prompts.render_pool import shared
from controlplane.registry.services import list_interactions, list_tiers
from controlplane.web.access import requires
from controlplane.web.forms import Parsed, fill, parse
from controlplane.web.unit_of_work import db_session

blueprint = Blueprint("explain", __name__)

Form = Parsed[Any]


@blueprint.get("/<environment>/explain")
@requires(Role.VIEWER)
def show(environment: str) -> ResponseReturnValue:
    """Ask, and read the answer; the address holds the question, so that it can be sent to somebody."""
    if not request.args.get("interaction"):
        return _page(fill(request.args.to_dict()), [])
    form: Form = parse(ExplainInput, MultiDict(request.args))
    if form.value is None:
        return _page(form, []), 422
    try:
        found = answers(db_session(), environment, form.value.questions(), shared())
    except Refused as refusal:
        return _page(form.refused(refusal), []), 422
    return _page(form, found)


def _page(form: Form, found: list[Answer]) -> str:
    session = db_session()
    return render_template(
        "explain/show.html",
        form=form,
        answers=found,
        interactions=[(row.code, row.code) for row in list_interactions(session)],
        tiers=[(row.code, row.code) for row in list_tiers(session)],
    )
