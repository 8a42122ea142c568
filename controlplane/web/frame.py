"""What stands around every page: environment bar, navigation, the person, the theme. Asked for only when drawn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from flask import Flask, current_app, g, request, url_for
from sqlalchemy.orm import Session

from controlplane.web import environments
from controlplane.web.access import SignedIn, may, signed_in_or_none
from controlplane.web.environments import LiveRelease, Switch
from controlplane.web.unit_of_work import db_session

THEME_COOKIE = "theme"
THEMES = ("light", "dark", "system")

Counts = Callable[[Session, str], dict[str, int]]
Thrown = Callable[[Session, str], Sequence[Any]]


@dataclass(frozen=True)
class Place:
    """Somewhere the navigation leads to: its endpoint, words, sign and, after g, its key."""

    endpoint: str
    label: str
    sign: str
    key: str | None = None
    needs: str = "viewer"


WORK = (
    Place("overview.show", "Overview", "layout-dashboard", "o"),
    Place("registry.interactions", "Interactions", "message-square-text", "i"),
    Place("configurations.index", "Configurations", "sliders-horizontal", "c"),
    Place("prompts.index", "Templates", "file-text", "t"),
    Place("rollouts.index", "Rollouts", "split", "u"),
    Place("switches.index", "Kill switches", "zap", "k"),
    Place("releases.unpublished", "Not yet live", "circle-dashed", "n"),
    Place("proposals.index", "Proposals", "git-compare", "v"),
    Place("releases.index", "Releases", "package", "r"),
    Place("fleet.index", "Processes", "gauge"),
    Place("coverage.show", "Coverage", "target"),
    Place("explain.show", "Explain", "route", "e"),
    Place("audit.index", "Changes", "history", "a"),
    Place("reviews.index", "Reviews", "eye", "w"),
)
SETUP = (
    Place("registry.models", "Models", "cpu", "m"),
    Place("registry.tiers", "Tiers", "layers"),
    Place("registry.environments", "Environments", "server"),
    Place("tokens.index", "API tokens", "key"),
    Place("accounts.people", "People", "users", "p", needs="admin"),
)

# What a count is a sign of, where it is one.
_TONES = {"releases.unpublished": "differs", "switches.index": "failed", "reviews.index": "review"}


@dataclass(frozen=True)
class Item:
    """One link of the navigation."""

    label: str
    sign: str
    url: str
    key: str | None
    current: str | None
    count: int | None
    tone: str | None


@dataclass(frozen=True)
class Group:
    """Links that stand together."""

    label: str | None
    items: list[Item]


@dataclass(frozen=True)
class Bar:
    """The environment on screen and what is live in it."""

    code: str
    name: str
    protected: bool
    release: LiveRelease | None
    release_url: str | None
    processes_url: str | None


class Frame:
    """The variable `frame` of base.html."""

    @cached_property
    def person(self) -> SignedIn | None:
        """Who is signed in."""
        return signed_in_or_none()

    @cached_property
    def theme(self) -> str | None:
        """The chosen theme, or None to follow the system."""
        return chosen_theme()

    @cached_property
    def environment(self) -> Bar | None:
        """The environment the page is about."""
        here = environments.current_environment() if self.person else None
        if here is None:
            return None
        release = environments.live_release(here)
        url = None
        if release and "releases.show" in current_app.view_functions:
            url = url_for("releases.show", environment=here.code, number=release.number)
        processes = _url("fleet.index") and url_for("fleet.index", environment=here.code)
        return Bar(here.code, here.name, here.protected, release, url, processes)

    @cached_property
    def thrown_switches(self) -> Sequence[Any]:
        """The kill switches that are thrown in that environment. Their feature stands above; the factory hands it in."""
        here = environments.current_environment() if self.person else None
        return cast("Thrown", current_app.config["THROWN_SWITCHES"])(db_session(), here.code) if here else ()

    @cached_property
    def switches(self) -> list[Switch]:
        """The links to this page in each environment."""
        return environments.switches()

    @cached_property
    def home(self) -> str:
        """Where the mark leads."""
        return _url("overview.show") or "/"

    @cached_property
    def navigation(self) -> list[Group]:
        """The places this person may go to, with the one they are at marked."""
        if self.person is None:
            return []
        here = environments.current_environment()
        counts = (
            cast("Counts", current_app.config["NAVIGATION_COUNTS"])(db_session(), here.code) if here else {}
        )
        groups = [(None, WORK), ("Set-up", SETUP)]
        links = {place.endpoint: _url(place.endpoint) for _, places in groups for place in places}
        current = _nearest([url for url in links.values() if url])
        return [
            Group(
                label,
                [
                    _item(place, url, current, counts)
                    for place in places
                    if (url := links[place.endpoint]) and may(place.needs)
                ],
            )
            for label, places in groups
        ]


def register(app: Flask) -> None:
    """Put `frame` and `theme` into every template."""
    app.config.setdefault("NAVIGATION_COUNTS", lambda _session, _environment: {})
    app.config.setdefault("THROWN_SWITCHES", lambda _session, _environment: ())

    @app.context_processor
    def _frame() -> dict[str, Any]:
        if "frame" not in g:
            g.frame = Frame()
        return {"frame": g.frame, "theme": chosen_theme()}


def chosen_theme() -> str | None:
    """The theme of the cookie: the server writes it into the page, so that nothing flashes."""
    theme = request.cookies.get(THEME_COOKIE)
    return theme if theme in {"light", "dark"} else None


def _url(endpoint: str) -> str | None:
    if endpoint not in current_app.view_functions:
        return None
    if (
        current_app.url_map.is_endpoint_expecting(endpoint, "environment")
        and not environments.current_environment()
    ):
        return None
    return url_for(endpoint)


def _nearest(urls: list[str]) -> str | None:
    """The link that leads nearest to the page on screen: the longest one whose path its path goes on from."""
    path = request.path
    fitting = [url for url in urls if path == url or path.startswith(url.rstrip("/") + "/")]
    longest = max(fitting, key=len, default=None)
    # The overview's path is where all pages of an environment begin; only it alone is at the overview.
    return None if longest is not None and longest.endswith("/") and path != longest else longest


def _item(place: Place, url: str, current: str | None, counts: dict[str, int]) -> Item:
    mark = None if url != current else "page" if request.path == url else "true"
    tone = _TONES.get(place.endpoint)
    return Item(place.label, place.sign, url, place.key, mark, counts.get(place.endpoint), tone)
