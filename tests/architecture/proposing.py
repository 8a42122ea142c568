"""Every way to act on a proposal, with what has to be there first; for the test that each of them is recorded."""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.db import now
from controlplane.proposals import reviewing, services
from controlplane.proposals.models import Proposal
from controlplane.registry.models import Environment
from controlplane.releases.saved import live_entry

if TYPE_CHECKING:
    from tests.architecture.ways.admin import Admin

Sent = tuple[str, Mapping[str, Any]]
REASON = "a test of what is recorded"
KEY = "configuration/COACHING_RESPONSE/basic/*"
GRACE = Actor(kind="person", id="grace", name="Grace", role=Role.EDITOR, via="browser")
LIST = "/production/proposals"


def acting(
    verb: str, *, approvals: int = 0, submitted: bool = True, **changes: Any
) -> Callable[["Admin"], Sent]:
    """The form of this action on the page of a proposal that somebody else has made."""

    def case(admin: "Admin") -> Sent:
        page = f"{LIST}/{_made(admin, approvals=approvals, submitted=submitted)}"
        if verb == "unschedule":
            admin.do(admin.filled(page, f"{page}/schedule", **SOON))
        part = "?part=conversation" if verb == "comment" else ""
        return admin.filled(page + part, f"{page}/{verb}", **changes)

    return case


def _made(admin: "Admin", *, approvals: int, submitted: bool) -> int:
    session = admin.site.session
    session.get_one(Environment, "production").approvals = approvals
    made = make_proposal(session, GRACE)
    if submitted:
        reviewing.submit(session, "production", made.number, revision=made.revision, actor=GRACE)
    session.commit()
    return made.number


def make_proposal(session: Session, actor: Actor) -> Proposal:
    """A draft for production: another temperature."""
    live = live_entry(session, "production", KEY)
    assert live is not None
    other = {**live, "variants": [{**live["variants"][0], "temperature": 0.1}]}
    return services.create(
        session, "production", entries={KEY: other}, base=1, reason=REASON, source="saved", actor=actor
    )


SOON: dict[str, Any] = {"due": f"{now() + dt.timedelta(days=30):%Y-%m-%d}T09:00", "zone": "Europe/Berlin"}


def updated(admin: "Admin") -> Sent:
    """A proposal of what was saved, of which more was saved since."""
    edit = "/production/configurations/COACHING_RESPONSE/basic/edit"
    number = _made(admin, approvals=0, submitted=True)
    admin.do(admin.filled(edit, edit, temperature="0.3", reason=REASON))
    return admin.filled(f"{LIST}/{number}", f"{LIST}/{number}/update")


ONE = "POST /<environment>/proposals/<int:number>"
ACTIONS = {
    f"{ONE}/submit": acting("submit", submitted=False),
    f"{ONE}/approve": acting("approve", approvals=1),
    f"{ONE}/reject": acting("reject", approvals=1, comment="Say how much it costs."),
    f"{ONE}/comment": acting("comment", body="What does it cost?"),
    f"{ONE}/update": updated,
    f"{ONE}/withdraw": acting("withdraw"),
    f"{ONE}/publish": acting("publish"),
    f"{ONE}/schedule": acting("schedule", **SOON),
    f"{ONE}/unschedule": acting("unschedule"),
}
SPOILT_ACTIONS: dict[str, Mapping[str, str]] = {
    f"{ONE}/reject": {"comment": ""},
    f"{ONE}/comment": {"body": ""},
    f"{ONE}/schedule": {"due": "soon"},
    **{
        f"{ONE}/{verb}": {"revision": "no number"}
        for verb in ("submit", "approve", "update", "withdraw", "publish", "unschedule")
    },
}
