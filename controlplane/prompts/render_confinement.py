"""How a render worker and its children are held: no network, no rights, no files, little memory, little of the processor.

Each as far as the machine allows: the calls are Linux's, and a container may refuse some.
"""

import contextlib
import ctypes
import os
import pwd
import resource
import signal
from pathlib import Path
from typing import Final

MEMORY_BYTES: Final = 512 * 1024 * 1024
# A third of the weight of others: enough for previews on a busy machine, too little to slow the pages beside them.
_AUTOGROUP_NICE: Final = 5
_CLONE_NEWUSER: Final = 0x10000000
_CLONE_NEWNET: Final = 0x40000000
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38


def stand_back() -> None:
    """Become a group of our own for the kernel's scheduler, with less of a say than that of the site.

    On a machine with autogroups (Linux's default) a process is nice to its own session only: hogs of one session halve what
    a page of another is given, however nice they are. Fresh children still go before those that take long, within the group.
    """
    with contextlib.suppress(OSError):  # no such thing here, or we lead a session already
        os.setsid()
        Path("/proc/self/autogroup").write_text(str(_AUTOGROUP_NICE), "ascii")


def renounce() -> None:
    """Give up network, rights and the place in the file tree; each as far as this machine allows."""
    _without_network()
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.setgroups([])
        os.setresgid(nobody.pw_gid, nobody.pw_gid, nobody.pw_gid)
        os.setresuid(nobody.pw_uid, nobody.pw_uid, nobody.pw_uid)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    os.chdir("/")


def _without_network() -> None:
    """Move into a network of our own that has no interface; without rights that takes a user namespace too."""
    flags = _CLONE_NEWNET if os.geteuid() == 0 else _CLONE_NEWNET | _CLONE_NEWUSER
    with contextlib.suppress(AttributeError, OSError):  # no such call here, or not allowed in this container
        ctypes.CDLL(None, use_errno=True).unshare(flags)


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(AttributeError, OSError):  # Linux only; elsewhere the closed socket does it
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def limit(parent: int) -> None:
    """Put this process, a child of `parent`, under limits that it cannot lift, and have it end when `parent` does."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)  # it ended before the line above
    for which, soft, hard in (
        (resource.RLIMIT_AS, MEMORY_BYTES, MEMORY_BYTES),
        (resource.RLIMIT_CPU, 1, 2),
        (resource.RLIMIT_FSIZE, 0, 0),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_NPROC, 0, 0),
        (resource.RLIMIT_NOFILE, 1, 1),  # the parent's; so not even /proc can be read
    ):
        with contextlib.suppress(OSError, ValueError):  # a lower limit stands already
            resource.setrlimit(which, (soft, hard))
