"""The routes of the site, as the tests go through them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from flask import Flask

from controlplane.web.access import access_of


@dataclass(frozen=True)
class Route:
    """One method of one address, and who may use it."""

    method: str
    rule: str
    endpoint: str
    access: str | None

    @property
    def name(self) -> str:
        """As in routes.json."""
        return f"{self.method} {self.rule}"

    @property
    def is_api(self) -> bool:
        """Whether programs call it, with a token."""
        return self.rule.startswith("/api/")

    def path(self, values: Mapping[str, str]) -> str:
        """The address with its placeholders filled in."""
        return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: values[found[1]], self.rule)


def routes_of(app: Flask) -> list[Route]:
    """Every route, one for each method; HEAD comes with GET, and OPTIONS Flask answers by itself."""
    found = [
        Route(method, rule.rule, rule.endpoint, _word(access_of(app, rule.endpoint)))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    ]
    return sorted(found, key=lambda route: (route.rule, route.method))


def _word(access: object) -> str | None:
    return None if access is None else str(access)
