"""DynamoDB and S3 with real atomicity: ministack, installed once into an environment of its own, and run for a test.

It pins botocore, so it cannot live among our own packages. Where `uv` is to be found is where `./run` finds it; without
uv, a Python with `venv` and pip does. What cannot be installed or started is an error: a suite that skips proves nothing.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from controlplane.local.ports import HOST, any_free

REQUIREMENT = "ministack==1.5.33"
_PROJECT = Path(__file__).resolve().parents[3]
_TRIES = 3
_SECONDS_TO_START = 60


@contextmanager
def ministack(folder: Path) -> Iterator[str]:
    """The address of a ministack that lives as long as the block; what it says goes to a file in `folder`."""
    program = installed()
    for attempt in range(_TRIES):  # the port may be somebody else's by the time it is asked for
        port = any_free()
        with (folder / f"ministack-{attempt}.log").open("wb") as log:
            process = subprocess.Popen(
                [program], env=_environment(port, folder), stdout=log, stderr=subprocess.STDOUT, cwd=folder
            )
        with process:
            try:
                if _answers(process, port):
                    yield f"http://{HOST}:{port}"
                    return
            finally:
                process.kill()
    logs = "\n".join(path.read_text(errors="replace")[-2000:] for path in folder.glob("ministack-*.log"))
    raise RuntimeError(f"{REQUIREMENT} did not start:\n{logs}")


def installed() -> Path:
    """The program, installed now if it was not yet. Several processes may ask at once: one installs."""
    tools = Path(os.environ.get("CONTROLPLANE_HOME") or _PROJECT / ".local") / "tools"
    tools.mkdir(parents=True, exist_ok=True)
    home = tools / REQUIREMENT.replace("==", "-")
    with (tools / "ministack.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "installed").exists():
            shutil.rmtree(home, ignore_errors=True)
            _install(home, tools)
            (home / "installed").touch()
    return home / "bin" / "ministack"


def _install(home: Path, tools: Path) -> None:
    python = str(home / "bin" / "python")
    places = ("uv", str(tools / "venv/bin/uv"), str(tools / "lib/bin/uv"))
    uv = next((found for place in places if (found := shutil.which(place))), None)
    if uv is not None:
        _run(uv, "venv", "--quiet", "--python", sys.executable, str(home))
        _run(uv, "pip", "install", "--quiet", "--python", python, REQUIREMENT)
    else:
        _run(sys.executable, "-m", "venv", str(home))
        _run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", REQUIREMENT)


def _run(*command: str) -> None:
    # As `./run` does: behind a company's proxy no other certificates are good.
    done = subprocess.run(
        command, env={**os.environ, "UV_SYSTEM_CERTS": "1"}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{REQUIREMENT} could not be installed ({' '.join(command)}):\n{done.stderr}")


def _environment(port: int, folder: Path) -> dict[str, str]:
    """What it is told: this machine's own address alone, and nothing kept from a run before."""
    return {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(folder),
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "LOG_LEVEL": "WARNING",
    }


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    for _ in range(_SECONDS_TO_START * 10):
        if process.poll() is not None:
            return False
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/_ministack/health", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    return False
