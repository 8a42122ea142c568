"""Kill switches: which interactions must not use what is published, whatever a release says.

A document of its own, small and of plain types only, so that it can be read when nothing else can:

    {"environment": "production", "version": 7, "everything": null,
     "interactions": {"COACHING_RESPONSE": {"by": "ada@example.com", "at": "2026-11-22T10:00:00Z", "reason": "…"}}}

A call whose switch is thrown takes the legacy path. An operator without a store throws switches with a file or with an
environment variable. What cannot be understood throws nothing and lifts nothing: the switches stay as they were.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final

import msgspec

from controlplane.runtime import canonical
from controlplane.runtime.errors import ControlPlaneRuntimeError
from controlplane.runtime.signing import SignatureRefused, Signer, Verifier
from controlplane.runtime.stores.base import SWITCHES_LIMIT

KILL: Final = "CONTROLPLANE_KILL"
SWITCHES_FILE: Final = "CONTROLPLANE_SWITCHES_FILE"
_EVERYTHING: Final = "everything"


class SwitchesRefused(ControlPlaneRuntimeError):  # noqa: N818 - the name reads as what is raised
    """Not a document of kill switches that may be obeyed; those known before stay."""


class Switch(msgspec.Struct, frozen=True):
    """One switch that is thrown: by whom, when (as they wrote it) and why."""

    by: str
    at: str
    reason: str


class KillSwitches(msgspec.Struct, frozen=True):
    """All switches that are thrown in one environment; nothing is, when it is empty."""

    everything: Switch | None = None
    interactions: dict[str, Switch] = {}

    def thrown(self, interaction: str) -> Switch | None:
        """The switch that stops calls of this interaction, or None."""
        return self.everything or self.interactions.get(interaction)

    def __or__(self, other: "KillSwitches") -> "KillSwitches":
        """What either has thrown; where both have, the left one says by whom."""
        return KillSwitches(self.everything or other.everything, {**other.interactions, **self.interactions})

    def names(self) -> tuple[str, ...]:
        """What is thrown: `everything` or the codes of interactions, sorted."""
        every = (_EVERYTHING,) if self.everything else ()
        return (*every, *sorted(self.interactions))


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    environment: str
    version: Annotated[int, msgspec.Meta(ge=1)]
    everything: Switch | None
    interactions: dict[str, Switch]


class _LocalSwitch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who writes this is in a hurry: nothing needs to be said but that it is meant."""

    by: str = "a file on this machine"
    at: str = ""
    reason: str = ""


class _LocalDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A misspelt field must not look like a switch that was thrown."""

    everything: _LocalSwitch | None = None
    interactions: dict[str, _LocalSwitch] = {}
    environment: str | None = None
    version: int | None = None
    key_id: str | None = None
    signature: str | None = None


def document(
    switches: KillSwitches, *, environment: str, version: int, signer: Signer | None = None
) -> bytes:
    """The bytes to publish with `ReleaseStore.write_switches`; `version` has to rise with each change."""
    plain: dict[str, Any] = {
        "environment": environment,
        "version": version,
        "everything": msgspec.to_builtins(switches.everything),
        "interactions": msgspec.to_builtins(switches.interactions),
    }
    return canonical.dumps(signer.sign_document(plain) if signer else plain)


def parse(data: bytes, *, environment: str, verifier: Verifier) -> tuple[int, KillSwitches]:
    """Version and switches of a published document; raises `SwitchesRefused` and nothing else, whatever the bytes."""
    if len(data) > SWITCHES_LIMIT:
        raise SwitchesRefused(f"{len(data):,} bytes are more than the limit of {SWITCHES_LIMIT:,}")
    try:
        plain = canonical.loads(data)
        found = msgspec.convert(plain, _Document)
        verifier.verify_document(plain)
    except SignatureRefused as refused:
        raise SwitchesRefused(f"the document is {refused}") from None
    except ValueError as problem:  # also what msgspec and a wrong encoding raise
        raise SwitchesRefused(f"not a document of kill switches: {problem}") from None
    if found.environment != environment:
        raise SwitchesRefused(f"the document is of {found.environment}, not of {environment}")
    return found.version, KillSwitches(found.everything, found.interactions)


def parse_local(text: str, *, environment: str) -> KillSwitches:
    """What a file on this machine throws; nothing but white space means everything. Raises `SwitchesRefused`.

    The file may be the published document, or as little as `{"interactions": {"COACHING_RESPONSE": {}}}`. It needs no
    signature: who can write it can stop the process as well. One that names another environment throws nothing here.
    """
    if not text.strip():
        return KillSwitches(everything=Switch("a file on this machine", "", "the file is empty"))
    try:
        found = msgspec.convert(canonical.loads(text), _LocalDocument)
    except ValueError as problem:
        raise SwitchesRefused(f"not a document of kill switches: {problem}") from None
    if found.environment not in {None, environment}:
        return KillSwitches()
    return KillSwitches(
        None if found.everything is None else _full(found.everything),
        {code: _full(switch) for code, switch in found.interactions.items()},
    )


def from_environment(environ: Mapping[str, str]) -> KillSwitches:
    """What `CONTROLPLANE_KILL` throws: `everything`, or codes of interactions with commas between."""
    return from_names(environ.get(KILL, "").split(","), by=KILL)


def from_names(names: Iterable[str], *, by: str) -> KillSwitches:
    """Switches by name alone; `everything`, however it is written, is all of them."""
    named = {name.strip() for name in names} - {""}
    switch = Switch(by, "", "")
    return KillSwitches(
        switch if any(name.lower() == _EVERYTHING for name in named) else None,
        {name: switch for name in sorted(named) if name.lower() != _EVERYTHING},
    )


def _full(switch: _LocalSwitch) -> Switch:
    return Switch(switch.by, switch.at, switch.reason)
