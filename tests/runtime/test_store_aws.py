import gzip
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from controlplane.runtime.canonical import digest
from controlplane.runtime.errors import StoreError, StoreUnavailable
from controlplane.runtime.stores import (
    ObjectMismatchError,
    ObjectTooLargeError,
    PointerUnreadableError,
)
from controlplane.runtime.stores.aws import AwsStore
from controlplane.runtime.stores.base import SwitchesUnreadableError
from controlplane.runtime.stores.build import store_from_environment
from controlplane.runtime.stores.file import FileStore
from tests.runtime.emulator import emulator, hooked, make_store, reply_lost, throttled, unprocessed
from tests.runtime.store_contract import BODY, DATA, StoreContract, pointer

MANY: dict[str, bytes | None] = {f"model/M{number}": b"{}" for number in range(60)}


@pytest.fixture(scope="session")
def aws_url() -> Iterator[str]:
    with emulator() as url:
        yield url


@pytest.fixture
def bucket() -> str:
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def store(aws_url: str, bucket: str) -> AwsStore:
    store = make_store(aws_url, bucket)
    store.ensure()
    return store


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits between two tries: how often there is one is what the tests are about."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    monkeypatch.setattr("controlplane.runtime.stores.batches._LONGEST_WAIT", 0.001)


class TestAwsStore(StoreContract):
    pass


def test_preparing_twice_is_fine(store: AwsStore) -> None:
    store.move_pointer(pointer(1))
    store.ensure()
    assert store.read_pointer("production") == pointer(1)


def test_a_table_that_is_not_there_yet_holds_no_pointer(aws_url: str) -> None:
    assert make_store(aws_url, "not-yet").read_pointer("production") is None


def test_items_that_somebody_else_put_there_hide_none_of_ours(store: AwsStore, bucket: str) -> None:
    store.write_heartbeat("production", "host:1:a", b"{}", seconds=60)
    store.write_entries("production", 1, {"model/M": b"{}"})
    places = {
        "production#heartbeat": "host:2:b",
        "production#switches": "switches",
        "production#model/M": f"{2:012d}",
    }
    for pk, sk in places.items():
        item: Any = {"pk": {"S": pk}, "sk": {"S": sk}, "document": {"N": "7"}, "expires": {"N": "9999999999"}}
        store.dynamodb.put_item(TableName=bucket, Item=item)

    assert store.read_heartbeats("production") == {"host:1:a": b"{}"}
    assert store.read_entry("production", "model/M", at=2) is None
    with pytest.raises(SwitchesUnreadableError):
        store.read_switches("production")
    assert store.write_switches("production", b"{}", version=1)
    assert store.read_switches("production") == b"{}"


def test_a_table_that_is_not_there_yet_holds_no_switches_and_no_heartbeats(aws_url: str) -> None:
    store = make_store(aws_url, "not-yet")
    assert store.read_switches("production") is None
    assert store.read_heartbeats("production") == {}


def test_the_table_is_told_to_drop_what_has_expired(store: AwsStore, bucket: str) -> None:
    described = store.dynamodb.describe_time_to_live(TableName=bucket)["TimeToLiveDescription"]
    assert described == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}


def test_a_publisher_that_may_not_set_the_expiry_publishes_all_the_same(
    store: AwsStore, caplog: pytest.LogCaptureFixture
) -> None:
    with throttled(store.dynamodb, "DescribeTimeToLive", times=1, error="AccessDeniedException"):
        store.ensure()
    assert "will not drop old heartbeats" in caplog.text


def test_switches_whose_reply_was_lost_are_thrown(store: AwsStore) -> None:
    with reply_lost(store.dynamodb, "dynamodb", "PutItem") as lost:
        assert store.write_switches("production", b"stop", version=1)
    assert lost
    assert store.read_switches("production") == b"stop"


