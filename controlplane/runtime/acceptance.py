"""Whether a release may be served: what a pointer promises, and whether the bytes keep it.

A client runs this before it swaps, the worker before it moves the pointer, and a cold start on its own disk copy.

How much of a release is looked at before it is served:

* It follows one that was accepted: what differs, and what names anything that differs. The rest was looked at before, by
  the same code, and no byte of it has changed. The answer is that of looking at everything (`tests/runtime`).
* There is none before it: everything, entry by entry, and every prompt is compiled (`Trust.NOTHING`).
* These very bytes were accepted before, by this very code (`Trust.CHECKED`): the hash alone. That is the copy on disk,
  which says by whose rules it was accepted; see `CHECKED_BY`.
* The pointer's signature is good, and there is nothing else to serve (`Trust.SIGNED`): the hash alone, and the rest behind
  it, by `complete`. Who holds the key ran these rules before signing. Should they have been another version's, so
  that an entry cannot be served after all, then a call that needs that entry fails with a `SnapshotRefused` (or an error
  of its prompt), which is a step down and no more; serving nothing meanwhile would be that step for every call.
"""

import enum
import hashlib
import platform
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import jinja2
import msgspec

from controlplane.runtime.canonical import digest as digest_of
from controlplane.runtime.errors import PromptProfileError, SnapshotRefused, TemplateNotFoundError
from controlplane.runtime.renderer import CompiledPrompt, compile_prompt
from controlplane.runtime.snapshot import READ_LIMIT, SCHEMA, Snapshot
from controlplane.runtime.stores.base import ObjectMismatchError, Pointer
from controlplane.runtime.validate import READ, Body, Checked, Problem, validate_raws

READER: Final = 2
"""This reader's number: a release whose pointer asks for a higher one holds what it would misunderstand."""

COMPILED: Final = "compiled"
"""What a snapshot derives its programs under, before the hash of the text."""

_MAX_LOSS: Final = 0.3
_PROBLEMS_SHOWN: Final = 3


class PointerRefused(SnapshotRefused):
    """What the pointer names is not worth downloading; asking again costs nothing, so nothing is quarantined."""


class EntriesRefused(SnapshotRefused):
    """Some entries or prompt bodies are wrong, and `problems` names each; `snapshot` is the release as it came."""

    def __init__(self, snapshot: Snapshot, problems: Sequence[Problem]) -> None:
        self.snapshot = snapshot
        self.problems = problems
        shown = "; ".join(f"{key} {field}: {message}" for key, field, message in problems[:_PROBLEMS_SHOWN])
        super().__init__(f"{len(problems)} problems, the first: {shown}")


def check_pointer(pointer: Pointer, *, environment: str, current: Snapshot | Pointer | None) -> None:
    """Refuse, before anything is downloaded, what must not be served; `current` is what is served now."""
    if pointer.environment != environment:
        raise PointerRefused(f"the pointer is of {pointer.environment}, not of {environment}")
    if pointer.schema != SCHEMA:
        raise PointerRefused(f"schema {pointer.schema} is not known to this reader, which knows {SCHEMA}")
    if pointer.minimum_reader > READER:
        raise PointerRefused(
            f"release {pointer.release} needs reader {pointer.minimum_reader}, this is {READER}"
        )
    if pointer.size > READ_LIMIT:
        raise PointerRefused(f"{pointer.size:,} bytes are more than the limit of {READ_LIMIT:,}")
    if current is None:
        return
    if pointer.release < current.release:
        raise PointerRefused(f"release {pointer.release} is older than {current.release}, which is served")
    if pointer.release == current.release and pointer.sha256 != current.sha256:
        raise PointerRefused(f"release {pointer.release} was live before with other content")


def check_bytes(pointer: Pointer, data: bytes, *, digest: str | None = None) -> None:
    """Refuse bytes that are not those the pointer names; `digest` is their SHA-256, where it is known already.

    A mismatch, unlike a refused snapshot, is worth another try: the object may be healed under the same name.
    """
    if len(data) != pointer.size:
        raise ObjectMismatchError(f"release {pointer.release} has {len(data):,} bytes, not {pointer.size:,}")
    if (digest or digest_of(data)) != pointer.sha256:
        raise ObjectMismatchError(
            f"release {pointer.release} does not have the SHA-256 that its pointer names"
        )


