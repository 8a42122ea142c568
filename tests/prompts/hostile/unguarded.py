"""Plain Jinja, each text in a child of its own: what hostile texts do where nothing holds them but the system.

Run as a program: texts by name as JSON on the standard input, what became of each as JSON on the standard output.
"""

import json
import os
import resource
import signal
import sys

import jinja2

# A third of what an author's text may take on the site, so that the control does not cost more than the suite.
CPU_SECONDS = 0.3
MEMORY_BYTES = 512 * 1024 * 1024


def outcome(source: str) -> str:
    """Return "slow", "memory" or "died", or the text it came to, or the error."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
            os.write(writer, _rendered(source)[:60_000].encode(errors="replace"))
        finally:
            os._exit(0)
    os.close(writer)
    said = b"".join(iter(lambda: os.read(reader, 1 << 16), b"")).decode()
    os.close(reader)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return "slow" if code == -signal.SIGPROF else "died" if code else said


def _rendered(source: str) -> str:
    try:
        return jinja2.Environment(autoescape=False).from_string(source).render(name="Ana", goal="Sleep")
    except MemoryError:
        return "memory"
    except (Exception, RecursionError) as error:
        return f"error: {type(error).__name__}"


if __name__ == "__main__":
    json.dump({name: outcome(source) for name, source in json.load(sys.stdin).items()}, sys.stdout)
