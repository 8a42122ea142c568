"""The blueprint of the pages of snippets, which two modules add theirs to."""

from flask import Blueprint

from controlplane.prompts.render_pool import shared

blueprint = Blueprint("snippets", __name__)


@blueprint.before_request
def warm_up() -> None:
    """Have the render workers ready by the time somebody who came to look begins to write."""
    shared().warm_up()
