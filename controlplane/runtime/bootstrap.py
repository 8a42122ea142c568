"""A release as one file, to be shipped with an application: what it serves where it never reached a store.

    python -m controlplane.runtime.bootstrap production > bootstrap.release

The file is checked like any release when it is read. It is read only where neither the store nor the disk has one; made
anew with every build, it is never far behind.
"""

import os
import sys
from collections.abc import Mapping

from controlplane.runtime.acceptance import PointerRefused, accept, check_pointer
from controlplane.runtime.disk import to_bytes
from controlplane.runtime.errors import ControlPlaneRuntimeError
from controlplane.runtime.signing import Verifier
from controlplane.runtime.stores.base import ReleaseStore, check_environment
from controlplane.runtime.stores.build import store_from_environment


def make_bundle(store: ReleaseStore, environment: str, *, verifier: Verifier | None = None) -> bytes:
    """The live release of an environment as the bytes of a bundle; raises what a client would refuse it for."""
    pointer = store.read_pointer(environment)
    if pointer is None:
        raise PointerRefused(f"the store has no release of {environment}")
    (verifier or Verifier()).verify(pointer)
    check_pointer(pointer, environment=environment, current=None)
    data = store.read_snapshot(environment, pointer.sha256, limit=pointer.size)
    accept(pointer, data)
    return to_bytes(pointer, data)


def main(arguments: list[str], environ: Mapping[str, str]) -> bytes:
    """The bundle that a command line asks for; ends the program with a line for a person when there is none."""
    if len(arguments) != 1:
        sys.exit("usage: python -m controlplane.runtime.bootstrap ENVIRONMENT > FILE")
    try:
        verifier = Verifier.from_environment(environ)
        return make_bundle(
            store_from_environment(environ), check_environment(arguments[0]), verifier=verifier
        )
    except (ControlPlaneRuntimeError, ValueError) as problem:
        sys.exit(str(problem))


if __name__ == "__main__":
    sys.stdout.buffer.write(main(sys.argv[1:], os.environ))