def test_a_bucket_that_is_not_there_is_an_error(aws_url: str) -> None:
    with pytest.raises(StoreError, match="NoSuchBucket"):
        make_store(aws_url, "not-yet").read_snapshot("production", digest(DATA), limit=1000)


def test_a_bucket_is_made_in_its_own_region(aws_url: str, bucket: str) -> None:
    store = AwsStore(
        table=bucket,
        bucket=bucket,
        endpoint_url=aws_url,
        region="eu-central-1",
        credentials=("local", "local"),
    )
    store.ensure()
    assert store.s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] == "eu-central-1"


def test_objects_and_items_lie_where_the_documentation_says(store: AwsStore, bucket: str) -> None:
    store.write_snapshot("production", digest(DATA), DATA)
    store.write_prompt(digest(BODY.encode()), BODY)
    store.write_entries("production", 7, {"tier/free": b'{"name":"Free"}'})
    store.move_pointer(pointer(7))
    assert {item["Key"] for item in store.s3.list_objects_v2(Bucket=bucket)["Contents"]} == {
        f"controlplane/production/snapshots/{digest(DATA)}.json.gz",
        f"controlplane/prompts/{digest(BODY.encode())}.jinja",
    }
    assert {
        (item["pk"]["S"], item["sk"]["S"]) for item in store.dynamodb.scan(TableName=bucket)["Items"]
    } == {
        ("production#tier/free", "000000000007"),
        ("production#pointer", "pointer"),
    }


@pytest.mark.usefixtures("hurried")
def test_throttled_reads_and_writes_come_through(store: AwsStore) -> None:
    with throttled(store.dynamodb, "PutItem", times=2) as asked:
        assert store.move_pointer(pointer(1))
    with throttled(store.dynamodb, "GetItem", times=2):
        assert store.read_pointer("production") == pointer(1)
    assert len(asked) == 3


@pytest.mark.usefixtures("hurried")
def test_a_store_that_stays_throttled_is_unavailable_after_a_bounded_number_of_tries(store: AwsStore) -> None:
    with throttled(store.dynamodb, "GetItem", times=100) as asked, pytest.raises(StoreUnavailable):
        store.read_pointer("production")
    assert len(asked) == 3


@pytest.mark.usefixtures("hurried")
def test_unprocessed_items_are_written_after_all(store: AwsStore) -> None:
    with unprocessed(store.dynamodb, times=4) as held:
        store.write_entries("production", 1, MANY)
    assert len(held) == 4
    assert all(store.read_entry("production", key, at=1) == b"{}" for key in MANY)


