"""Serving a release without holding it: each call's part is read when it is first needed. See `source.py`."""

from controlplane.runtime.lookup.source import LookupSource, LookupState

__all__ = ["LookupSource", "LookupState"]
