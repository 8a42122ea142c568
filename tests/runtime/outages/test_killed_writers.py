import json
import subprocess
import sys
from pathlib import Path

from tests.runtime.faults import pointer_to
from tests.runtime.serving import GOOD

KILLS = 500


def test_writers_killed_at_any_moment_leave_only_whole_copies(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("killed_writers.py")), str(tmp_path), str(KILLS)],
        input=pointer_to(GOOD, 5).to_json() + b"\n" + GOOD,
        stdout=subprocess.PIPE,
        check=True,
        cwd=Path(__file__).parents[3],
        env={"PYTHONPATH": str(Path(__file__).parents[3])},
    )
    said = json.loads(found.stdout)
    assert (said["corrupt"], said["none"]) == (0, 0)
    assert said["leftovers"] > 0, "or no writer was killed while it wrote"
