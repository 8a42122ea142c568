"""About how many different things were seen, in a kilobyte: HyperLogLog. Pure.

Each thing is hashed to 64 bits. The first ten choose one of 1,024 registers; the register keeps the largest rank seen, which is
the place of the first set bit among the other 54. A rank of k is met by one thing in 2^k, so large ranks mean many things. Two
sketches are put together by taking the larger of each two registers, which may be done twice, in any order, and by anybody:
the result is the sketch of the union.

The method is that of Flajolet, Fusy, Gandouet and Meunier, "HyperLogLog: the analysis of a near-optimal cardinality estimation
algorithm" (2007). The estimate is the improved one of Ertl, "New cardinality estimation algorithms for HyperLogLog sketches"
(2017, algorithm 6): it needs no table of corrections and no change of formula at small numbers, where the first one is biased.
Its standard error is 1.04 / sqrt(1024), 3.3 %, and less below some hundreds: of a dozen things it counts a dozen.
"""

import math
import zlib
from typing import Final

REGISTERS: Final = 1_024
ERROR: Final = 1.04 / math.sqrt(REGISTERS)
"""The standard error of an estimate, as a part of it."""
REST_BITS: Final = 64 - 10
LARGEST_RANK: Final = REST_BITS + 1
EMPTY: Final = bytes(REGISTERS)

_REST: Final = (1 << REST_BITS) - 1
_HIGH: Final = int.from_bytes(b"\x80" * REGISTERS, "little")
_ALPHA: Final = 1 / (2 * math.log(2))


def add(registers: bytearray, hashed: int) -> None:
    """Note one thing by its 64-bit hash."""
    rank = LARGEST_RANK - (hashed & _REST).bit_length()
    place = hashed >> REST_BITS
    # Two threads may pass this at once, and the lower rank may win. It takes two new things of one register within the
    # same microsecond, costs one of them until it is seen again, and a lock would cost every call.
    if registers[place] < rank:  # noqa: PLR1730 - `max` is a call, for every call of the application
        registers[place] = rank


def union(one: bytes, other: bytes) -> bytes:
    """Return the sketch of what either has seen."""
    # The larger of each two bytes, all at once: no register reaches 128, so the top bit of each byte is free to say whether
    # a difference went below nought. Byte by byte it takes thirty times as long, and the worker does it for every process.
    left, right = int.from_bytes(one, "little"), int.from_bytes(other, "little")
    at_least = ((left | _HIGH) - right) & _HIGH
    chosen = at_least | (at_least - (at_least >> 7))
    return ((left & chosen) | (right & ~chosen)).to_bytes(REGISTERS, "little")


def estimate(registers: bytes) -> float:
    """Return about how many different things a sketch has seen."""
    counts = [registers.count(rank) for rank in range(LARGEST_RANK + 1)]
    if counts[0] == REGISTERS:
        return 0.0
    if counts[LARGEST_RANK] == REGISTERS:  # nobody calls so many; who forges a heartbeat must not stop a page
        return 2.0**64
    total = REGISTERS * _tau(1 - counts[LARGEST_RANK] / REGISTERS)
    for rank in range(REST_BITS, 0, -1):
        total = 0.5 * (total + counts[rank])
    total += REGISTERS * _sigma(counts[0] / REGISTERS)
    return _ALPHA * REGISTERS * REGISTERS / total


def packed(registers: bytes) -> bytes:
    """Return a sketch for keeping and sending: a few bytes while little was seen, about 500 at most."""
    return zlib.compress(registers, 9)


def unpacked(data: bytes) -> bytes:
    """Return the registers again; raises `ValueError` for what is no sketch, whoever wrote it."""
    opened = zlib.decompressobj()
    try:
        # One byte more than there can be: what was made to fill our memory is seen to be too long, and not unpacked.
        registers = opened.decompress(data, REGISTERS + 1)
    except zlib.error as problem:
        raise ValueError(f"this is no sketch: {problem}") from None
    if not opened.eof or len(registers) != REGISTERS or max(registers) > LARGEST_RANK:
        raise ValueError("this is no sketch of ours")
    return registers


def _sigma(share: float) -> float:
    """Ertl's correction for registers that have seen nothing."""
    power, total, weight = share, share, 1.0
    while True:
        power *= power
        before = total
        total += power * weight
        weight += weight
        if total == before:
            return total


def _tau(share: float) -> float:
    """Ertl's correction for registers that can rise no further."""
    if share in (0.0, 1.0):
        return 0.0
    root, total, weight = share, 1 - share, 1.0
    while True:
        root = math.sqrt(root)
        before = total
        weight *= 0.5
        total -= (1 - root) ** 2 * weight
        if total == before:
            return total / 3
