"""The emulator over HTTP, asked by the real boto3 from several threads at once."""

import http.client
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from controlplane.local import ports, processes
from controlplane.local.aws import HEALTH_PATH, OneAtATime
from controlplane.local.children import answers

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

THREADS = 8
KEYS = [f"key-{number}" for number in range(5)]


def test_one_of_eight_creators_of_an_object_wins(s3: "S3Client") -> None:
    s3.create_bucket(Bucket="race")

    def create(number: int, key: str) -> object:
        return s3.put_object(Bucket="race", Key=key, Body=b"%d" % number, IfNoneMatch="*")

    for key in KEYS:
        winners = _race(partial(create, key=key))
        assert [int(s3.get_object(Bucket="race", Key=key)["Body"].read())] == winners


def test_one_of_eight_conditional_writes_of_an_item_wins(dynamodb: "DynamoDBClient", table: str) -> None:
    def write(number: int, key: str) -> object:
        return dynamodb.put_item(
            TableName=table,
            Item={"pk": {"S": key}, "by": {"N": str(number)}},
            ConditionExpression="attribute_not_exists(pk)",
        )

    for key in KEYS:
        winners = _race(partial(write, key=key))
        item = dynamodb.get_item(TableName=table, Key={"pk": {"S": key}}, ConsistentRead=True)["Item"]
        assert [int(item["by"]["N"])] == winners


