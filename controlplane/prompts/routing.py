"""The blueprint of the pages of templates, which several modules add theirs to."""

from flask import Blueprint

from controlplane.prompts.render_pool import RenderBusy, shared

blueprint = Blueprint("prompts", __name__)


@blueprint.before_request
def warm_up() -> None:
    """Have the render workers ready by the time somebody who came to look begins to write."""
    shared().warm_up()


def retry_after(busy: RenderBusy) -> dict[str, str]:
    """The header that says when to come back."""
    return {"Retry-After": str(busy.retry_after)}
