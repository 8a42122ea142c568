"""Keeps the kill switches of one environment up to date: from the store, from a file, from the environment.

Each of the three throws on its own; what any of them has thrown is thrown. Nothing here raises for what it finds: a
document that cannot be obeyed leaves what its place said before.
"""

import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from controlplane.runtime import switches
from controlplane.runtime.disk import read_own, read_plain
from controlplane.runtime.errors import StoreError
from controlplane.runtime.signing import Verifier
from controlplane.runtime.stores.base import SWITCHES_LIMIT, ReleaseStore
from controlplane.runtime.stores.files import write_atomically
from controlplane.runtime.switches import KillSwitches, SwitchesRefused

_log = logging.getLogger(__name__)
# A shell empties a file before it writes to it: what is empty counts once it has been for so long.
_SETTLE_SECONDS: Final = 0.1


class _Published(NamedTuple):
    version: int = 0
    data: bytes | None = None
    switches: KillSwitches = KillSwitches()


class Switchboard:
    """The switches that are thrown now, in `current`: a plain attribute, replaced whole, never None.

        board = Switchboard("production", verifier=Verifier(), file=Path("/etc/my-app/switches"), environ=os.environ)
        board.look(store)            # again every few seconds
        board.current.thrown("COACHING_RESPONSE")

    `kept` is where the published document is kept, so that a process which starts without a store obeys it too.
    """

    def __init__(
        self,
        environment: str,
        *,
        verifier: Verifier,
        file: Path | None = None,
        kept: Path | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.environment = environment
        self._verifier = verifier
        self._file = file
        self._kept = self._unread = kept
        self._always = switches.from_environment(environ or {})
        self._published = _Published()
        self._local = KillSwitches()
        self._store_error: str | None = None
        self._file_error: str | None = None
        self._lock = threading.Lock()
        self.current = self._always

    @property
    def version(self) -> int | None:
        """The version of the published document that is obeyed; None before there was one."""
        return self._published.version or None

    @property
    def error(self) -> str | None:
        """Why the last look at the store or at the file changed nothing; None when all was well."""
        return self._store_error or self._file_error

    def after_fork(self) -> None:
        """Another thread of the parent may have held the lock; here it will never let go."""
        self._lock = threading.Lock()

    def look_local(self) -> None:
        """Look at the file; without one, nothing is thrown by it."""
        if self._file is None:
            return
        try:
            text = _settled(self._file)
            found = (
                KillSwitches() if text is None else switches.parse_local(text, environment=self.environment)
            )
        except (OSError, ValueError, SwitchesRefused) as problem:
            self._file_error = self._said(f"the file of kill switches: {problem}", self._file_error)
            return
        self._file_error = None
        self._change(local=found)

    def look(self, store: ReleaseStore) -> bool:
        """Look at the store; whether it answered, with whatever it was.

        The first time, what an earlier process kept is taken up before.
        """
        self._load_kept()
        try:
            self._compare(store.read_switches(self.environment))
        except SwitchesRefused as refused:
            self._store_error = self._said(f"kill switches: {refused}", self._store_error)
            return True
        except Exception as problem:  # a thread that dies would leave switches that nobody can throw any more
            kind = "" if isinstance(problem, StoreError) else f"unexpected {type(problem).__name__}: "
            self._store_error = self._said(f"kill switches: {kind}{problem}", self._store_error)
            return False
        self._store_error = None
        return True

    def _load_kept(self) -> None:
        kept, self._unread = self._unread, None
        try:
            data = read_own(kept, SWITCHES_LIMIT) if kept else None
            if data is not None:
                self._obey(data)
        except (OSError, SwitchesRefused) as problem:
            _log.warning("%s: the kept kill switches were passed over: %s", self.environment, problem)

    def _compare(self, data: bytes | None) -> None:
        if data is None:
            if self._published.version:
                raise SwitchesRefused("the document is gone from the store; the last one is obeyed")
            return
        if data != self._published.data:
            self._obey(data)
            self._keep(data)

    def _obey(self, data: bytes) -> None:
        version, found = switches.parse(data, environment=self.environment, verifier=self._verifier)
        known = self._published
        if version < known.version:
            raise SwitchesRefused(f"version {version} is older than {known.version}, which is obeyed")
        if version == known.version and found != known.switches:
            raise SwitchesRefused(f"version {version} was there before with other content")
        self._change(published=_Published(version, data, found))

    def _keep(self, data: bytes) -> None:
        if self._kept is None:
            return
        try:
            write_atomically(self._kept, data)
        except OSError as problem:
            _log.warning("%s: the kill switches could not be kept: %s", self.environment, problem)

    def _change(self, *, published: _Published | None = None, local: KillSwitches | None = None) -> None:
        with self._lock:  # two threads look at two places, and each has to see what the other found
            self._published = published or self._published
            self._local = self._local if local is None else local
            before, self.current = self.current, self._always | self._local | self._published.switches
        if before != self.current:
            thrown = ", ".join(self.current.names()) or "none"
            _log.warning("%s: kill switches thrown: %s", self.environment, thrown)

    def _said(self, error: str, before: str | None) -> str:
        if error != before:  # once, not every few seconds for as long as it lasts
            _log.warning("%s: %s", self.environment, error)
        return error


def _settled(path: Path) -> str | None:
    """The file's text; None without a file. Links are followed: what mounts such files often makes them links."""
    for wait in (_SETTLE_SECONDS, 0.0):
        text = _text(path)
        if text is None or text.strip():
            return text
        time.sleep(wait)
    return text


def _text(path: Path) -> str | None:
    try:
        data = read_plain(path, SWITCHES_LIMIT)
    except FileNotFoundError:
        return None
    if data is None:
        raise SwitchesRefused(f"not a plain file of at most {SWITCHES_LIMIT:,} bytes")
    return data.decode()
