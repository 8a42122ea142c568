"""Which of 100,000 buckets a unit falls into. `docs/bucketing.md` says the same for other languages.

Algorithm "v1" is frozen: changing one bit of it would move people between variants. A better one would be "v2" beside it,
and a rollout keeps the one it was started with.
"""

import hashlib
from collections.abc import Iterable, Sequence

BUCKETS = 100_000
ALGORITHM = "v1"


def prefix(salt: str, unit_kind: str) -> bytes:
    """Return what is hashed before the unit's own bytes; the resolver makes it once for each configuration."""
    # surrogatepass: a broken id must not stop a call. No valid string holds a lone surrogate, so nothing else changes.
    return f"{ALGORITHM}\0{salt}\0{unit_kind}\0".encode(errors="surrogatepass")


def bucket_of(hash_prefix: bytes, unit: str) -> int:
    """Return the bucket for a prefix made by `prefix`."""
    hashed = hashlib.sha256(hash_prefix + unit.encode(errors="surrogatepass")).digest()
    # Multiply and shift instead of modulo: no bias worth naming, and the very largest hash still is bucket 99,999.
    return int.from_bytes(hashed[:8], "big") * BUCKETS >> 64


def bucket(salt: str, unit_kind: str, unit: str) -> int:
    """Return the unit's bucket, 0 to 99,999.

    >>> bucket("1f4b8a5ce0d29376", "user", "u-1")
    93610
    """
    if not isinstance(unit, str):
        # 7 and "7" would be the same person in one language and two in another.
        raise TypeError(f"a unit is a string, not {type(unit).__name__}: {unit!r}")
    if not unit:
        raise ValueError("an empty unit has no bucket")
    return bucket_of(prefix(salt, unit_kind), unit)


def owns(ranges: Iterable[Sequence[int]], number: int) -> bool:
    """Say whether a bucket lies in one of the ranges: a pair's smaller number is the first, the larger is one past the last."""
    return any(min(pair) <= number < max(pair) for pair in ranges)


def size(ranges: Iterable[Sequence[int]]) -> int:
    """Return how many buckets the ranges hold."""
    return sum(abs(end - start) for start, end in ranges)
