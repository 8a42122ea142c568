"""What a recorded call gets from a release, in the terms in which two releases are compared. Pure."""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from controlplane.runtime import decisions
from controlplane.runtime.decisions import Decision
from controlplane.runtime.entries import Model
from controlplane.runtime.services.answers import KeptOut, Path
from controlplane.runtime.snapshot import Snapshot
from controlplane.runtime.switches import KillSwitches

LEGACY_BY_CHOICE: Final = frozenset({KeptOut.CALL.value, KeptOut.SERVICE.value})
"""Whoever made these calls did not want configurations to be used: no release changes that."""


@dataclass(frozen=True)
class Outcome:
    """What a call gets. `key` and `version` say from where; all else is what reaches the model."""

    path: str
    key: str | None = None
    version: int | None = None
    model: str | None = None
    model_id: str | None = None
    template: str | None = None
    template_version: int | None = None
    text_sha256: str | None = None
    settings: tuple[Any, ...] = ()
    fallbacks: tuple[str, ...] = ()

    @property
    def named(self) -> tuple[str, str | None, int | None, str | None]:
        """What the call's answer would name: its path, the configuration and version, and the model."""
        return self.path, self.key, self.version, self.model


LEGACY: Final = Outcome(Path.LEGACY.value)


@dataclass(frozen=True)
class Got:
    """What a call gets, whether that is certain, and the model's entry for its prices."""

    outcome: Outcome
    exact: bool
    model: Model | None = None


def outcome_of(snapshot: Snapshot, decision: Decision, *, now: dt.datetime, switches: KillSwitches) -> Got:
    """Return what a recorded call gets from a release at a moment, with these kill switches thrown."""
    if decision.kept_out in LEGACY_BY_CHOICE or switches.thrown(decision.interaction) is not None:
        return Got(LEGACY, exact=True)
    again = decisions.replay(snapshot, decision, now=now)
    found = again.resolution
    if found is None or not again.gate.included:
        return Got(LEGACY, again.exact)
    variant = found.variant
    settings = (
        variant.temperature,
        variant.max_tokens,
        variant.top_p,
        variant.frequency_penalty,
        variant.presence_penalty,
    )
    outcome = Outcome(
        path=Path.CONFIGURATION.value,
        key=found.key,
        version=variant.version,
        model=variant.model,
        model_id=f"{found.model.provider} {found.model.provider_model_id}",
        template=found.prompt.code,
        template_version=found.prompt.version,
        text_sha256=found.prompt.sha256,
        settings=settings,
        fallbacks=variant.fallbacks,
    )
    return Got(outcome, again.exact, found.model)


def differences(before: Outcome, after: Outcome) -> tuple[str, ...]:
    """Return what of a call changes, in words; nothing when the model is sent the same, wherever that stands now."""
    if before.path != after.path:
        return ("path",)
    found = []
    if (before.model, before.model_id) != (after.model, after.model_id):
        found.append("model")
    if before.text_sha256 != after.text_sha256:
        found.append("template")
    if before.settings != after.settings:
        found.append("settings")
    if before.fallbacks != after.fallbacks:
        found.append("fallbacks")
    return tuple(found)
