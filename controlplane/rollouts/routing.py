"""The blueprint of the pages of rollouts and gates, and what their forms have in common."""

from dataclasses import replace
from typing import Any

from flask import Blueprint, render_template, request
from werkzeug.datastructures import MultiDict

from controlplane.rollouts.effects import Effect
from controlplane.web.forms import Parsed, fill

blueprint = Blueprint("rollouts", __name__)

ROOT = "/<environment>/rollouts"
ONE = f"{ROOT}/<int:number>"
GATE = "/<environment>/gates/<interaction>"

Form = Parsed[Any]


def with_preset(form: MultiDict[str, str]) -> MultiDict[str, str]:
    """A button that names its own share wins over the field."""
    sent = form.copy()
    if "preset" in sent:
        sent["share"] = sent["preset"]
    return sent


def renewed(form: Form | None, base: int, first: dict[str, Any]) -> Form:
    """The form to show: as typed, but made from what is live now; or, the first time, as things stand."""
    if form is None:
        return fill({**first, "base": base})
    return replace(form, raw={**form.raw, "base": [str(base)]})


def only_asks() -> bool:
    """Whether the form was sent by the button that shows what it would do, for browsers without script."""
    return request.form.get("step") == "check"


def line_of(effect: Effect) -> str:
    """The sentence under a slider, alone."""
    return render_template("rollouts/_effect.html", effect=effect)
