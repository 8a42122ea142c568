"""A small valid release, and ways to change one thing in it."""

import copy
import json
from pathlib import Path
from typing import Any

from controlplane.runtime import Snapshot, snapshot

GOLDEN = json.loads((Path(__file__).parent / "golden" / "resolution.json").read_text())

Documents = dict[str, dict[str, Any]]


def documents() -> Documents:
    """Return the golden release's documents, free to be changed."""
    found: Documents = copy.deepcopy(GOLDEN["documents"])
    return found


def bodies() -> dict[str, str]:
    """Return the golden release's prompt bodies."""
    return dict(GOLDEN["bodies"])


def load(entries: Documents | None = None, *, release: int = 12) -> Snapshot:
    """Return a snapshot of these documents (or of the golden ones) with the golden bodies."""
    data = snapshot.build(documents() if entries is None else entries, bodies())
    return Snapshot.load(data, release=release, environment="production")
