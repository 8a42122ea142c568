"""Passwords: argon2id, a few at a time, and no difference in time between a wrong password and an unknown account."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from controlplane.errors import ControlPlaneError

# One verification takes 64 MiB and about 0.2 s; a flood of sign-ins must not take the machine.
AT_ONCE = 4
WAIT_SECONDS = 2.0
# No i, l, o, 0, 1: read aloud or copied by hand they are taken for one another.
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"

_hasher = PasswordHasher()
_slots = threading.BoundedSemaphore(AT_ONCE)


class Busy(ControlPlaneError):  # noqa: N818 - the name reads as what is raised
    """Too many passwords are being checked at this moment."""


def hash_password(password: str) -> str:
    """The argon2id hash, with its parameters and salt inside; raises Busy."""
    with _slot():
        return _hasher.hash(password)


def verify_password(stored: str | None, password: str) -> bool:
    """Whether `password` belongs to the hash; without a hash the same work is done in vain, and the answer is no.

    Raises Busy when no place comes free in time.
    """
    with _slot():
        try:
            return _hasher.verify(stored or _dummy(), password) and stored is not None
        except (VerificationError, InvalidHashError):
            return False


def is_outdated(stored: str) -> bool:
    """Whether the hash was made with weaker parameters than today's."""
    return _hasher.check_needs_rehash(stored)


def one_time_password() -> str:
    """A password for a new person: four groups of four letters, 79 bits, easy to pass on."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(4))


@contextmanager
def _slot() -> Iterator[None]:
    if not _slots.acquire(timeout=WAIT_SECONDS):
        raise Busy("Many people are signing in at this moment. Try again in a few seconds.")
    try:
        yield
    finally:
        _slots.release()


@cache
def _dummy() -> str:
    return _hasher.hash(secrets.token_urlsafe(16))
