"""Ways to fill in the pages to choose from, shared by the tests of this folder."""

from typing import Any

from sqlalchemy.orm import Session

from controlplane.proposals.content import included_in
from controlplane.proposals.models import Proposal
from tests.page import Page, PageClient
from tests.releases.changing import REASON

NEW = "/production/proposals/new"


def at(source: str) -> str:
    return f"{NEW}?source={source}"


def action_of(page: Page) -> str:
    """Where the page's own form goes."""
    return next(
        each.get("action", "")
        for each in page.all("form", method="post")
        if "/proposals/" in each.get("action", "")
    )


def ticked(page: Page) -> list[str]:
    boxes = page.all("input", name="entries")
    return [each.get("value", "") for each in boxes if each.get("checked") is not None]


def offered(page: Page) -> list[str]:
    return [each.get("value", "") for each in page.all("input", name="entries")]


def send(client: PageClient, page: Page, **changes: Any) -> Page:
    """Send the page's form with a reason and these changes."""
    return client.submit(page, action_of(page), {"reason": REASON, **changes})


def propose(client: PageClient, source: str, **changes: Any) -> Page:
    return send(client, client.get(at(source)), **changes)


def proposal(session: Session, number: int = 1) -> Proposal:
    session.expire_all()
    return session.get_one(Proposal, ("production", number))


def proposed(session: Session, number: int = 1) -> dict[str, Any]:
    return {each.key: each.after for each in included_in(session, proposal(session, number))}
