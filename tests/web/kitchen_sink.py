"""A page with every macro of templates/components, filled with likely things."""

import datetime as dt
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from flask import Flask, flash, render_template, request
from flask.typing import ResponseReturnValue
from jinja2 import BaseLoader, ChoiceLoader, FileSystemLoader

from controlplane.accounts.actor import Role
from controlplane.errors import Refused
from controlplane.web.access import requires
from controlplane.web.forms import fill

MOMENT = dt.datetime(2026, 11, 22, 9, 12, tzinfo=dt.UTC)
VALUES: dict[str, Any] = {
    "share": 10,
    "temperature": 0.7,
    "max_tokens": 1024,
    "role": "follow",
    "active": True,
    "params": ["t", "m"],
    "model": "B",
    "body": "You are a coach for {{ company }}.\n{% for goal in goals %}\n- {{ goal }}\n{% endfor %}",
    "effective_from": MOMENT,
}
ROWS = [
    SimpleNamespace(key="configuration/COACHING_RESPONSE/premium/*", field="model", before="A", after="B"),
    SimpleNamespace(key="configuration/COACHING_RESPONSE/premium/*", field="top_p", before=None, after="0.9"),
    SimpleNamespace(key="prompt/coaching_response", field="version", before="14", after=None),
]
LINES = [
    SimpleNamespace(kind="skip", text="12 unchanged lines"),
    SimpleNamespace(kind="same", old=13, new=13, text="{% for goal in goals %}"),
    SimpleNamespace(
        kind="del", old=14, new=None, parts=[("- ", False), ("{{ goal }}", True), (" now", False)]
    ),
    SimpleNamespace(
        kind="ins", old=None, new=14, parts=[("- ", False), ("{{ goal.title }}", True), (" now", False)]
    ),
    SimpleNamespace(kind="same", old=15, new=15, text="{% endfor %}"),
]
ITEMS = [
    SimpleNamespace(
        at=MOMENT,
        actor="editor-1",
        sentence="raised it",
        url="/c/1",
        reason="Better",
        release=418,
        tone="rolling",
    ),
    SimpleNamespace(
        at=MOMENT, actor="editor-2", sentence="published 3 entries", url=None, environment="production"
    ),
]


def add_to(app: Flask) -> None:
    """Serve the page at /kitchen-sink: GET fills it, ?problem refuses it, POST answers 422 or, with ok=1, 303."""
    loader = app.jinja_env.loader
    assert isinstance(loader, BaseLoader)
    app.jinja_env.loader = ChoiceLoader([loader, FileSystemLoader(Path(__file__).parent / "templates")])

    def show() -> ResponseReturnValue:
        if request.form.get("ok"):
            flash("Saved version 9.")
            return app.redirect("/kitchen-sink", 303)
        form = fill(VALUES)
        refused = request.method == "POST" or "problem" in request.args
        if refused:
            form = form.refused(Refused({"temperature": "Enter 2 or less.", "model": "It is inactive."}))
        page = render_template(
            "kitchen_sink.html",
            form=form,
            rows=ROWS,
            lines=LINES,
            items=ITEMS,
            moment=MOMENT,
            q=request.args.get("q", ""),
        )
        return page, 422 if refused else 200

    app.add_url_rule("/kitchen-sink", "kitchen_sink", requires(Role.VIEWER)(show), methods=["GET", "POST"])
