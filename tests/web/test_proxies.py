import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.audit.models import AuditEvent
from tests.page import PageClient
from tests.site import app_on

FORWARDED = {"X-Forwarded-For": "198.51.100.7, 203.0.113.9"}


@pytest.mark.parametrize(
    ("proxies", "address"), [("0", "127.0.0.1"), ("1", "203.0.113.9"), ("2", "198.51.100.7")]
)
def test_the_address_is_what_as_many_proxies_as_are_ours_say(
    session: Session, proxies: str, address: str
) -> None:
    client = PageClient(app_on(session, CONTROLPLANE_PROXIES=proxies))
    client.post("/sign-in", {"email": "nobody@example.com", "password": "wrong-password"}, headers=FORWARDED)
    event = session.scalars(select(AuditEvent).order_by(AuditEvent.sequence.desc()).limit(1)).one()
    assert event.address == address
