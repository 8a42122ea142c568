"""Which of 100,000 buckets a unit falls into. `docs/bucketing.md` says the same for other languages.

An algorithm is frozen: changing one bit of it would move people between variants. A faster one stands beside the older
ones under a name of its own, and a configuration or gate keeps the one it was made with.

"v1" is SHA-256. "v2" is XXH64, which spreads ids as evenly and takes a tenth of the time. Nobody picks ids to meet a hash
here: whoever can choose his own id can as well try until he likes the variant, with any hash.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from xxhash import xxh64_intdigest

BUCKETS: Final = 100_000
FIRST: Final = "v1"
"""The algorithm of an entry that does not name one."""
ALGORITHM: Final = "v2"
"""The algorithm that new configurations and gates get."""

Hash = Callable[[bytes], int]


def _sha256(data: bytes) -> int:
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "big")


_HASHES: Final[dict[str, Hash]] = {FIRST: _sha256, ALGORITHM: xxh64_intdigest}
ALGORITHMS: Final = tuple(_HASHES)


def hash_of(algorithm: str) -> Hash:
    """Return the 64-bit hash of an algorithm; raises `KeyError` for an unknown one."""
    return _HASHES[algorithm]


def prefix(algorithm: str, salt: str, unit_kind: str) -> bytes:
    """Return what is hashed before the unit's own bytes; the resolver makes it once for each configuration."""
    return encode_unit(f"{algorithm}\0{salt}\0{unit_kind}\0")


def encode_unit(unit: str) -> bytes:
    """Return a unit's bytes."""
    # surrogatepass: a broken id must not stop a call. No valid string holds a lone surrogate, so nothing else changes.
    return unit.encode("utf-8", "surrogatepass")


def scale(hashed: int) -> int:
    """Return the bucket of a 64-bit hash."""
    # Multiply and shift instead of modulo: no bias worth naming, and the very largest hash still is bucket 99,999.
    return hashed * BUCKETS >> 64


def bucket(salt: str, unit_kind: str, unit: str, *, algorithm: str) -> int:
    """Return the unit's bucket, 0 to 99,999, for the salt, kind of unit and algorithm that stand in an entry.

    >>> bucket("1f4b8a5ce0d29376", "user", "u-1", algorithm="v1")
    93610
    """
    if not isinstance(unit, str):
        # 7 and "7" would be the same person in one language and two in another.
        raise TypeError(f"a unit is a string, not {type(unit).__name__}: {unit!r}")
    if not unit:
        raise ValueError("an empty unit has no bucket")
    return scale(hash_of(algorithm)(prefix(algorithm, salt, unit_kind) + encode_unit(unit)))


def owns(ranges: Iterable[Sequence[int]], number: int) -> bool:
    """Say whether a bucket lies in one of the ranges: a pair's smaller number is the first, the larger is one past the last."""
    return any(min(pair) <= number < max(pair) for pair in ranges)


def size(ranges: Iterable[Sequence[int]]) -> int:
    """Return how many buckets the ranges hold."""
    return sum(abs(end - start) for start, end in ranges)
