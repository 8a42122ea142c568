"""One render worker as the site sees it: a process, and the socket to it."""

import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

import controlplane
from controlplane.prompts.render_jobs import ANSWER_BYTES, HEAD, READY, UNIT, receive, send

_GRACE: Final = 0.3
_START_SECONDS: Final = 15.0
_MOST_OF_A_UNIT: Final = 1 + UNIT.size


class Broken(Exception):  # noqa: N818 - reads as what is raised
    """The worker did not answer as it should."""


class RenderProcess:
    """One worker process and the socket to it; used by one thread at a time."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-B", "-m", "controlplane.prompts.render_worker"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env={},  # no database, no AWS, nothing of ours
                cwd=Path(controlplane.__file__).parents[1],
            )
        self._channel = ours
        self._channel.settimeout(_START_SECONDS)
        if receive(self._channel, len(READY)) != READY:
            self.kill()
            raise Broken

    def ask(self, payload: bytes, units: int, wall: float) -> bytes:
        """Have one job done that has so many units and may take `wall` seconds."""
        self._channel.settimeout(wall + _GRACE)
        try:
            send(self._channel, HEAD.pack(wall, units) + payload)
            answer = receive(self._channel, ANSWER_BYTES + units * _MOST_OF_A_UNIT)
        except OSError as error:  # a timeout is one too
            raise Broken from error
        if not answer:
            raise Broken
        return answer

    @property
    def alive(self) -> bool:
        """Whether the process still runs: the kernel may have ended one that had nothing to do."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End it; its child ends with it."""
        self._channel.close()
        self._process.kill()
        self._process.wait()

    def forget(self) -> None:
        """Let go of a worker that belongs to the process we were forked from."""
        self._channel.close()
        self._process.returncode = 0  # else its collection would warn about a child that is not ours
