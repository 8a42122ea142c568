"""One program by itself: `./run web`, `worker`, `service` and `cli`.

With DATABASE_URL set it takes everything from the environment, as in production. Without, it joins what runs on this
home, whose addresses it reads from there.
"""

import os
import sys
from collections.abc import Mapping, Sequence

from controlplane.config import Settings, SettingsError
from controlplane.local import addresses, keys, plan

# What a user may want otherwise than the running home; their AWS credentials, say, do not fit its emulator.
_USERS_WORD = ("PORT", "RUNTIME_PORT", "CONTROLPLANE_", "AWS_ENDPOINT_URL", "ADMIN_")


def command(name: str, arguments: Sequence[str], settings: Settings) -> tuple[str, ...]:
    """The command line behind a word of `./run`."""
    match name:
        case "web":
            return (*plan.web(settings.port), *arguments)
        case "worker":
            return (*plan.module("controlplane.worker"), *arguments)
        case "service":
            return (*plan.module("controlplane.runtime.service"), *arguments)
        case "cli":
            return (*plan.module("controlplane.web.cli"), *arguments)
    raise SystemExit(f"There is no program {name!r}: use web, worker, service or cli.")


def environment_for(
    settings: Settings, environment: Mapping[str, str], *, operator: bool = False
) -> dict[str, str]:
    """What the program is to be told; what the user says beats what the home says."""
    if settings.database_url is not None:
        return dict(environment)
    noted = addresses.read(settings.home)
    if noted is None:
        raise SystemExit(
            f"Nothing runs on {settings.home}: start ./run first, or set DATABASE_URL (and AWS_ENDPOINT_URL)."
        )
    if not operator:
        noted = {**noted, "DATABASE_OWNER_URL": None}  # nobody who serves people has to know it
    said = {name: value for name, value in environment.items() if value and name.startswith(_USERS_WORD)}
    # Who brings a key of their own is not told of the home's: with both, a program would not know which is meant.
    homes = dict.fromkeys(keys.VARIABLES) if said.keys() & set(keys.VARIABLES) else {}
    return plan.told(environment, {**noted, **homes, **said})


def main(argv: Sequence[str]) -> None:
    """Become that program."""
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        raise SystemExit(str(error)) from None
    arguments = command(argv[0], argv[1:], settings)
    # `--help` and the like need no database: the program itself says so when it does.
    wants_help = argv[0] == "cli" and (not argv[1:] or "--help" in argv)
    environment = (
        dict(os.environ) if wants_help else environment_for(settings, os.environ, operator=argv[0] == "cli")
    )
    os.execve(arguments[0], list(arguments), environment)  # noqa: S606 - a list of ours, and no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