def test_items_that_stay_unprocessed_are_an_error_and_never_a_silent_loss(
    store: AwsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controlplane.runtime.stores.batches._LONGEST_WAIT", 0.001)
    with unprocessed(store.dynamodb, times=100), pytest.raises(StoreUnavailable, match="unwritten"):
        store.write_entries("production", 1, {"model/M": b"{}"})


def test_a_pointer_whose_reply_was_lost_is_a_win_and_not_a_defeat(store: AwsStore) -> None:
    with reply_lost(store.dynamodb, "dynamodb", "PutItem") as lost:
        assert store.move_pointer(pointer(1))
    assert lost
    assert store.read_pointer("production") == pointer(1)


def test_a_snapshot_whose_reply_was_lost_is_written(store: AwsStore) -> None:
    with reply_lost(store.s3, "s3", "PutObject") as lost:
        store.write_snapshot("production", digest(DATA), DATA)
    assert lost
    assert store.read_snapshot("production", digest(DATA), limit=1000) == DATA


@pytest.mark.usefixtures("hurried")
def test_entries_whose_reply_was_lost_are_written(store: AwsStore) -> None:
    with reply_lost(store.dynamodb, "dynamodb", "BatchWriteItem") as lost:
        store.write_entries("production", 1, MANY)
    assert lost
    assert all(store.read_entry("production", key, at=1) == b"{}" for key in MANY)


def test_a_late_older_writer_whose_replies_are_all_lost_changes_nothing(store: AwsStore) -> None:
    store.move_pointer(pointer(5, "new"))
    with reply_lost(store.dynamodb, "dynamodb", "PutItem", times=9), pytest.raises(StoreUnavailable):
        store.move_pointer(pointer(4, "old"))
    assert store.read_pointer("production") == pointer(5, "new")


@pytest.mark.usefixtures("hurried")
def test_an_unreachable_store_is_unavailable() -> None:
    store = make_store("http://127.0.0.1:9", "nothing-listens-here")
    with pytest.raises(StoreUnavailable):
        store.read_pointer("production")
    with pytest.raises(StoreUnavailable):
        store.ensure()


def test_a_document_too_large_for_an_item_stops_the_release_before_anything_is_written(
    store: AwsStore,
) -> None:
    documents = {"model/A": b"{}", "model/B": b'"' + b"x" * 500_000 + b'"'}
    with pytest.raises(ObjectTooLargeError, match="model/B"):
        store.write_entries("production", 1, documents)
    assert store.read_entry("production", "model/A", at=1) is None


def test_damaged_objects_are_refused_and_healed_by_the_next_write(store: AwsStore, bucket: str) -> None:
    store.write_snapshot("production", digest(DATA), DATA)
    store.write_prompt(digest(BODY.encode()), BODY)
    replace_every_object(store, bucket, b"rubbish")
    with pytest.raises(ObjectMismatchError):
        store.read_snapshot("production", digest(DATA), limit=1000)
    with pytest.raises(ObjectMismatchError):
        store.read_prompt(digest(BODY.encode()))
    store.write_snapshot("production", digest(DATA), DATA)
    store.write_prompt(digest(BODY.encode()), BODY)
    assert store.read_snapshot("production", digest(DATA), limit=1000) == DATA
    assert store.read_prompt(digest(BODY.encode())) == BODY


def test_a_gzip_bomb_and_an_endless_object_stop_at_the_limit(store: AwsStore, bucket: str) -> None:
    store.write_snapshot("production", digest(DATA), DATA)
    for content in (gzip.compress(b"0" * 20_000_000), os.urandom(200_000)):
        replace_every_object(store, bucket, content)
        with pytest.raises(ObjectTooLargeError):
            store.read_snapshot("production", digest(DATA), limit=1000)


def test_a_pointer_item_of_another_shape_is_an_error_and_not_an_absence(store: AwsStore) -> None:
    store.move_pointer(pointer(1))

    def spoil(parsed: dict[str, Any], **_: Any) -> None:
        parsed["Item"].pop("sha256")

    with (
        hooked(store.dynamodb, "after-call.dynamodb.GetItem", spoil),
        pytest.raises(PointerUnreadableError, match="sha256"),
    ):
        store.read_pointer("production")


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_child_reads_over_connections_of_its_own(store: AwsStore) -> None:
    store.move_pointer(pointer(1))
    child = os.fork()
    if child == 0:
        os._exit(0 if store.read_pointer("production") == pointer(1) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.read_pointer("production") == pointer(1)


def test_a_process_is_told_its_store_by_the_environment(aws_url: str, bucket: str, tmp_path: Path) -> None:
    assert isinstance(store_from_environment({"CONTROLPLANE_STORE_DIRECTORY": str(tmp_path)}), FileStore)
    environ = {"AWS_ENDPOINT_URL": aws_url, "CONTROLPLANE_TABLE": bucket, "CONTROLPLANE_BUCKET": bucket}
    store = store_from_environment(environ)
    assert isinstance(store, AwsStore)
    store.ensure()
    assert store.move_pointer(pointer(1))


def replace_every_object(store: AwsStore, bucket: str, content: bytes) -> None:
    for item in store.s3.list_objects_v2(Bucket=bucket)["Contents"]:
        store.s3.put_object(Bucket=bucket, Key=item["Key"], Body=content)
