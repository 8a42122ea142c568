"""What an application pays once, when it starts: `import controlplane.runtime` in a fresh interpreter.

Floor: importing the two libraries that it stands on. Processor time, measured inside the interpreter that imports, with
compiled files in place. Limit: at most 120 ms.
"""

import subprocess
import sys
from pathlib import Path

from bench.effort import Effort
from bench.figures import Figure, Limit
from bench.timing import in_turns

_ROOT = Path(__file__).resolve().parent.parent
_LIMIT = Limit(120, of="here")


def run(effort: Effort) -> list[Figure]:
    """Measure."""
    pair = in_turns(
        lambda: _import("controlplane.runtime"), lambda: _import("jinja2, msgspec"), rounds=effort.loads
    )
    name = "import controlplane.runtime (floor: jinja2, msgspec)"
    return [Figure(name, pair.subject / 1e6, "ms", pair.floor / 1e6, pair.ratio, _LIMIT)]


def _import(names: str) -> float:
    """Return the nanoseconds of an import in an interpreter that imported nothing before."""
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import time; began = time.process_time_ns(); import {names}; print(time.process_time_ns() - began)",
        ],
        cwd=_ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return int(told.stdout)
