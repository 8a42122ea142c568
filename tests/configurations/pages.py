"""The pages of COACHING_RESPONSE / premium, and short ways to fill in its form."""

from typing import Any

from sqlalchemy.orm import Session

from controlplane.configurations import services
from controlplane.configurations.models import ConfigurationVersion
from tests.configurations.values import premium
from tests.page import Page, PageClient

LIST = "/production/configurations"
PREMIUM = f"{LIST}/COACHING_RESPONSE/premium"
EDIT = f"{PREMIUM}/edit"
EFFECT = f"/_{PREMIUM}/effect"
NEW = f"{LIST}/new"


def typed(client: PageClient, path: str = EDIT, action: str | None = None, **changes: Any) -> Page:
    return client.submit(client.get(path), action or path, {"reason": "a test", **changes})


def newest(session: Session) -> ConfigurationVersion:
    session.expire_all()
    return services.latest_version(session, premium(session))
