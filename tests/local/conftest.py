import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def closed_to_nobody() -> Iterator[Path]:
    """A directory that every account may enter. Pytest's own is closed, which for root is a special case."""
    with tempfile.TemporaryDirectory(prefix="controlplane-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)
