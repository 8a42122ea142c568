"""What a recorded call gets from a release, in the terms in which two releases are compared. Pure."""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from controlplane.runtime import decisions
from controlplane.runtime.decisions import Decision
from controlplane.runtime.entries import Model
from controlplane.runtime.resolver import Resolution
from controlplane.runtime.services.answers import KeptOut, Path, Step
from controlplane.runtime.services.chain import Target, targets_of
from controlplane.runtime.snapshot import Snapshot
from controlplane.runtime.switches import KillSwitches

LEGACY_BY_CHOICE: Final = frozenset({KeptOut.CALL.value, KeptOut.SERVICE.value})
"""Whoever made these calls did not want configurations to be used: no release changes that."""
_FAILED: Final = frozenset({Step.NO_TEMPLATE.value, Step.RENDER_FAILED.value})
"""These calls had a configuration, and no text with the values they brought. Whether another text fails with them nobody knows."""


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
    fallbacks: tuple[Any, ...] = ()
    """The models that may still be asked, each with what it takes."""
    declared: tuple[Any, ...] = ()
    """How the values that come with a call are taken; what comes of a change of it hangs on the values."""

    @property
    def named(self) -> tuple[str, str | None, int | None, str | None]:
        """What the call's answer would name: its path, the configuration and version, and the model."""
        return self.path, self.key, self.version, self.model


LEGACY: Final = Outcome(Path.LEGACY.value)


class Got(NamedTuple):
    """What a call gets, whether that is certain, and the model's entry for its prices."""

    outcome: Outcome
    exact: bool
    model: Model | None = None


class Outcomes:
    """What recorded calls get from one release, at one moment (aware) and with these kill switches thrown."""

    def __init__(self, snapshot: Snapshot, *, now: dt.datetime, switches: KillSwitches) -> None:
        self._snapshot, self._now, self._switches = snapshot, now, switches
        # By configuration and place among its variants: thousands of calls come to a few of these.
        self._known: dict[tuple[str, int], Outcome] = {}

    def of(self, decision: Decision) -> Got:
        """Return what a call gets."""
        if decision.kept_out in LEGACY_BY_CHOICE or self._switches.thrown(decision.interaction) is not None:
            return Got(LEGACY, exact=True)
        again = decisions.replay(self._snapshot, decision, now=self._now)
        found = again.resolution
        if found is None or not again.gate.included:
            return Got(LEGACY, again.exact)
        key = (found.key, found.place)
        outcome = self._known.get(key)
        if outcome is None:
            outcome = self._known[key] = _outcome(self._snapshot, found)
        return Got(outcome, again.exact and decision.kept_out not in _FAILED, found.model)


def _outcome(snapshot: Snapshot, found: Resolution) -> Outcome:
    variant = found.variant
    return Outcome(
        path=Path.CONFIGURATION.value,
        key=found.key,
        version=variant.version,
        model=variant.model,
        model_id=f"{found.model.provider} {found.model.provider_model_id}",
        template=found.prompt.code,
        template_version=found.prompt.version,
        text_sha256=found.prompt.sha256,
        settings=(
            variant.temperature,
            variant.max_tokens,
            variant.top_p,
            variant.frequency_penalty,
            variant.presence_penalty,
        ),
        fallbacks=tuple(_taken_by(each) for each in targets_of(snapshot, variant)[1:]),
        declared=_declared(snapshot, found.prompt.code),
    )


def _taken_by(target: Target) -> tuple[Any, ...]:
    model = target.model
    return (target.code, target.provider, target.model_id) + (
        (model.parameters, model.max_output_tokens) if model else ()
    )


def _declared(snapshot: Snapshot, prompt: str) -> tuple[Any, ...]:
    entry = snapshot.prompt(prompt)
    interaction = snapshot.interaction(entry.interaction) if entry else None
    return tuple(
        (each.name, each.type, each.required, each.untrusted)
        for each in (interaction.parameters if interaction else ())
    )


def is_certain(before: Got, after: Got) -> bool:
    """Say whether it is certain what of a call changes."""
    if not (before.exact and after.exact):
        return False
    return before.outcome.declared == after.outcome.declared or bool(
        differences(before.outcome, after.outcome)
    )


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
