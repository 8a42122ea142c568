"""Models that an echo fails for, so that a bad rollout can be rehearsed where no model is ever called."""

import random
from pathlib import Path
from typing import Final

from controlplane.runtime.providers.errors import ProviderError, ProviderUnavailableError

FAILS_FILE: Final = "CONTROLPLANE_ECHO_FAILS"
"""The variable that names the file."""


class Rehearsal:
    """Fails for the models that a file names, for as long as it names them.

    A line is a provider's id of a model, and, if not every call is to fail, the share that does: `claude-x 0.3`. The file is
    looked at on every call and read when it was changed; one that is not there, or a line that is not understood, fails nothing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: tuple[int, int] | None = None
        self._shares: dict[str, float] = {}

    def check(self, provider: str, model_id: str) -> None:
        """Raise `ProviderUnavailableError` when this call is to fail."""
        share = self._current().get(model_id, 0.0)
        if share and random.random() < share:  # noqa: S311 - not a secret
            raise _failure(provider, model_id)

    def _current(self) -> dict[str, float]:
        try:
            found = self._path.stat()
            state = found.st_mtime_ns, found.st_size
            if state != self._read:
                self._shares = _shares(self._path.read_text("utf-8"))
                self._read = state
        except (OSError, ValueError):
            self._shares, self._read = {}, None
        return self._shares


def _shares(text: str) -> dict[str, float]:
    shares = {}
    for line in text.splitlines():
        name, _, share = line.strip().partition(" ")
        try:
            shares[name] = min(1.0, max(0.0, float(share or 1)))
        except ValueError:
            continue
    return shares


def _failure(provider: str, model_id: str) -> ProviderError:
    problem = ProviderUnavailableError("told to fail, for a rehearsal", provider=provider, model_id=model_id)
    problem.retryable = False  # the next try would only take time
    return problem
