"""The hash of the hand-written floor: the fastest that a program like this would take."""

import hashlib
import importlib
import zlib
from collections.abc import Callable
from typing import NamedTuple


class Hash(NamedTuple):
    """A hash that gives a number."""

    name: str
    of: Callable[[bytes], int]


def fastest() -> Hash:
    """Return xxh3, or where it is not installed CRC-32: a stand-in that costs as little, though it spreads worse."""
    try:
        xxhash = importlib.import_module("xxhash")
    except ImportError:
        return Hash("CRC-32, as xxhash is not installed", zlib.crc32)
    return Hash("xxh3", xxhash.xxh3_64_intdigest)


def sha256() -> Hash:
    """Return what buckets are made with."""
    return Hash("SHA-256", lambda data: int.from_bytes(hashlib.sha256(data).digest()[:8], "big"))
