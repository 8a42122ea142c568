"""How much work a run does: all of it, or just enough to see that every benchmark runs."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """Sizes and repetitions of one run."""

    sizes: tuple[int, ...]
    """Configurations of the releases that look-ups are measured on."""
    large: int
    """Configurations of the release that is loaded."""
    published: tuple[int, int]
    """Configurations of the two environments that one key is published on."""
    calls: int
    """Calls of a batch."""
    rounds: int
    """Batches of each side."""
    loads: int
    """Rounds of what takes long: loading, publishing, starting an interpreter."""
    arrivals: int
    """Releases whose way into a running process is timed; each takes some seconds."""
    poll_seconds: float
    """How often that process looks for one."""
    events: int
    """Events of the record that changes are looked for in."""
    exported: int
    """How many of them are taken along."""


FULL = Effort(
    sizes=(10, 1_000, 10_000),
    large=10_000,
    published=(16, 5_000),
    calls=2_000,
    rounds=21,
    loads=4,
    arrivals=12,
    poll_seconds=5.0,
    events=5_000_000,
    exported=1_000_000,
)
QUICK = Effort(
    sizes=(10, 20),
    large=20,
    published=(3, 6),
    calls=20,
    rounds=2,
    loads=2,
    arrivals=1,
    poll_seconds=0.2,
    events=300,
    exported=100,
)
