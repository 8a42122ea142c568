"""What is live, looked at as a whole: who gets what and what is odd about it; and what a failure would do."""

import datetime as dt

from flask import Blueprint, render_template, request
from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Role
from controlplane.audit.object_links import entry_url
from controlplane.configurations.coverage import coverage
from controlplane.coverage.lint import lint
from controlplane.coverage.rehearsal import Failure, rehearse
from controlplane.db import now
from controlplane.explain.answering import newest_snapshot
from controlplane.overview.page import cell_note
from controlplane.registry.models import Model
from controlplane.registry.services import list_interactions, list_tiers
from controlplane.runtime.snapshot import Snapshot
from controlplane.web.access import requires
from controlplane.web.forms import fill
from controlplane.web.unit_of_work import db_session

blueprint = Blueprint("coverage", __name__)


@blueprint.get("/<environment>/coverage")
@requires(Role.VIEWER)
def show(environment: str) -> str:
    """The grid of who is answered by what, and everything that is odd about it."""
    session, at = db_session(), now()
    snapshot = newest_snapshot(session, environment)
    entries = snapshot.documents() if snapshot else {}
    tiers = [row.code for row in list_tiers(session)]
    return render_template(
        "coverage/show.html",
        release=snapshot.release if snapshot else None,
        grid=coverage(
            entries, interactions=[row.code for row in list_interactions(session)], tiers=tiers, now=at
        ),
        tiers=tiers,
        note=cell_note,
        findings=lint(snapshot, now=at, retiring=_retiring(session)) if snapshot else [],
        link=lambda key: entry_url(key, environment),
    )


@blueprint.get("/<environment>/coverage/rehearsal")
@requires(Role.VIEWER)
def rehearsal(environment: str) -> str:
    """What if this model, or this provider, fails?"""
    session = db_session()
    snapshot = newest_snapshot(session, environment)
    failure = Failure(model=request.args.get("model") or None, provider=request.args.get("provider") or None)
    asked = failure.model is not None or failure.provider is not None
    found = rehearse(snapshot, failure, now=now()) if snapshot and asked else None
    models, providers = _models_of(snapshot)
    return render_template(
        "coverage/rehearsal.html",
        form=fill({"model": failure.model, "provider": failure.provider}),
        failure=failure,
        found=found,
        models=models,
        providers=providers,
    )


def _retiring(session: Session) -> dict[str, dt.date]:
    query = select(Model.code, Model.retires_on).where(
        Model.retires_on.is_not(None), Model.archived_at.is_(None)
    )
    return {code: day for code, day in session.execute(query) if day is not None}


def _models_of(snapshot: Snapshot | None) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The models and the providers of a release, as choices."""
    keys = snapshot.raws if snapshot else {}
    codes = sorted(key.removeprefix("model/") for key in keys if key.startswith("model/"))
    found = [snapshot.model(code) for code in codes] if snapshot else []
    providers = sorted({model.provider for model in found if model is not None})
    return [(code, code) for code in codes], [(name, name) for name in providers]
