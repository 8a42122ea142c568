"""What must be looked at again when one release follows another: what differs, and what names anything that differs.

Names are looked for in the bytes of the entries, not in what they mean. That finds too much now and then (a code in a
description) and never too little: canonical bytes hold a text in one spelling only, and an entry can depend on another
only by naming it, in its document or in its own key.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

import msgspec

Raws = Mapping[str, bytes | msgspec.Raw]

# From here on, looking for names costs more than looking at every entry.
_MANY: Final = 24


def concerned(
    before: Raws, bodies_before: Mapping[str, str], after: Raws, bodies_after: Mapping[str, str]
) -> tuple[Collection[str], Collection[str]]:
    """Return the keys and the body hashes of `after` whose check could end otherwise than that of `before`."""
    hashes = [sha256 for sha256, body in bodies_after.items() if bodies_before.get(sha256) != body]
    changed = [key for key, raw in after.items() if before.get(key) != raw]
    gone = before.keys() - after.keys()
    names = {*hashes, *(bodies_before.keys() - bodies_after.keys())}
    names |= {_code(key) for key in (*changed, *gone) if not _is_last(key)}
    keys = set(changed)
    # A prompt stands between an interaction (or a body) and a configuration: it passes on what happened to them.
    prompts = _naming(names, (key for key in after if key.startswith("prompt/")), after)
    keys.update(prompts)
    names.update(map(_code, prompts))
    if len(names) > _MANY:
        return after.keys(), hashes
    keys.update(_naming(names, (key for key in after if _is_last(key)), after))
    keys.update(_gates_beside((*changed, *gone), after))
    return sorted(keys), hashes


def _is_last(key: str) -> bool:
    """Say whether nothing names entries of this kind."""
    return key.startswith(("configuration/", "gate/"))


def _code(key: str) -> str:
    return key.partition("/")[2]


def _naming(names: set[str], keys: Iterable[str], documents: Raws) -> list[str]:
    if not names or len(names) > _MANY:
        return []
    needles = [msgspec.json.encode(name) for name in names]
    found = []
    for key in keys:
        raw = bytes(documents[key])
        if not names.isdisjoint(key.split("/")) or any(needle in raw for needle in needles):
            found.append(key)
    return found


def _gates_beside(keys: Iterable[str], after: Raws) -> set[str]:
    """Return the gates of the interactions of these configurations: their salts must differ."""
    interactions = {key.split("/")[1] for key in keys if key.startswith("configuration/")}
    return {key for interaction in interactions if (key := f"gate/{interaction}") in after}
