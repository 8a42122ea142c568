"""Where the pages of configurations are: their blueprint, the two addresses of each, and the way back to an address."""

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from controlplane.configurations import services
from controlplane.configurations.models import Configuration
from controlplane.configurations.places import Place
from controlplane.errors import NotFound
from controlplane.web.unit_of_work import db_session

blueprint = Blueprint("configurations", __name__)

ROOT = "/<environment>/configurations"
PLACE = f"{ROOT}/<interaction>/<tier>"

View = TypeVar("View", bound=Callable[..., Any])


def at_place(
    rest: str = "", *, prefix: str = "", methods: tuple[str, ...] = ("GET",)
) -> Callable[[View], View]:
    """Two addresses for one view: of a tier's configuration, and of a tenant's beside it."""

    def mark(view: View) -> View:
        for rule in (f"{prefix}{PLACE}{rest}", f"{prefix}{PLACE}/<tenant>{rest}"):
            blueprint.add_url_rule(rule, view_func=view, methods=list(methods))
        return view

    return mark


@blueprint.before_request
def spell_codes() -> ResponseReturnValue | None:
    """Codes are upper-case and tiers lower-case; an address that was typed otherwise leads to the right one."""
    given = request.view_args or {}
    right = {
        name: fold(given[name])
        for name, fold in (("interaction", str.upper), ("tier", str.lower))
        if name in given
    }
    if (
        request.method != "GET"
        or request.endpoint is None
        or all(given[name] == code for name, code in right.items())
    ):
        return None
    query = request.query_string.decode(errors="replace")
    return redirect(url_for(request.endpoint, **{**given, **right}) + (f"?{query}" if query else ""))


def configuration_at(place: Place) -> Configuration:
    """The configuration at a place, with its versions; raises `NotFound`."""
    return services.get_configuration(db_session(), place.interaction, tier=place.tier, tenant=place.tenant)


def configuration_or_none(place: Place) -> Configuration | None:
    """The same, where there may be none yet."""
    try:
        return configuration_at(place)
    except NotFound:
        return None


@blueprint.app_template_global("configuration_url")
def configuration_url(place: Place, view: str = "show", **more: Any) -> str:
    """The address of a page of a configuration."""
    return url_for(
        f"configurations.{view}",
        interaction=place.interaction,
        tier=place.tier_word,
        tenant=place.tenant,
        **more,
    )


@blueprint.app_template_global("new_configuration_url")
def new_configuration_url(place: Place) -> str:
    """The address of the form of a configuration that is yet to be made."""
    return url_for(
        "configurations.new", interaction=place.interaction, tier=place.tier_word, tenant=place.tenant
    )
