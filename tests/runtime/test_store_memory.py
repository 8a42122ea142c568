import pytest

from controlplane.runtime.stores.memory import MemoryStore
from tests.runtime.store_contract import StoreContract


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()
