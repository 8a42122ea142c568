"""The key that a first run signs its releases with: made once for a home, never shown, and of no use elsewhere."""

import os
from collections.abc import Mapping
from pathlib import Path

# The names that `controlplane.runtime.signing` reads; imported from there they would double the supervisor's own start.
SIGNING_KEY_FILE = "CONTROLPLANE_SIGNING_KEY_FILE"
PUBLIC_KEYS_FILE = "CONTROLPLANE_PUBLIC_KEYS_FILE"
VARIABLES = ("CONTROLPLANE_SIGNING_KEY", SIGNING_KEY_FILE, "CONTROLPLANE_PUBLIC_KEYS", PUBLIC_KEYS_FILE)
_KEY_ID = "local"


def variables(home: Path) -> dict[str, str]:
    """Where a home keeps the two halves, as its programs are told."""
    return {
        SIGNING_KEY_FILE: str(home / "keys" / "signing.key"),
        PUBLIC_KEYS_FILE: str(home / "keys" / "signing.pub"),
    }


def ensure(home: Path, environment: Mapping[str, str]) -> None:
    """Make the key of this home, where its programs are told to use it and there is none yet."""
    told = variables(home)
    if any(environment.get(name) != path for name, path in told.items()):
        return
    secret, public = (Path(path) for path in told.values())
    if secret.exists() and public.exists():
        return
    from controlplane.runtime.signing import new_key_pair

    pair = new_key_pair(_KEY_ID)
    secret.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write(secret, pair.signing)
    _write(public, pair.public)


def _write(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{text}\n")