def test_a_query_finds_what_is_in_its_partition_and_an_index_what_is_in_any(
    dynamodb: "DynamoDBClient",
) -> None:
    keys: Any = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
    by_sk: Any = {
        "IndexName": "by-sk",
        "KeySchema": [{"AttributeName": "sk", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    kinds: Any = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")]
    common: Any = {"KeySchema": keys, "AttributeDefinitions": kinds, "BillingMode": "PAY_PER_REQUEST"}
    dynamodb.create_table(TableName="plain", **common)
    dynamodb.create_table(TableName="indexed", GlobalSecondaryIndexes=[by_sk], **common)

    def found(table: str, condition: str, **more: Any) -> list[tuple[str, str]]:
        values = {f":{name}": {"S": "b"} for name in ("pk", "sk") if f":{name}" in condition}
        answer = dynamodb.query(
            TableName=table, KeyConditionExpression=condition, ExpressionAttributeValues=values, **more
        )
        return [(item["pk"]["S"], item["sk"]["S"]) for item in answer["Items"]]

    for table in ("plain", "indexed"):
        assert found(table, "pk = :pk") == []
        for pk in "abc":
            for sk in "abc":
                dynamodb.put_item(TableName=table, Item={"pk": {"S": pk}, "sk": {"S": sk}})
        assert found(table, "pk = :pk AND sk <= :sk", ScanIndexForward=False) == [("b", "b"), ("b", "a")]
        assert len(dynamodb.scan(TableName=table)["Items"]) == 9
    assert found("indexed", "sk = :sk", IndexName="by-sk") == [("a", "b"), ("b", "b"), ("c", "b")]


def test_no_increment_of_eight_at_once_is_lost(dynamodb: "DynamoDBClient", table: str) -> None:
    def add(_number: int) -> object:
        return dynamodb.update_item(
            TableName=table,
            Key={"pk": {"S": "counter"}},
            UpdateExpression="ADD n :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )

    for _ in KEYS:
        _race(add)

    item = dynamodb.get_item(TableName=table, Key={"pk": {"S": "counter"}}, ConsistentRead=True)["Item"]
    assert item["n"] == {"N": str(len(KEYS) * THREADS)}


def test_a_request_is_alone_from_its_first_byte_to_the_last_of_the_answer() -> None:
    inside, most = 0, 0

    def application(_environ: object, _start_response: object) -> Iterator[bytes]:
        nonlocal inside, most
        inside += 1
        for part in (b"first", b"last"):
            most = max(most, inside)
            time.sleep(0.001)  # an invitation to the other threads
            yield part
        inside -= 1

    one_at_a_time = OneAtATime(application)
    with ThreadPoolExecutor(THREADS) as pool:
        bodies = list(pool.map(lambda _: one_at_a_time({"PATH_INFO": "/"}, _unused), range(5 * THREADS)))

    assert bodies == [[b"first", b"last"]] * 5 * THREADS
    assert most == 1


def test_an_empty_object_is_an_object(s3: "S3Client") -> None:
    s3.create_bucket(Bucket="empty")
    s3.put_object(Bucket="empty", Key="nothing", Body=b"")

    assert s3.get_object(Bucket="empty", Key="nothing")["Body"].read() == b""


def test_a_slow_sender_keeps_nobody_waiting(emulator: int, s3: "S3Client") -> None:
    slow = http.client.HTTPConnection("127.0.0.1", emulator)
    slow.putrequest("PUT", "/slow/object")
    slow.putheader("Content-Length", "1000")
    slow.endheaders(b"not yet all of it")
    try:
        assert "Buckets" in s3.list_buckets()
    finally:
        slow.close()


def test_requests_leave_no_line_and_the_end_is_quick() -> None:
    port = ports.any_free()
    process = subprocess.Popen(
        [sys.executable, "-m", "controlplane.local.aws", "--port", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        assert processes.wait_until(lambda: answers(f"http://127.0.0.1:{port}{HEALTH_PATH}"), 30)
        _client("s3", port).list_buckets()
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, said) == (0, b"")


def test_evidence_and_nothing_else_stays_over_a_kill(tmp_path: Path) -> None:
    key = "releases/_audit/daily/2026-11-28.json"
    for first in (True, False):
        port = ports.any_free()
        process = subprocess.Popen(
            [sys.executable, "-m", "controlplane.local.aws", "--port", str(port), "--keep", str(tmp_path)]
        )
        try:
            assert processes.wait_until(partial(answers, f"http://127.0.0.1:{port}{HEALTH_PATH}"), 30)
            s3 = _client("s3", port)
            if first:
                s3.create_bucket(Bucket="kept")
                for name in (key, "releases/_audit/gone.json", "releases/1.json"):
                    s3.put_object(Bucket="kept", Key=name, Body=b"\x00an anchor", IfNoneMatch="*")
                s3.delete_object(Bucket="kept", Key="releases/_audit/gone.json")
            else:
                assert [each["Key"] for each in s3.list_objects_v2(Bucket="kept")["Contents"]] == [key]
                assert s3.get_object(Bucket="kept", Key=key)["Body"].read() == b"\x00an anchor"
                with pytest.raises(ClientError, match="PreconditionFailed"):
                    s3.put_object(Bucket="kept", Key=key, Body=b"another", IfNoneMatch="*")
            s3.close()
        finally:
            process.kill()
            process.wait()


def _unused(*_arguments: object) -> Callable[[bytes], object]:
    raise AssertionError("the application above answers without it")


def _race(write: Callable[[int], object]) -> list[int]:
    """Let all threads write at the same moment; returns the numbers of those who were not refused."""
    start = Barrier(THREADS)

    def attempt(number: int) -> bool:
        start.wait()
        try:
            write(number)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] not in {400, 412}:
                raise
            return False
        return True

    with ThreadPoolExecutor(THREADS) as pool:
        return [number for number, won in enumerate(pool.map(attempt, range(THREADS))) if won]


@pytest.fixture(scope="module")
def emulator() -> Iterator[int]:
    port = ports.any_free()
    process = subprocess.Popen([sys.executable, "-m", "controlplane.local.aws", "--port", str(port)])
    assert processes.wait_until(lambda: answers(f"http://127.0.0.1:{port}{HEALTH_PATH}"), 30)
    yield port
    process.terminate()
    process.wait()


@pytest.fixture(scope="module")
def s3(emulator: int) -> "Iterator[S3Client]":
    client = _client("s3", emulator)
    yield client
    client.close()


@pytest.fixture(scope="module")
def dynamodb(emulator: int) -> "Iterator[DynamoDBClient]":
    client = _client("dynamodb", emulator)
    yield client
    client.close()


@pytest.fixture(scope="module")
def table(dynamodb: "DynamoDBClient") -> str:
    dynamodb.create_table(
        TableName="races",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return "races"


def _client(service: str, port: int) -> Any:
    make: Any = boto3.client  # its stubs want the service's name written out
    return make(
        service,
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(max_pool_connections=THREADS, retries={"total_max_attempts": 1}),
    )
