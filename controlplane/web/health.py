"""The probe: whether this process answers and reaches the database."""

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue
from sqlalchemy import text

from controlplane.web.access import public
from controlplane.web.unit_of_work import independent

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@public
def healthz() -> ResponseReturnValue:
    """200 when the database answers; when it does not, the 503 page comes by itself."""
    with independent() as session:
        session.execute(text("SELECT 1"))
    return jsonify(status="ok")
