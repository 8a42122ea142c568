"""Whether a release may be served: what a pointer promises, and whether the bytes keep it.

A client runs this before it swaps, the worker before it moves the pointer, and a cold start on its own disk copy:
nothing is believed because of where it comes from.
"""

from typing import Final

from controlplane.runtime.canonical import digest
from controlplane.runtime.errors import SnapshotRefused, TemplateNotFoundError
from controlplane.runtime.renderer import CompiledPrompt, compile_prompt
from controlplane.runtime.snapshot import READ_LIMIT, SCHEMA, Snapshot
from controlplane.runtime.stores.base import ObjectMismatchError, Pointer
from controlplane.runtime.validate import validate

READER: Final = 1
"""This reader's number: a release whose pointer asks for a higher one holds what it would misunderstand."""

_MAX_LOSS: Final = 0.3
_PROBLEMS_SHOWN: Final = 3


class PointerRefused(SnapshotRefused):
    """What the pointer names is not worth downloading; asking again costs nothing, so nothing is quarantined."""


def check_pointer(pointer: Pointer, *, environment: str, current: Snapshot | None) -> None:
    """Refuse, before anything is downloaded, what must not be served."""
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


def check_bytes(pointer: Pointer, data: bytes) -> None:
    """Refuse bytes that are not those the pointer names.

    A mismatch, unlike a refused snapshot, is worth another try: the object may be healed under the same name.
    """
    if len(data) != pointer.size:
        raise ObjectMismatchError(f"release {pointer.release} has {len(data):,} bytes, not {pointer.size:,}")
    if digest(data) != pointer.sha256:
        raise ObjectMismatchError(
            f"release {pointer.release} does not have the SHA-256 that its pointer names"
        )


def accept(pointer: Pointer, data: bytes, *, current: Snapshot | None = None) -> Snapshot:
    """The snapshot, decoded, validated and with its prompts compiled; raises `SnapshotRefused`."""
    check_bytes(pointer, data)
    snapshot = Snapshot.load(data, release=pointer.release, environment=pointer.environment)
    _check_loss(pointer, snapshot, current)
    bodies = snapshot.bodies()
    problems = validate(snapshot.documents(), bodies)
    if problems:
        shown = "; ".join(f"{key} {field}: {message}" for key, field, message in problems[:_PROBLEMS_SHOWN])
        raise SnapshotRefused(f"{len(problems)} problems, the first: {shown}")
    for sha256 in bodies:
        _compile(snapshot, sha256, current)
    return snapshot


def compiled_prompt(snapshot: Snapshot, sha256: str) -> CompiledPrompt:
    """A prompt of this release, ready to render; compiled when the release was loaded."""
    return snapshot.derive(_key(sha256), lambda *_: compile_prompt(snapshot.body(sha256)))


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


def _compile(snapshot: Snapshot, sha256: str, current: Snapshot | None) -> None:
    """Compile a prompt, or take over the program that serves now: a release seldom changes more than one."""
    program: CompiledPrompt | None = None
    if current is not None:
        try:
            program = compiled_prompt(current, sha256)
        except TemplateNotFoundError:
            program = None
    if program is not None:
        kept = program
        snapshot.derive(_key(sha256), lambda *_: kept)
    else:
        compiled_prompt(snapshot, sha256)


def _key(sha256: str) -> tuple[str, str]:
    return ("compiled", sha256)
