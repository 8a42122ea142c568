"""Every table, imported so that Alembic and the tests see the whole schema. Defines nothing."""

from controlplane.accounts import models as accounts
from controlplane.audit import models as audit
from controlplane.configurations import models as configurations
from controlplane.db import Base
from controlplane.prompts import models as prompts
from controlplane.registry import models as registry
from controlplane.releases import models as releases
from controlplane.rollouts import models as rollouts

__all__ = [
    "Base",
    "accounts",
    "audit",
    "configurations",
    "prompts",
    "registry",
    "releases",
    "rollouts",
]
