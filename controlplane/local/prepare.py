"""Migrations, first data and the signing key in one process: most of what each takes is importing the same libraries.

Its last line is the JSON of `first-data`.
"""

import os
from pathlib import Path

from controlplane.local import keys
from controlplane.web.cli import cli

if __name__ == "__main__":
    keys.ensure(Path(os.environ["CONTROLPLANE_HOME"]), os.environ)
    for command in ("migrate", "first-data"):
        cli([command], standalone_mode=False)
