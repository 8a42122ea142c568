"""Snapshots packed for the wire and the disk, and unpacked without trusting what arrives."""

import gzip
import zlib

from controlplane.runtime.stores.base import ObjectMismatchError, ObjectTooLargeError

_GZIP = 16 + zlib.MAX_WBITS


def pack(data: bytes) -> bytes:
    """Deterministic gzip: no time inside, so that equal content is packed to equal bytes."""
    return gzip.compress(data, compresslevel=6, mtime=0)


def packed_ceiling(limit: int) -> int:
    """How many packed bytes `limit` bytes can come to at most: what cannot be compressed grows a little."""
    return limit + limit // 1000 + 1024


def unpack(packed: bytes, *, limit: int) -> bytes:
    """The bytes inside, stopping as soon as there are more than `limit`.

    `gzip.decompress` would first inflate a bomb of a few kilobytes into gigabytes and only then let us look.
    """
    inflater = zlib.decompressobj(wbits=_GZIP)
    try:
        data = inflater.decompress(packed, limit + 1)
    except zlib.error as problem:
        raise ObjectMismatchError(f"the object is not valid gzip: {problem}") from problem
    if len(data) > limit:
        raise ObjectTooLargeError(f"the object inflates to more than {limit} bytes")
    if not inflater.eof or inflater.unused_data:
        raise ObjectMismatchError("the object is cut short, or something follows its end")
    return data
