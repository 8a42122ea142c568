"""Every table, imported so that Alembic and the tests see the whole schema. Defines nothing."""

from controlplane.accounts import models as accounts
from controlplane.audit import models as audit
from controlplane.configurations import models as configurations
from controlplane.db import Base
from controlplane.decisions import models as decisions
from controlplane.fleet import models as fleet
from controlplane.guards import models as guards
from controlplane.health import models as health
from controlplane.plans import models as plans
from controlplane.prompts import models as prompts
from controlplane.proposals import models as proposals
from controlplane.registry import models as registry
from controlplane.releases import models as releases
from controlplane.reviews import models as reviews
from controlplane.rollouts import models as rollouts
from controlplane.samples import models as samples
from controlplane.snippets import models as snippets
from controlplane.switches import models as switches
from controlplane.tokens import models as tokens
from controlplane.trying import models as trying
from controlplane.units import models as units

__all__ = [
    "Base",
    "accounts",
    "audit",
    "configurations",
    "decisions",
    "fleet",
    "guards",
    "health",
    "plans",
    "prompts",
    "proposals",
    "registry",
    "releases",
    "reviews",
    "rollouts",
    "samples",
    "snippets",
    "switches",
    "tokens",
    "trying",
    "units",
]
