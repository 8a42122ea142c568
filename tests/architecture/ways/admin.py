"""An administrator's browser, and what cases are made of: each makes ready what it needs and returns what to send."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import func, select

from controlplane.audit.models import AuditEvent
from tests.architecture.conftest import Site
from tests.page import Page, PageClient
from tests.site import add_person

Sent = tuple[str, Mapping[str, Any]]
Case = Callable[["Admin"], Sent]

REASON = {"reason": "a test of what is recorded"}
PREMIUM = "/production/configurations/COACHING_RESPONSE/premium"
BASIC = "/production/configurations/COACHING_RESPONSE/basic"
TENANT = f"{BASIC}/acme"
PROMPT = "/production/templates/coaching_response"
ONLY_REQUIRED = "/interactions/KPI_ANALYSIS/samples/only-what-is-required"
NEW_PROMPT = "/production/templates/new"
SNIPPETS = "/production/templates/snippets"


class Admin:
    """An administrator's browser, with short ways to fill in forms."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.client: PageClient = site.client_as("admin")

    def filled(self, page: str, action: str, **changes: Any) -> Sent:
        """The form of a page as it stands, with some values changed."""
        return action, {**self.client.get(page).form(action), **changes}

    def do(self, sent: Sent) -> Page:
        answer = self.client.post(*sent)
        assert answer.status in {201, 303}, answer.body
        return answer

    def person(self, rest: str) -> str:
        return f"/settings/people/{add_person(self.site.session, 'viewer').id}/{rest}"

    @property
    def events(self) -> int:
        return self.site.session.scalar(select(func.count()).select_from(AuditEvent)) or 0


def at(page: str, action: str | None = None, **changes: Any) -> Case:
    return lambda admin: admin.filled(page, action or page, **changes)
