"""What the service is told by its environment, read once; a wrong value stops the start with one line."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from controlplane.runtime.stores.base import is_environment

_MOST_SECONDS = 3600.0
_SOURCES: tuple[Literal["snapshot", "lookup"], ...] = ("snapshot", "lookup")


class SettingsError(ValueError):
    """A variable has a value that cannot be meant; the text names it and says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """What the service itself is told; stores, providers, keys and kill switches read their own variables.

    RUNTIME_HOST, RUNTIME_PORT, CONTROLPLANE_ENVIRONMENTS, CONTROLPLANE_READY_WITHOUT_RELEASE, CONTROLPLANE_SOURCE,
    CONTROLPLANE_POLL_SECONDS, CONTROLPLANE_HEARTBEAT_SECONDS, CONTROLPLANE_HOME, CONTROLPLANE_BOOTSTRAP,
    CONTROLPLANE_ISOLATE and CONTROLPLANE_TELEMETRY.
    """

    host: str = "127.0.0.1"
    port: int = 8001
    environments: tuple[str, ...] = ("production", "staging")
    ready_without_release: frozenset[str] = frozenset()
    """Environments whose calls may take the legacy path until a first release arrives."""
    source: Literal["snapshot", "lookup"] = "snapshot"
    poll_seconds: float = 5.0
    heartbeat_seconds: float = 10.0
    """0 is none."""
    disk: Path | None = None
    bootstrap: Path | None = None
    isolate: bool = False
    """Of a release of which only some entries are wrong, serve the others."""
    telemetry: bool = False

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "ServiceSettings":
        """Settings from variables; raises `SettingsError`."""
        environments = _codes(environ, "CONTROLPLANE_ENVIRONMENTS", "production,staging")
        without = _codes(environ, "CONTROLPLANE_READY_WITHOUT_RELEASE", "")
        if not set(without) <= set(environments):
            raise SettingsError(
                "CONTROLPLANE_READY_WITHOUT_RELEASE must be some of CONTROLPLANE_ENVIRONMENTS: "
                + ", ".join(environments)
            )
        home, bootstrap = environ.get("CONTROLPLANE_HOME"), environ.get("CONTROLPLANE_BOOTSTRAP")
        return cls(
            host=environ.get("RUNTIME_HOST") or "127.0.0.1",
            port=int(_number(environ, "RUNTIME_PORT", "8001", 1, 65535)),
            environments=environments,
            ready_without_release=frozenset(without),
            source=_source(environ.get("CONTROLPLANE_SOURCE") or "snapshot"),
            poll_seconds=_number(environ, "CONTROLPLANE_POLL_SECONDS", "5", 0.05, _MOST_SECONDS),
            heartbeat_seconds=_number(environ, "CONTROLPLANE_HEARTBEAT_SECONDS", "10", 0, _MOST_SECONDS),
            disk=Path(home) / "runtime" if home else None,
            bootstrap=Path(bootstrap) if bootstrap else None,
            isolate=_isolate(environ.get("CONTROLPLANE_ISOLATE") or "no"),
            telemetry=_telemetry(environ.get("CONTROLPLANE_TELEMETRY") or "none"),
        )


def _codes(environ: Mapping[str, str], name: str, default: str) -> tuple[str, ...]:
    text = environ.get(name, default)
    codes = [code.strip() for code in text.split(",")] if text or default else []
    if len(set(codes)) != len(codes) or not all(map(is_environment, codes)):
        raise SettingsError(f"{name} must be codes with commas between them, each once")
    return tuple(codes)


def _source(text: str) -> Literal["snapshot", "lookup"]:
    for source in _SOURCES:
        if text == source:
            return source
    raise SettingsError(f"CONTROLPLANE_SOURCE must be snapshot or lookup, not {text!r}")


def _isolate(text: str) -> bool:
    if text not in {"yes", "no"}:
        raise SettingsError(f"CONTROLPLANE_ISOLATE must be yes or no, not {text!r}")
    return text == "yes"


def _telemetry(text: str) -> bool:
    if text not in {"none", "opentelemetry"}:
        raise SettingsError(f"CONTROLPLANE_TELEMETRY must be none or opentelemetry, not {text!r}")
    return text == "opentelemetry"


def _number(environ: Mapping[str, str], name: str, default: str, least: float, most: float) -> float:
    text = environ.get(name) or default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise SettingsError(f"{name} must be a number from {least:g} to {most:g}, not {text!r}")
    return value
