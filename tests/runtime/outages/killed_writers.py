"""Kills a writer of disk copies again and again, and counts what it leaves that is not whole.

    python killed_writers.py FOLDER TIMES < a pointer on a line, then its bytes

A process of its own: to fork cheaply and safely, it must be small and have one thread. Prints, as JSON, how many times there
was a copy that could not be served, how many times there was none, and how many temporary files a kill left at most.
"""

import itertools
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import msgspec

from controlplane.runtime import Pointer
from controlplane.runtime.acceptance import check_bytes
from controlplane.runtime.disk import DiskCopy
from controlplane.runtime.stores import ObjectMismatchError


def write_for_ever(disk: DiskCopy, pointer: Pointer, data: bytes) -> None:
    for turn in itertools.count(1):
        release = turn % 5 + 1
        disk.save(msgspec.structs.replace(pointer, release=release), data)
        if turn % 3 == 0:
            disk.promote(release)


def main(folder: Path, times: int) -> None:
    pointer = Pointer.from_json(sys.stdin.buffer.readline())
    data = sys.stdin.buffer.read()
    disk = DiskCopy(folder)
    disk.save(pointer, data)
    corrupt = none = leftovers = 0
    for _ in range(times):
        child = os.fork()
        if child == 0:
            write_for_ever(disk, pointer, data)
        time.sleep(random.uniform(0.001, 0.012))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        copies = list(disk.copies())
        none += not copies
        files = [path for path in folder.iterdir() if path.suffix != ".tmp"]
        corrupt += len(files) - len(copies)
        for copy in copies:
            try:
                check_bytes(copy.pointer, copy.data)
            except ObjectMismatchError:
                corrupt += 1
        leftovers = max(leftovers, sum(path.suffix == ".tmp" for path in folder.iterdir()))
    print(json.dumps({"corrupt": corrupt, "none": none, "leftovers": leftovers}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
