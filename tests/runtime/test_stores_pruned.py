import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane.runtime.errors import StoreError
from controlplane.runtime.stores.aws import AwsStore
from controlplane.runtime.stores.file import FileStore
from controlplane.runtime.stores.memory import MemoryStore
from tests.runtime.decision_contract import HOUR, DecisionContract
from tests.runtime.emulator import emulator, hooked, make_store
from tests.runtime.prunable_contract import EvidenceContract, PrunableContract


@pytest.fixture(scope="module")
def aws_url() -> Iterator[str]:
    with emulator() as url:
        yield url


@pytest.fixture
def aws_store(aws_url: str) -> AwsStore:
    store = make_store(aws_url, f"test-{uuid.uuid4().hex[:12]}")
    store.ensure()
    return store


class TestMemoryStorePruned(PrunableContract, EvidenceContract, DecisionContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()


class TestFileStorePruned(PrunableContract, EvidenceContract, DecisionContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> FileStore:
        return FileStore(tmp_path / "releases")

    def test_hours_that_are_over_leave_no_folders(self, store: FileStore, tmp_path: Path) -> None:
        store.write_decisions("production", HOUR, "one", b"")
        store.delete_decisions("production", HOUR, ["one"])
        assert [*(tmp_path / "releases" / "production" / "decisions").glob("*")] == []


class TestAwsStorePruned(PrunableContract, EvidenceContract, DecisionContract):
    @pytest.fixture
    def store(self, aws_store: AwsStore) -> AwsStore:
        return aws_store


def test_a_table_that_is_not_there_yet_holds_nothing_to_list(aws_url: str) -> None:
    store = make_store(aws_url, "not-yet")
    assert (store.list_environments(), list(store.list_entries("production"))) == ([], [])
    assert (
        list(store.list_decisions("production", HOUR)) == list(store.list_decision_hours("production")) == []
    )


def test_an_object_that_s3_did_not_delete_is_an_error_and_not_an_absence(aws_store: AwsStore) -> None:
    def refuse(parsed: dict[str, object], **_: object) -> None:
        parsed["Errors"] = [{"Key": "one", "Code": "AccessDenied"}]

    with (
        hooked(aws_store.s3, "after-call.s3.DeleteObjects", refuse),
        pytest.raises(StoreError, match="AccessDenied"),
    ):
        aws_store.delete_prompts(["0" * 64])


def test_entries_written_before_their_keys_were_noted_are_listed_once_they_are_written_again(
    tmp_path: Path,
) -> None:
    store = FileStore(tmp_path)
    store.write_entries("production", 1, {"tier/free": b"{}"})
    (noted,) = tmp_path.rglob("key.txt")
    noted.unlink()
    assert list(store.list_entries("production")) == []
    store.write_entries("production", 2, {"tier/free": b"{}"})
    assert {found.release for found in store.list_entries("production")} == {1, 2}
