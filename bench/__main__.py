"""Runs benchmarks and prints their figures: all of them, or those named."""

import argparse
import os
import platform
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from bench import (
    arrival,
    changes,
    guards,
    imports,
    lookup,
    metrics,
    preview,
    publish,
    recording,
    render,
    resolve,
    snapshot,
    threads,
)
from bench.effort import FULL, QUICK
from bench.figures import table

BENCHMARKS = {
    "resolve": resolve,
    "threads": threads,
    "render": render,
    "preview": preview,
    "snapshot": snapshot,
    "lookup": lookup,
    "metrics": metrics,
    "recording": recording,
    "imports": imports,
    "publish": publish,
    "arrival": arrival,
    "changes": changes,
    "guards": guards,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; the exit status says nothing about limits, because a busy machine breaks some."""
    asked = _parse(arguments)
    if asked.list:
        print("\n".join(f"{name:10}{_subject(name)}" for name in BENCHMARKS))
        return 0
    print(f"{facts()}\n")
    for name in dict.fromkeys(asked.names or BENCHMARKS):
        began = time.perf_counter()
        figures = BENCHMARKS[name].run(QUICK if asked.quick else FULL)
        print(f"{name}: {_subject(name)}\n{table(figures)}")
        print(f"({time.perf_counter() - began:.0f} s)\n", flush=True)
    return 0


def facts() -> str:
    """Return what the figures depend on."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{_processor()}, {os.cpu_count()} cores, load {load}; {platform.system()}; "
        f"{platform.python_implementation()} {platform.python_version()}; "
        f"jinja2 {version('jinja2')}, msgspec {version('msgspec')}, xxhash {version('xxhash')}"
    )


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(BENCHMARKS))
    parser.add_argument("--quick", action="store_true", help="tiny sizes: to see that everything runs")
    parser.add_argument("--list", action="store_true", help="say what each measures")
    asked = parser.parse_args(arguments)
    unknown = [name for name in asked.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    return asked


def _subject(name: str) -> str:
    return (BENCHMARKS[name].__doc__ or "").partition("\n")[0]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next(
        (line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine()
    )


if __name__ == "__main__":
    raise SystemExit(main())