class Trust(enum.Enum):
    """What is known of a release's bytes besides their hash; see above."""

    NOTHING = "nothing"
    SIGNED = "signed"
    CHECKED = "checked"


def accept(
    pointer: Pointer,
    data: bytes,
    *,
    current: Snapshot | None = None,
    digest: str | None = None,
    trust: Trust = Trust.NOTHING,
) -> Snapshot:
    """Return the snapshot, fit to be served; raises `ObjectMismatchError` or `SnapshotRefused`.

    `current` is what is served now. After `Trust.CHECKED` and `Trust.SIGNED` the caller serves it and then runs
    `complete`, in the background.
    """
    check_bytes(pointer, data, digest=digest)
    snapshot = Snapshot.load(
        data, release=pointer.release, environment=pointer.environment, sha256=pointer.sha256
    )
    _check_loss(pointer, snapshot, current)
    base = current if current is not None and current.accepted else None
    if trust is Trust.CHECKED:
        snapshot.accepted = True
    elif trust is Trust.NOTHING or base is not None:
        check_entries(snapshot, base)
    return snapshot


def complete(snapshot: Snapshot) -> None:
    """Do what `accept` left for later: check every entry, unless that was done, and compile every prompt.

    Raises `SnapshotRefused`: then the release must not go on being served. A second call finds nothing to do.
    """
    if not snapshot.accepted:
        check_entries(snapshot, None)
    for sha256 in snapshot.bodies():
        compiled_prompt(snapshot, sha256)


def compiled_prompt(snapshot: Snapshot, sha256: str) -> CompiledPrompt:
    """A prompt of this release, ready to render; compiled when the release was loaded."""
    return snapshot.derive(_key(sha256), lambda *_: compile_prompt(snapshot.body(sha256)))


def check_entries(snapshot: Snapshot, base: Snapshot | None) -> None:
    """Look at every entry and compile every prompt, but for what an accepted release `base` has as well.

    Raises `EntriesRefused`, or `SnapshotRefused` when a body is no text.
    """
    bodies = snapshot.bodies()
    checked = None
    if base is not None:
        checked = Checked(base.raws, base.bodies())
        for sha256 in bodies:
            _take_over(snapshot, sha256, base)
    problems = validate_raws(
        snapshot.raws,
        bodies,
        limits=READ,
        checked=checked,
        inspect=lambda sha256, _: _compile(snapshot, sha256),
        size=snapshot.size,
    )
    if problems:
        raise EntriesRefused(snapshot, problems)
    snapshot.accepted = True


def _check_loss(pointer: Pointer, snapshot: Snapshot, current: Snapshot | None) -> None:
    if not len(snapshot):
        raise SnapshotRefused("the release is empty")
    if current is None or pointer.allow_shrink:
        return
    lost = len(current.keys() - snapshot.keys())
    if lost > _MAX_LOSS * len(current):
        raise SnapshotRefused(
            f"{lost} of {len(current)} entries would vanish; more than {_MAX_LOSS:.0%} must be allowed when published"
        )


def _compile(snapshot: Snapshot, sha256: str) -> Body:
    """Compile a prompt; parsing it just to find its names would cost half as much again."""
    try:
        names = compiled_prompt(snapshot, sha256).names
    except PromptProfileError as error:
        return Body((), str(error))
    return Body(tuple(sorted(names.used.keys() - names.own)), None)


def _take_over(snapshot: Snapshot, sha256: str, base: Snapshot) -> None:
    """Take over the program that serves now: a release seldom changes more than one."""
    try:
        program = compiled_prompt(base, sha256)
    except TemplateNotFoundError:
        return
    snapshot.derive(_key(sha256), lambda *_: program)


def _key(sha256: str) -> tuple[str, str]:
    return (COMPILED, sha256)


def _fingerprint() -> str:
    """Return a name for the code that decides what is accepted: this package's files, and what reads and compiles for it."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    if not files:  # packed into an archive, perhaps: a name that nobody else has trusts nothing
        return secrets.token_hex()
    found = hashlib.sha256()
    for path in files:
        found.update(path.read_bytes())
    versions = (msgspec.__version__, jinja2.__version__, platform.python_version())
    return f"{READER}-{'-'.join(versions)}-{found.hexdigest()[:16]}"


CHECKED_BY: Final = _fingerprint()
"""By whose rules this process accepts a release. A copy on disk that bears the same name needs no second look."""
