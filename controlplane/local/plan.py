"""What a first run consists of, as data: the supervisor keeps any plan running and knows nothing of what is in it."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from controlplane.config import Settings
from controlplane.local import keys
from controlplane.local.aws import HEALTH_PATH
from controlplane.local.ports import HOST, any_free

PROJECT = Path(__file__).resolve().parents[2]
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - gunicorn's heartbeat files have no names in there

FIRST_ADMINISTRATOR = "admin@example.com"


@dataclass(frozen=True, slots=True)
class Child:
    """A program that is to run all the time; ready once `answers` (an address) says 200, or at once without one."""

    name: str
    arguments: tuple[str, ...]
    answers: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything to start, in order: the parts below, then what prepares them, then the programs on top.

    `environment` is what everybody is told (None: must not be told); `prepare` runs once and to its
    end, is told who is to be the first administrator, and says on its last line, in JSON, whether it made them.
    """

    environment: Mapping[str, str | None]
    ports: Mapping[str, int]
    embedded_postgres: bool
    emulator: Child | None
    prepare: tuple[str, ...]
    children: tuple[Child, ...]


def plan_for(settings: Settings, environment: Mapping[str, str]) -> Plan:
    """The plan for these settings; `environment` is what we were started with, and what the user said in it wins."""
    emulator, aws = _aws(settings)
    return Plan(
        environment={
            # Pages are served over plain http on this machine alone; and a change should be seen while one looks.
            **_unless_set(environment, CONTROLPLANE_SECURE_COOKIES="no", CONTROLPLANE_POLL_SECONDS="2"),
            # The file of failures is not there until somebody rehearses.
            **_unless_set(
                environment,
                CONTROLPLANE_PROVIDERS="echo",
                CONTROLPLANE_ECHO_FAILS=str(settings.home / "echo-fails"),
            ),
            # Blank counts as not set, and the service takes a blank list for one of a single bad code.
            **_unless_set(environment, CONTROLPLANE_ENVIRONMENTS=None),
            **aws,
            **_signing(settings, environment),
            **({"DATABASE_URL": settings.database_url} if settings.database_url else {}),
            "CONTROLPLANE_HOME": str(settings.home),
            "PORT": str(settings.port),
            "RUNTIME_PORT": str(settings.runtime_port),
            "PYTHONUNBUFFERED": "1",
        },
        ports={"PORT": settings.port, "RUNTIME_PORT": settings.runtime_port},
        embedded_postgres=settings.database_url is None,
        emulator=emulator,
        prepare=module("controlplane.local.prepare"),
        children=(
            Child("worker", module("controlplane.worker")),
            Child("web", web(settings.port), f"http://{HOST}:{settings.port}/healthz"),
            Child(
                "service",
                module("controlplane.runtime.service"),
                f"http://{HOST}:{settings.runtime_port}/readyz",  # 200 only once every environment has a release
            ),
        ),
    )


def module(name: str, *arguments: str) -> tuple[str, ...]:
    """The command line of a module of ours, run by this Python."""
    return (sys.executable, "-m", name, *arguments)


def web(port: int) -> tuple[str, ...]:
    """The web server: a thread for each open event stream, and an end within seconds although streams are open."""
    heartbeat = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else Path(os.environ.get("TMPDIR", "/tmp"))  # noqa: S108
    return module(
        "gunicorn",
        *("app:app", "--chdir", str(PROJECT), "--bind", f"{HOST}:{port}"),
        *("--worker-class", "gthread", "--workers", "2", "--threads", "32", "--graceful-timeout", "3"),
        "--preload",  # import once, not once in each worker; engines and pools are made after forking
        *("--worker-tmp-dir", str(heartbeat), "--no-control-socket"),
    )


def told(environment: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """An environment with the changes made: values set, and what is None taken out."""
    merged = {**environment, **changes}
    return {name: value for name, value in merged.items() if value is not None}


def _aws(settings: Settings) -> tuple[Child | None, dict[str, str | None]]:
    """The emulator unless there is something real, and what everybody has to know to use either."""
    if settings.aws_endpoint_url is not None:
        return None, {"AWS_ENDPOINT_URL": settings.aws_endpoint_url, "AWS_REGION": settings.aws_region}
    port = any_free()
    emulator = Child(
        "aws",
        module("controlplane.local.aws", "--port", str(port), "--keep", str(settings.home / "evidence")),
        f"http://{HOST}:{port}{HEALTH_PATH}",
    )
    return emulator, {
        "AWS_ENDPOINT_URL": f"http://{HOST}:{port}",
        "AWS_REGION": settings.aws_region,
        # The emulator takes any; somebody's real ones, or a profile that first asks them to sign in, stay out of it.
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_SESSION_TOKEN": None,
        "AWS_PROFILE": None,
        "AWS_DEFAULT_PROFILE": None,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _signing(settings: Settings, environment: Mapping[str, str]) -> dict[str, str]:
    """A key of this home for what it publishes into its own emulator. Any other store may hold what nobody signed."""
    theirs = (*keys.VARIABLES, "CONTROLPLANE_STORE_DIRECTORY")
    if settings.aws_endpoint_url is not None or any(environment.get(name, "").strip() for name in theirs):
        return {}
    return keys.variables(settings.home)


def _unless_set(environment: Mapping[str, str], **values: str | None) -> dict[str, str | None]:
    return {name: value for name, value in values.items() if not environment.get(name, "").strip()}
