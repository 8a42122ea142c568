"""The application factory: a list of steps, each in the module it belongs to."""

from importlib import import_module
from pathlib import Path

from flask import Flask
from jinja2 import StrictUndefined
from werkzeug.middleware.proxy_fix import ProxyFix

from controlplane.config import Settings
from controlplane.runtime.signing import Verifier
from controlplane.web import (
    access,
    csrf,
    delivery,
    environments,
    error_pages,
    filters,
    frame,
    session,
    standing,
    unit_of_work,
)
from controlplane.web.extensions import cache, htmx
from controlplane.web.unit_of_work import LazyEngine, SessionFactory

PROJECT = Path(__file__).resolve().parents[2]

# Modules with a `blueprint`, lowest feature first.
BLUEPRINTS = (
    "controlplane.web.health",
    "controlplane.accounts.views",
    "controlplane.accounts.access_views",
    "controlplane.tokens.views",
    "controlplane.audit.views",
    "controlplane.audit.finding_views",
    "controlplane.reviews.views",
    "controlplane.reviews.report_views",
    "controlplane.registry.views",
    "controlplane.samples.views",
    "controlplane.prompts.views",
    "controlplane.snippets.views",
    "controlplane.configurations.views",
    "controlplane.fleet.views",
    "controlplane.switches.views",
    "controlplane.releases.views",
    "controlplane.releases.rendered_views",
    "controlplane.trying.views",
    "controlplane.rollouts.views",
    "controlplane.guards.views",
    "controlplane.health.views",
    "controlplane.plans.views",
    "controlplane.proposals.views",
    "controlplane.proposals.choosing_views",
    "controlplane.proposals.offering_views",
    "controlplane.explain.views",
    "controlplane.decisions.views",
    "controlplane.overview.views",
    "controlplane.coverage.views",
    "controlplane.api.views",
)


def create_app(
    settings: Settings, *, sessions: SessionFactory | None = None, verifier: Verifier | None = None
) -> Flask:
    """The site. `sessions` makes database sessions; left out, they come from `settings.database_url`.

    `verifier` has the public keys that releases in files are believed by; left out, none is.
    """
    app = Flask(
        "controlplane", template_folder=str(PROJECT / "templates"), static_folder=str(PROJECT / "static")
    )
    app.config["MAX_CONTENT_LENGTH"] = 1024 * 1024
    app.config["MAX_FORM_MEMORY_SIZE"] = 1024 * 1024
    app.config["MAX_FORM_PARTS"] = 2000
    app.config["TICKET_URL"] = settings.ticket_url
    app.config["VERIFIER"] = verifier or Verifier()
    app.config["LIVE_RELEASE"] = standing.live_release
    app.config["APPROVALS_OF"] = standing.approvals_of
    app.config["PROPOSED_IN"] = standing.proposed_in
    app.config["NAVIGATION_COUNTS"] = standing.navigation_counts
    app.config["THROWN_SWITCHES"] = standing.thrown_switches
    trust_proxies(app, settings.proxies)
    register_templates(app)
    # The order is the order in which a request meets them; answers pass them the other way round.
    unit_of_work.register(app, sessions or LazyEngine(_database_url(settings)))
    delivery.register(app)
    session.register(app, secure=settings.secure_cookies)
    csrf.register(app)
    access.register(app)
    environments.register(app)
    frame.register(app)
    error_pages.register(app)
    filters.register(app)
    cache.init_app(app)
    htmx.init_app(app)
    register_blueprints(app)
    return app


def trust_proxies(app: Flask, count: int) -> None:
    """Believe the last `count` proxies about who asks: throttle, audit and session protection count by address.

    Without a proxy of ours the headers are anybody's to write, so none is believed by default.
    """
    if count:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count)  # type: ignore[method-assign]


def register_templates(app: Flask) -> None:
    """A name that a template misspells is an error, not an empty place on the page."""
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True


def register_blueprints(app: Flask) -> None:
    """Attach every feature's views."""
    for name in BLUEPRINTS:
        app.register_blueprint(import_module(name).blueprint)


def _database_url(settings: Settings) -> str:
    if settings.database_url is None:
        raise RuntimeError("DATABASE_URL is not set: start everything with ./run, or point it at a Postgres.")
    return settings.database_url
