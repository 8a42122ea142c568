"""Keeps a sample of calls for the control plane: what was decided, so that a change can be tried on them before it is made.

Off unless it is asked for. A call that is chosen puts one small object into a queue and goes on; a thread of its own does the
rest: buckets, hashes, JSON, the store. Where the queue is full, the store does not answer or the hour's bytes are used up, calls
are dropped and counted. Nothing here raises into a call, and nothing waits.

What of a call's values may be kept is declared by its interaction's parameters (`Parameter.recorded`); by default none is.
"""

import contextlib
import logging
import math
import os
import random
import re
import secrets
import threading
import time
import weakref
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from controlplane.runtime import decisions
from controlplane.runtime.decisions import Decision, Header
from controlplane.runtime.errors import ControlPlaneRuntimeError
from controlplane.runtime.process import process_name
from controlplane.runtime.recorded_values import values_to_keep
from controlplane.runtime.resolver import Request, Resolution
from controlplane.runtime.snapshot import Snapshot
from controlplane.runtime.stores.decisions import DecisionLog
from controlplane.runtime.stores.packing import pack
from controlplane.runtime.ticking import Pace, Ticker

_log = logging.getLogger(__name__)

RATE: Final = "CONTROLPLANE_RECORD_RATE"
MEGABYTES: Final = "CONTROLPLANE_RECORD_MEGABYTES"
KEY: Final = "CONTROLPLANE_RECORD_KEY"
_QUEUE: Final = 2_000
_SHORTEST_KEY: Final = 16
_LOOK_SECONDS: Final = 1.0
_GOODBYE_SECONDS: Final = 2.0
_MOST_BYTES: Final = 2 * 1024 * 1024  # of lines, before they are packed


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One call as the recorder is told of it: references and numbers, nothing worked out yet."""

    at: float
    """Seconds since 1970: when its configuration was looked up."""
    request: Request
    path: str
    kept_out: str | None = None
    snapshot: Snapshot | None = None
    resolution: Resolution | None = None
    answered_by: str | None = None
    error: str | None = None
    seconds: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    values: bytes | None = None
    """JSON of the values that may be kept."""
    lengths: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class RecorderState:
    """How a recorder is doing."""

    written: int
    """Calls that the store has taken."""
    dropped: int
    """Calls that were chosen, and are lost."""
    error: str | None
    """Why the last batch was not written; None when it was."""


class Recorder:
    """Records a sample of the calls of one process in one environment.

        recorder = Recorder(store, "production", rate=0.01, key=b"at least sixteen bytes").start()
        service = LLMService(client, providers, recorder=recorder)
        recorder.close()

    `rate` is the chance of each call, from 0 (never) to 1 (always). `key` tells units from one another; processes that share
    it count a unit once. It stays in the product: the control plane neither has nor needs it. Without one each process makes
    its own. Raises `ValueError` for a rate, size or key that cannot be meant.
    """

    process: str
    """The beginning of the names of its batches."""
    _error: str | None
    _lines: list[bytes]
    _size: int
    _number: int
    _under: tuple[datetime, str] | None
    _written: int
    _dropped: int
    _told: int
    _failures: int
    _hour: datetime
    _written_this_hour: int
    _due: float

    def __init__(
        self,
        store: DecisionLog,
        environment: str,
        *,
        rate: float,
        key: bytes | None = None,
        bytes_per_hour: int = 10_000_000,
        seconds: float = 30.0,
    ) -> None:
        if not 0 <= rate <= 1:  # also refuses nan
            raise ValueError(f"rate must be from 0 to 1, not {rate}")
        if not seconds > 0 or bytes_per_hour < 1:
            raise ValueError("seconds and bytes_per_hour must be more than 0")
        if key is not None and len(key) < _SHORTEST_KEY:
            raise ValueError(f"a key has at least {_SHORTEST_KEY} bytes")
        self.environment = environment
        self.rate = rate
        self._store = store
        self._key = key or secrets.token_bytes(32)
        self._most_per_hour = bytes_per_hour
        self._seconds = seconds
        self._pace = Pace(seconds)
        self._look = Pace(min(_LOOK_SECONDS, seconds))
        self._running = False
        self._ticker = Ticker(
            f"recorder-{environment}", self._tick, first=self._look.first, pause=self._look.next
        )
        self._begin()
        _recorders.add(self)

    @classmethod
    def from_environment(
        cls, store: DecisionLog, environment: str, environ: Mapping[str, str]
    ) -> "Recorder | None":
        """The recorder that these variables ask for, or None: CONTROLPLANE_RECORD_RATE (0), _MEGABYTES (10), _KEY.

        Raises `ValueError` that names the variable.
        """
        rate = _number(environ, RATE, 0, least=0, most=1)
        if not rate:
            return None
        megabytes = _number(environ, MEGABYTES, 10, least=0.01, most=10_000)
        key = (environ.get(KEY) or "").encode()
        if key and len(key) < _SHORTEST_KEY:
            raise ValueError(f"{KEY} must have at least {_SHORTEST_KEY} characters")
        return cls(store, environment, rate=rate, key=key or None, bytes_per_hour=int(megabytes * 1_000_000))

    def start(self) -> "Recorder":
        """Begin to write what is seen."""
        if not self._running:
            self._running = True
            # No more threads: calls are more important than their record.
            with contextlib.suppress(RuntimeError):
                self._ticker.start(at_once=False)
        return self

    def close(self) -> None:
        """Write what was seen and stop; waits two seconds for the store at most."""
        if not self._running:
            return
        self._running = False
        self._ticker.stop()
        self._ticker.join(_GOODBYE_SECONDS)
        last = threading.Thread(target=self.flush, daemon=True)
        last.start()
        last.join(_GOODBYE_SECONDS)

    def chooses(self) -> bool:
        """Say whether this call is one of the sample."""
        return random.random() < self.rate  # noqa: S311 - not a secret

    def see(self, seen: Seen) -> None:
        """Take a call that was chosen. Never waits, never raises."""
        if len(self._queue) < _QUEUE:
            self._queue.append(seen)
        else:
            self._overflow.append(None)

    def decided(
        self,
        snapshot: Snapshot,
        found: Resolution,
        *,
        values: Mapping[str, object] | None = None,
        switched_off: bool = False,
    ) -> None:
        """Perhaps keep a decision that was taken without `LLMService`: for who resolves, and calls a model by himself.

        `switched_off` says that a kill switch kept the call from using it; the gate's answer is in the resolution.
        """
        if not self.chooses():
            return
        kept_out = "switch" if switched_off else None if found.gate.included else "gate"
        data, lengths = values_to_keep(snapshot, found.request.interaction, values)
        self.see(
            Seen(
                at=time.time(),
                request=found.request,
                path="configuration" if kept_out is None else "legacy",
                kept_out=kept_out,
                snapshot=snapshot,
                resolution=found if kept_out is None else None,
                values=data,
                lengths=lengths,
            )
        )

    def flush(self) -> bool:
        """Write what was seen now, in this thread; False when the store did not take it."""
        with self._writing:
            self._take_in()
            return self._write() if self._lines else self._error is None

    @property
    def state(self) -> RecorderState:
        """How it is doing."""
        return RecorderState(self._written, self._dropped + len(self._overflow), self._error)

    def _tick(self) -> None:
        with self._writing:
            self._take_in()
            is_due = time.monotonic() >= self._due
            is_full = self._size >= _MOST_BYTES or len(self._lines) >= decisions.MOST_DECISIONS
            if self._lines and (is_due or (is_full and not self._failures)):
                self._write()

    def _take_in(self) -> None:
        """Encode what the queue holds; what there is no room for is dropped."""
        for _ in range(len(self._overflow)):
            self._overflow.popleft()
            self._dropped += 1
        for _ in range(len(self._queue)):
            seen = self._queue.popleft()
            if self._size >= _MOST_BYTES or len(self._lines) >= decisions.MOST_DECISIONS:
                self._dropped += 1
                continue
            try:
                line = decisions.encode(_decision_of(seen, self._key))
                # What no reader takes, as an id of a thousand letters, is told of here.
                decisions.decode(line)
            except Exception as problem:  # one that cannot be kept must not end the thread for the others
                self._dropped += 1
                self._failed(f"a call cannot be kept: {type(problem).__name__}: {problem}")
                continue
            if len(line) > decisions.LONGEST_LINE:
                self._dropped += 1
                continue
            self._lines.append(line)
            self._size += len(line)

    def _write(self) -> bool:
        hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        if hour != self._hour:
            self._hour, self._written_this_hour = hour, 0
        header = Header(
            environment=self.environment,
            process=self.process,
            rate=self.rate,
            key=decisions.fingerprint(self._key),
            dropped=self._dropped - self._told,
        )
        packed = pack(decisions.join(header, self._lines))
        if self._written_this_hour + len(packed) > self._most_per_hour:
            self._dropped += len(self._lines)
            self._forget()
            return True
        # A write that failed may have arrived after all. Under the same name it is written again, and not a second time.
        where = self._under or (hour, f"{self.process}-{self._number + 1}")
        try:
            self._store.write_decisions(self.environment, *where, packed)
        except ControlPlaneRuntimeError as problem:
            self._failed(str(problem))
        except Exception as problem:  # a thread that dies would end the record for good
            self._failed(f"unexpected {type(problem).__name__}: {problem}")
        else:
            self._written += len(self._lines)
            self._written_this_hour += len(packed)
            self._told += header.dropped
            self._failures, self._error = 0, None
            self._number, self._under = self._number + 1, None
            self._forget()
            return True
        self._under = where
        self._failures += 1
        self._due = time.monotonic() + self._pace.next(self._failures)
        return False

    def _forget(self) -> None:
        self._lines, self._size = [], 0
        self._due = time.monotonic() + self._seconds

    def _failed(self, error: str) -> None:
        if error != self._error:  # said once, not every few seconds for as long as it lasts
            _log.warning("%s: calls are not recorded: %s", self.environment, error)
        self._error = error

    def _begin(self) -> None:
        self.process = re.sub(r"[^A-Za-z0-9.]+", "-", process_name())[-100:].strip("-.")
        self._queue: deque[Seen] = deque()
        # Of each drop a mark, which is put there in one step: a number that two threads raise at once loses one of them.
        self._overflow: deque[None] = deque(maxlen=1_000_000)
        self._writing = threading.Lock()  # between the thread and `flush`; no call takes it
        self._lines = []
        self._size = 0
        self._number, self._under = 0, None
        self._written = self._dropped = self._told = self._failures = 0
        self._error = None
        self._hour = datetime.fromtimestamp(0, UTC)
        self._written_this_hour = 0
        self._due = time.monotonic() + self._seconds

    def _after_fork(self) -> None:
        """Another process: another name, and a thread of its own. What the parent saw is the parent's to write."""
        self._begin()
        self._ticker.after_fork(restart=self._running)


