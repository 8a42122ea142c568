"""Ways through the pages of proposals, shared by the tests of this folder."""

import datetime as dt
from typing import Any

from sqlalchemy.orm import Session

from controlplane.db import now
from tests.page import Page, PageClient
from tests.releases.changing import REASON

LIST = "/production/proposals"
ONE = f"{LIST}/1"
UNPUBLISHED = "/production/unpublished"


def propose(client: PageClient, **changes: Any) -> Page:
    """Propose all that is saved, and return the page of the proposal."""
    page = client.get(UNPUBLISHED)
    form = LIST if page.all("form", action=LIST) else UNPUBLISHED
    return client.follow(client.post(LIST, {**page.form(form), "reason": REASON, **changes}))


def do(client: PageClient, verb: str, page: str = ONE, **changes: Any) -> Page:
    """Send one of the forms of a proposal's page, as somebody does who has just opened it."""
    part = "?part=conversation" if verb == "comment" else ""
    return client.submit(client.get(page + part), f"{page}/{verb}", changes)


def done(client: PageClient, verb: str, page: str = ONE, **changes: Any) -> Page:
    """The same, and the page that it leads to."""
    return client.follow(do(client, verb, page, **changes))


def state(page: Page) -> str:
    """The words of the chip in the head of a proposal's page."""
    return page.texts("span", class_="chip")[0]


def offered(page: Page) -> set[str]:
    """What this person may do: the last part of the addresses of the forms."""
    forms = [form.get("action", "") for form in page.all("form", method="post")]
    return {action.rpartition("/")[2] for action in forms if "/proposals/" in action}


def in_days(days: int) -> str:
    """A time as the field of a schedule takes it."""
    return f"{now() + dt.timedelta(days=days):%Y-%m-%d}T09:00"


def fresh(session: Session) -> Session:
    """The session, with nothing of what it read before the browser changed it."""
    session.expire_all()
    return session
