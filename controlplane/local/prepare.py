"""Migrations and first data in one process: most of what either takes is importing the same libraries.

Its last line is the JSON of `first-data`.
"""

from controlplane.web.cli import cli

if __name__ == "__main__":
    for command in ("migrate", "first-data"):
        cli([command], standalone_mode=False)
