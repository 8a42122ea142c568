"""Starts aimock, which speaks like OpenAI and like Anthropic, and was written by neither of them nor by us.

It is installed once, from the lock file beside this module, into a cache outside of the tree.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
_MANIFESTS = ("package.json", "package-lock.json")


class AimockMissing(Exception):  # noqa: N818 - no error: the tests that need it are skipped with these words
    pass


class Aimock:
    def __init__(self, url: str) -> None:
        self.url = url

    def last_asked(self) -> dict[str, Any]:
        """The latest request as it arrived, from aimock's own records."""
        with urllib.request.urlopen(f"{self.url}/__aimock/journal") as answer:
            found: dict[str, Any] = json.load(answer)[-1]
        return found


@contextmanager
def aimock() -> Iterator[Aimock]:
    program = _installed() / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"
    command = ["node", str(program), "-p", "0", "-f", str(HERE / "aimock.json"), "--log-level", "info"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                found = re.search(r"listening on (http://127\.0\.0\.1:\d+)", line)
                if found:
                    break
            else:
                raise AssertionError("aimock ended before it listened")
            yield Aimock(found.group(1))
        finally:
            process.terminate()


def _installed() -> Path:
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise AimockMissing("aimock needs node and npm, which are not here")
    manifests = {name: (HERE / name).read_bytes() for name in _MANIFESTS}
    wanted = hashlib.sha256(b"".join(manifests.values())).hexdigest()[:16]
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "llm-controlplane"
    place = caches / f"fakes-{wanted}"
    if not place.exists():
        caches.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=caches) as folder:
            made = Path(folder) / "made"
            made.mkdir()
            for name, content in manifests.items():
                (made / name).write_bytes(content)
            _npm_ci(made)
            try:
                made.rename(place)
            except OSError:  # another process was faster
                if not place.exists():
                    raise
    return place


def _npm_ci(folder: Path) -> None:
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    except subprocess.TimeoutExpired:
        raise AimockMissing("aimock could not be installed within two minutes") from None
    if done.returncode:
        raise AimockMissing(
            f"aimock could not be installed: {done.stderr.strip().splitlines()[-1:] or 'no reason'}"
        )
