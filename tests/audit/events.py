"""Events for tests, with everything a test does not care about filled in, and what a page shows of them."""

from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.audit.models import AuditEvent
from controlplane.audit.services import record
from tests.page import Page

ADA = Actor(
    kind="person", id="ada-1", name="Ada Lovelace", role=Role.PUBLISHER, via="browser", request_id="request-1"
)
GRACE = Actor(kind="person", id="grace-1", name="Grace Hopper", role=Role.EDITOR, via="browser")


def told(session: Session, sentence: str = "changed something", **more: Any) -> AuditEvent:
    """Record an event."""
    facts: dict[str, Any] = {
        "actor": ADA,
        "action": "model.changed",
        "object_kind": "model",
        "object_key": "GPT_5",
        "sentence": sentence,
    }
    return record(session, **{**facts, **more})


def move_last_to(session: Session, moment: str) -> None:
    """Have the last event happen at another moment, which only the owner of the table can do."""
    session.execute(text("ALTER TABLE audit_events DISABLE TRIGGER USER"))
    session.execute(
        text(
            "UPDATE audit_events SET at = :moment WHERE sequence = (SELECT max(sequence) FROM audit_events)"
        ),
        {"moment": moment},
    )
    session.execute(text("ALTER TABLE audit_events ENABLE TRIGGER USER"))


def lines(page: Page) -> list[str]:
    """The sentences of a list."""
    return [
        "".join(link.itertext())
        for change in page.all("li", class_="change")
        for link in change.iter("a")
        if link.get("href", "").startswith("/changes/")
    ]