def _decision_of(seen: Seen, key: bytes) -> Decision:
    """Work out what is kept of a call: its buckets, and hashes in place of ids."""
    asked, found = seen.request, seen.resolution
    snapshot = seen.snapshot
    values: Any = msgspec.Raw(seen.values) if seen.values else None
    return Decision(
        at=datetime.fromtimestamp(seen.at, UTC),
        interaction=asked.interaction,
        tier=asked.tier,
        tenant=asked.tenant_id,
        unit=decisions.hashed(key, asked.unit),
        conversation=decisions.hashed(key, asked.conversation_id),
        buckets=decisions.buckets(snapshot, asked) if snapshot is not None else {},
        path=seen.path,
        kept_out=seen.kept_out,
        release=snapshot.release if snapshot is not None else None,
        sha256=snapshot.sha256 if snapshot is not None else None,
        gate=found.gate.bucket if found else None,
        key=found.key if found else None,
        version=found.variant.version if found else None,
        bucket=found.bucket if found else None,
        model=found.variant.model if found else None,
        prompt=found.prompt.code if found else None,
        prompt_version=found.prompt.version if found else None,
        answered_by=seen.answered_by,
        error=seen.error,
        milliseconds=None if seen.seconds is None else min(2**31 - 1, math.ceil(seen.seconds * 1000)),
        input_tokens=seen.input_tokens,
        output_tokens=seen.output_tokens,
        parameters=values,
        lengths=dict(seen.lengths) if seen.lengths else None,
    )


def _number(environ: Mapping[str, str], name: str, default: float, *, least: float, most: float) -> float:
    text = environ.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise ValueError(f"{name} must be a number from {least:g} to {most:g}, not {text!r}")
    return value


_recorders: "weakref.WeakSet[Recorder]" = weakref.WeakSet()


def _restart_after_fork() -> None:
    for recorder in list(_recorders):
        recorder._after_fork()  # noqa: SLF001 - the hook belongs to the class; it stands here to be registered once


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restart_after_fork)
