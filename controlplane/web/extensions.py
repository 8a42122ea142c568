"""Flask extensions as bare objects: the factory attaches them, features import them, nothing goes round in circles."""

from flask_caching import Cache
from flask_htmx import HTMX
from flask_login import LoginManager

# Holds only what is immutable under its key (a release's entries, a diff of two hashes), so nothing needs invalidating.
cache = Cache(config={"CACHE_TYPE": "SimpleCache", "CACHE_DEFAULT_TIMEOUT": 3600, "CACHE_THRESHOLD": 500})
htmx = HTMX()
login_manager = LoginManager()  # type: ignore[no-untyped-call]
