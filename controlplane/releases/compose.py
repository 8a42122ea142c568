"""What an environment's live set becomes: pure, and the only way to make one.

Publishing takes what is saved as its source, rolling back takes an older release, promoting takes another environment.
"""

from collections.abc import Iterable, Mapping
from typing import Any

Document = dict[str, Any]
Entries = Mapping[str, Document]


def compose(base: Entries, source: Entries, keys: Iterable[str]) -> dict[str, Document]:
    """Return `base` with the chosen keys as `source` has them; a chosen key that `source` lacks is removed."""
    composed = dict(base)
    for key in keys:
        if key in source:
            composed[key] = source[key]
        else:
            composed.pop(key, None)
    return composed
