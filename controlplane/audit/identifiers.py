"""Identifiers that sort by time and may stand in an address: ULIDs (github.com/ulid/spec)."""

import datetime as dt
import secrets
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no I, L, O, U


def new_identifier() -> str:
    """A fresh ULID: 48 bits of milliseconds, 80 random bits, 26 characters."""
    value = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    return "".join(_ALPHABET[(value >> shift) & 31] for shift in range(125, -5, -5))


def moment_of(identifier: str) -> dt.datetime | None:
    """When a ULID was made; None for what is none."""
    letters = identifier.upper()[:10]
    if len(identifier) != 26 or not all(letter in _ALPHABET for letter in letters) or letters[0] > "1":
        return None  # one beyond these would lie thousands of years ahead
    milliseconds = 0
    for letter in letters:
        milliseconds = milliseconds << 5 | _ALPHABET.index(letter)
    return dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(milliseconds=milliseconds)
