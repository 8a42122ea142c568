"""How a token is spelt: `lcp_<key>_<secret><checksum>`. Pure, but for the randomness.

The key is public: it names the token in the record and in lists. The secret is 30 random letters and digits (178 bits), so
that its plain SHA-256 can be kept: a slow hash protects what could be guessed. The checksum tells a token that was cut off
from one that is not known without asking the database, and lets scanners of source code find tokens without false alarms.
"""

import hashlib
import hmac
import re
import secrets
import string
import zlib
from typing import Final, NamedTuple

PREFIX: Final = "lcp"
_LETTERS: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_KEY, _SECRET, _CHECK = 12, 30, 6
_SPELT: Final = re.compile(
    rf"{PREFIX}_([0-9A-Za-z]{{{_KEY}}})_([0-9A-Za-z]{{{_SECRET}}})([0-9A-Za-z]{{{_CHECK}}})"
)
_ANYWHERE: Final = re.compile(rf"{PREFIX}_[0-9A-Za-z]{{{_KEY}}}_[0-9A-Za-z]{{{_SECRET}}}")


class Minted(NamedTuple):
    """A new token: the key that names it, and the whole, to be shown once."""

    key: str
    text: str


def mint() -> Minted:
    """Return a token that there has not been before."""
    key, secret = _random(_KEY), _random(_SECRET)
    return Minted(key, f"{PREFIX}_{key}_{secret}{_checksum(key, secret)}")


def key_in(text: str) -> str | None:
    """Return the key of a token; None for what is none: mistyped, cut off, or something else."""
    match = _SPELT.fullmatch(text)
    if match is None or _checksum(match[1], match[2]) != match[3]:
        return None
    return match[1]


def digest(text: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(text.encode()).hexdigest()


def is_token_of(text: str, kept: str) -> bool:
    """Whether what is kept is of this token, in a time that does not tell how near it came."""
    return hmac.compare_digest(digest(text), kept)


def is_within(text: str) -> bool:
    """Whether a text has a token somewhere in it."""
    return _ANYWHERE.search(text) is not None


def _random(length: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


def _checksum(key: str, secret: str) -> str:
    """CRC-32 in base 62, as six letters."""
    value = zlib.crc32(f"{key}_{secret}".encode())
    letters = ""
    for _ in range(_CHECK):
        value, rest = divmod(value, len(_LETTERS))
        letters = _LETTERS[rest] + letters
    return letters
