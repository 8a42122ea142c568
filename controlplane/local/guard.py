"""A program that becomes another program, and sees to it that this one does not outlive whoever started it.

    python -I -S guard.py --parent 123 --signal 15 [--user 101:104] -- command argument...

It is run by path with nothing but the standard library: it stands before every child, so its start must cost nothing.
"""

import ctypes
import os
import platform
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def command(
    arguments: Sequence[str], *, on_death: signal.Signals, account: tuple[int, int] | None = None
) -> list[str]:
    """The command line that runs `arguments` under guard; `account` is the user and group to become first.

    Linux watches the thread that starts it, not only the process: start children from a thread that stays.
    """
    user = ["--user", f"{account[0]}:{account[1]}"] if account else []
    return [
        *(sys.executable, "-I", "-S", str(Path(__file__).resolve())),
        *("--parent", str(os.getpid()), "--signal", str(int(on_death))),
        *user,
        "--",
        *arguments,
    ]


def main(argv: Sequence[str]) -> int:
    """Read the fixed command line above, drop privileges, bind to the parent's life, and run the command."""
    split = argv.index("--")
    options = dict(zip(argv[0:split:2], argv[1:split:2], strict=True))
    parent, on_death = int(options["--parent"]), int(options["--signal"])
    if "--user" in options:
        os.chdir("/")  # the directory we were started in may be closed to the account we are about to become
        _become(*(int(number) for number in options["--user"].split(":")))
    if platform.system() == "Linux":
        # After changing the account, because that change clears the setting.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, on_death, 0, 0, 0)
        if os.getppid() != parent:  # it died before we could ask to be told
            return 1
        os.execvp(argv[split + 1], list(argv[split + 1 :]))  # noqa: S606 - a list of ours, and no shell is wanted
    return _watch(parent, on_death, argv[split + 1 :])


def _become(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def _watch(parent: int, on_death: int, arguments: Sequence[str]) -> int:
    """Without the kernel's help: stay between the two, hand signals on, and look for the parent twice a second."""
    child = os.posix_spawnp(arguments[0], list(arguments), os.environ)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: os.kill(child, received))
    told = False
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status) % 256
        if os.getppid() != parent and not told:
            told = True
            os.kill(child, on_death)
        time.sleep(0.05 if told else 0.5)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
