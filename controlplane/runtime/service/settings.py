"""What the service is told by its environment, read once; a wrong value stops the start with one line."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from controlplane.runtime.stores.base import is_environment

_MOST_SECONDS = 3600.0


class SettingsError(ValueError):
    """A variable has a value that cannot be meant; the text names it and says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """RUNTIME_PORT, CONTROLPLANE_ENVIRONMENTS, CONTROLPLANE_POLL_SECONDS and CONTROLPLANE_HOME."""

    port: int = 8001
    environments: tuple[str, ...] = ("production", "staging")
    poll_seconds: float = 5.0
    disk: Path | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "ServiceSettings":
        """Settings from variables; raises `SettingsError`."""
        names = [
            name.strip() for name in environ.get("CONTROLPLANE_ENVIRONMENTS", "production,staging").split(",")
        ]
        if len(set(names)) != len(names) or not all(map(is_environment, names)):
            raise SettingsError("CONTROLPLANE_ENVIRONMENTS must be codes with commas between them, each once")
        home = environ.get("CONTROLPLANE_HOME")
        return cls(
            port=int(_number(environ, "RUNTIME_PORT", "8001", 1, 65535)),
            environments=tuple(names),
            poll_seconds=_number(environ, "CONTROLPLANE_POLL_SECONDS", "5", 0.05, _MOST_SECONDS),
            disk=Path(home) / "runtime" if home else None,
        )


def _number(environ: Mapping[str, str], name: str, default: str, least: float, most: float) -> float:
    text = environ.get(name) or default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise SettingsError(f"{name} must be a number from {least:g} to {most:g}, not {text!r}")
    return value
