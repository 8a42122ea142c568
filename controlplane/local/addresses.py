"""The note that a running home keeps of its own addresses, so that single programs can be started beside it."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from controlplane.local.locks import FileLock

_FILE = "addresses.json"
_LOCK = "run.lock"


def home_lock(home: Path) -> FileLock:
    """The lock that whoever runs this home holds."""
    return FileLock(home / _LOCK)


def write(home: Path, environment: Mapping[str, str | None]) -> None:
    """Note the variables that a program needs to join in. They hold the database's password: for the owner alone."""
    temporary = home / f"{_FILE}.new"
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump({"pid": os.getpid(), "environment": dict(environment)}, file, indent=2)
    temporary.replace(home / _FILE)


def remove(home: Path) -> None:
    """Forget them: nothing answers there any more."""
    (home / _FILE).unlink(missing_ok=True)


def read(home: Path) -> dict[str, str | None] | None:
    """The variables noted by what runs on this home now; nothing if nothing runs."""
    if not home.is_dir():
        return None
    lock = home_lock(home)
    if lock.take(wait=False):  # nobody runs it: a note left by a crash tells of addresses that are gone
        lock.drop()
        return None
    try:
        noted: dict[str, str | None] = json.loads((home / _FILE).read_text())["environment"]
    except FileNotFoundError:  # it is just starting
        return None
    return noted
