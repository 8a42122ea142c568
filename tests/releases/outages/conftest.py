import uuid
from collections.abc import Iterator

import pytest

from controlplane.runtime.stores.aws import AwsStore
from tests.releases.outages.ministack import ministack
from tests.runtime.emulator import make_store


@pytest.fixture(scope="session")
def ministack_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ministack(tmp_path_factory.mktemp("ministack")) as url:
        yield url


@pytest.fixture
def name() -> str:
    """Of a table and a bucket that no other test has."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def store(ministack_url: str, name: str) -> Iterator[AwsStore]:
    store = make_store(ministack_url, name)
    store.ensure()
    yield store
    store.dynamodb.close()
    store.s3.close()
