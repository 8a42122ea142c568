"""The API as one blueprint: each module adds its addresses."""

from controlplane.api import incident_views, publishing_views, reading_views, saving_views  # noqa: F401 - they add theirs
from controlplane.api.routing import blueprint

__all__ = ["blueprint"]
