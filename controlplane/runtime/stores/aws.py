"""A release store in DynamoDB (pointer, entries, kill switches, heartbeats) and S3 (snapshots, prompts), for production.

    table    pk <environment>#pointer    sk pointer              the pointer's fields
             pk <environment>#<key>      sk <release, 12 digits> document, or gone
             pk <environment>#switches   sk switches             document, version
             pk <environment>#heartbeat  sk <process>            document, expires (the table's TTL attribute)
    bucket   <prefix>/<environment>/snapshots/<sha256>.json.gz
             <prefix>/prompts/<sha256>.jinja
             <prefix>/_audit/<name>
             <prefix>/<environment>/decisions/<date>/<hour>/<name>.ndjson.gz

boto3 is imported when a store is first used, never when this module is.
"""

import base64
import contextlib
import hashlib
import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from controlplane.runtime.canonical import digest
from controlplane.runtime.stores import aws_listing, base, decisions, evidence, items
from controlplane.runtime.stores.aws_errors import (
    BucketMissingError,
    ConditionFailedError,
    KeyMissingError,
    TableMissingError,
    code_of,
    failures,
    unless,
)
from controlplane.runtime.stores.batches import delete_all, write_all
from controlplane.runtime.stores.bodies import read_body
from controlplane.runtime.stores.packing import pack, packed_ceiling, unpack
from controlplane.runtime.stores.pruning import StoredEntry, StoredObject

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_s3.client import S3Client

_log = logging.getLogger(__name__)
_PROMPT_LIMIT = 1024 * 1024


class AwsStore:
    """A `PrunableStore`, `EvidenceStore` and `DecisionLog` on AWS, or on anything that speaks DynamoDB and S3 at `endpoint_url`.

        store = AwsStore(table="llm-controlplane", bucket="my-bucket", region="eu-central-1")
        store.ensure()   # publishers only: readers need no right to create anything

    `credentials` (key id, secret) is for emulators; without it boto3 looks where it always looks.
    """

    def __init__(
        self,
        *,
        table: str,
        bucket: str,
        prefix: str = "controlplane",
        endpoint_url: str | None = None,
        region: str = "us-east-1",
        credentials: tuple[str, str] | None = None,
    ) -> None:
        self._table = table
        self._bucket = bucket
        self._prefix = prefix.strip("/")
        self._endpoint_url = endpoint_url
        self._region = region
        self._credentials = credentials
        self._lock = threading.Lock()
        self._made_by: int | None = None
        self._made: tuple[DynamoDBClient, S3Client] | None = None

    def read_pointer(self, environment: str) -> base.Pointer | None:
        """See `ReleaseStore.read_pointer`. A table that is not there yet holds no pointer."""
        item = self._item(items.pointer_key(environment), "read the pointer")
        return None if item is None else base.Pointer.from_document(items.plain(item))

    def move_pointer(self, pointer: base.Pointer) -> bool:
        """See `ReleaseStore.move_pointer`."""
        try:
            condition = "attribute_not_exists(#release) OR #release < :release"
            self._put_pointer(pointer, condition, release=pointer.release)
        except ConditionFailedError:
            # Ours may be the write that won, its reply lost and the request repeated below us: look.
            return base.settle(self.read_pointer(pointer.environment), pointer) is True
        return True

    def replace_signature(self, pointer: base.Pointer) -> bool:
        """See `ReleaseStore.replace_signature`. A request that is repeated below us finds its condition met again."""
        try:
            condition = "#release = :release AND sha256 = :sha256"
            self._put_pointer(pointer, condition, release=pointer.release, sha256=pointer.sha256)
        except ConditionFailedError:
            return False
        return True

    def read_snapshot(self, environment: str, sha256: str, *, limit: int) -> bytes:
        """See `ReleaseStore.read_snapshot`."""
        return unpack(self._get(self._snapshot_key(environment, sha256), packed_ceiling(limit)), limit=limit)

    def write_snapshot(self, environment: str, sha256: str, data: bytes) -> None:
        """See `ReleaseStore.write_snapshot`."""
        base.check_content(sha256, data)
        key = self._snapshot_key(environment, sha256)
        if not self._create(key, pack(data), "application/gzip") and not base.holds(
            lambda: self.read_snapshot(environment, sha256, limit=len(data)), data
        ):
            self._put(key, pack(data), "application/gzip")

    def read_prompt(self, sha256: str) -> str:
        """See `ReleaseStore.read_prompt`."""
        data = self._get(self._prompt_key(sha256), _PROMPT_LIMIT)
        if digest(data) != sha256:
            raise base.ObjectMismatchError(f"prompt {sha256[:12]} is there with other bytes")
        return data.decode()

    def write_prompt(self, sha256: str, body: str) -> None:
        """See `ReleaseStore.write_prompt`."""
        data = body.encode()
        base.check_content(sha256, data)
        key, kind = self._prompt_key(sha256), "text/plain; charset=utf-8"
        if not self._create(key, data, kind) and not base.holds(lambda: self.read_prompt(sha256), body):
            self._put(key, data, kind)

    def write_entries(self, environment: str, release: int, documents: Mapping[str, bytes | None]) -> None:
        """See `ReleaseStore.write_entries`. Nothing is written when one document is too large for an item."""
        written = [
            {**items.item_key(environment, key, release), **items.content(key, document)}
            for key, document in documents.items()
        ]
        with failures("write entries"):
            write_all(self.dynamodb, self._table, written)

    def read_entry(self, environment: str, key: str, *, at: int) -> bytes | None:
        """See `ReleaseStore.read_entry`."""
        with failures("read an entry"):
            answer = self.dynamodb.query(
                TableName=self._table,
                KeyConditionExpression="pk = :pk AND sk <= :sk",
                ExpressionAttributeValues={
                    f":{name}": value for name, value in items.item_key(environment, key, at).items()
                },
                ScanIndexForward=False,
                Limit=1,
                ConsistentRead=True,
            )
        return next((items.kept_text(item) for item in answer["Items"]), None)

    def read_switches(self, environment: str) -> bytes | None:
        """See `ReleaseStore.read_switches`. A table that is not there yet holds none."""
        item = self._item(items.switches_key(environment), "read the kill switches")
        data = None if item is None else items.kept_bytes(item)
        if item is not None and data is None:
            raise base.SwitchesUnreadableError(
                f"the kill switches of {environment} are not kept as they must be"
            )
        return data

    def write_switches(self, environment: str, data: bytes, *, version: int) -> bool:
        """See `ReleaseStore.write_switches`."""
        key, attributes = items.switches_key(environment), items.switches(data, version)
        try:
            with failures("write the kill switches"):
                self.dynamodb.put_item(
                    TableName=self._table,
                    Item={**key, **attributes},
                    ConditionExpression="attribute_not_exists(#version) OR #version < :version",
                    ExpressionAttributeNames={"#version": "version"},
                    ExpressionAttributeValues={":version": attributes["version"]},
                )
        except ConditionFailedError:
            # As with the pointer: it may have been this very write, repeated.
            return self._item(key, "read the kill switches") == {**key, **attributes}
        return True

    def write_heartbeat(self, environment: str, process: str, data: bytes, *, seconds: int) -> None:
        """See `ReleaseStore.write_heartbeat`."""
        item = items.heartbeat(environment, process, data, seconds=seconds)
        with failures("write a heartbeat"):
            self.dynamodb.put_item(TableName=self._table, Item=item)

    def read_heartbeats(self, environment: str) -> dict[str, bytes]:
        """See `ReleaseStore.read_heartbeats`. The table takes days to drop what has expired, so this looks itself."""
        asked = items.heartbeats_since(environment, time.time())
        try:
            with failures("read the heartbeats"):
                pages = self.dynamodb.get_paginator("query").paginate(TableName=self._table, **asked)
                listed = (item for page in pages for item in page["Items"])
                found = list(islice(listed, base.HEARTBEATS_READ))
        except TableMissingError:
            return {}
        read = ((item["sk"]["S"], items.kept_bytes(item)) for item in found)
        return {process: data for process, data in read if data is not None}

    def list_environments(self) -> list[str]:
        """See `PrunableStore.list_environments`."""
        return aws_listing.environments(self.dynamodb, self._table)

    def list_snapshots(self, environment: str) -> Iterator[StoredObject]:
        """See `PrunableStore.list_snapshots`."""
        prefix = self._key(f"{base.check_environment(environment)}/snapshots/")
        return aws_listing.objects(self.s3, self._bucket, prefix, ".json.gz")

    def list_prompts(self) -> Iterator[StoredObject]:
        """See `PrunableStore.list_prompts`."""
        return aws_listing.objects(self.s3, self._bucket, self._key("prompts/"), ".jinja")

    def list_entries(self, environment: str) -> Iterator[StoredEntry]:
        """See `PrunableStore.list_entries`."""
        return aws_listing.entries(self.dynamodb, self._table, environment)

    def delete_snapshots(self, environment: str, names: Iterable[str]) -> None:
        """See `PrunableStore.delete_snapshots`."""
        keys = [self._snapshot_key(environment, name) for name in names]
        aws_listing.delete_objects(self.s3, self._bucket, keys)

    def delete_prompts(self, names: Iterable[str]) -> None:
        """See `PrunableStore.delete_prompts`."""
        aws_listing.delete_objects(self.s3, self._bucket, [self._prompt_key(name) for name in names])

    def delete_entries(self, environment: str, entries: Iterable[tuple[str, int]]) -> None:
        """See `PrunableStore.delete_entries`."""
        keys = [items.item_key(environment, key, release) for key, release in entries]
        with failures("delete entries"):
            delete_all(self.dynamodb, self._table, keys)

    def create_evidence(self, name: str, data: bytes) -> bool:
        """See `EvidenceStore.create_evidence`."""
        created = self._create(self._evidence_key(name), data, "application/octet-stream")
        return created or self.read_evidence(name, limit=len(data) + 1) == data

    def read_evidence(self, name: str, *, limit: int) -> bytes | None:
        """See `EvidenceStore.read_evidence`."""
        try:
            return self._get(self._evidence_key(name), limit)
        except base.ObjectMissingError:
            return None

    def list_evidence(self, folder: str) -> Iterator[str]:
        """See `EvidenceStore.list_evidence`."""
        top = self._key(f"{evidence.FOLDER}/")
        prefix = f"{self._evidence_key(folder)}/"
        return (key.removeprefix(top) for key in aws_listing.keys(self.s3, self._bucket, prefix))

    def write_decisions(self, environment: str, hour: datetime, name: str, packed: bytes) -> None:
        """See `DecisionLog.write_decisions`."""
        key = f"{self._decisions_prefix(environment, hour)}{decisions.check_batch(name)}{decisions.ENDING}"
        self._put(key, packed, "application/gzip")

    def list_decisions(self, environment: str, hour: datetime) -> Iterator[str]:
        """See `DecisionLog.list_decisions`. A bucket that is not there yet holds none."""
        prefix = self._decisions_prefix(environment, hour)
        with contextlib.suppress(BucketMissingError):
            for key in aws_listing.keys(self.s3, self._bucket, prefix):
                name = key.removeprefix(prefix).removesuffix(decisions.ENDING)
                if decisions.is_batch(name):
                    yield name

    def read_decisions(self, environment: str, hour: datetime, name: str, *, limit: int) -> bytes:
        """See `DecisionLog.read_decisions`."""
        key = f"{self._decisions_prefix(environment, hour)}{decisions.check_batch(name)}{decisions.ENDING}"
        return unpack(self._get(key, packed_ceiling(limit)), limit=limit)

    def list_decision_hours(self, environment: str) -> Iterator[datetime]:
        """See `DecisionLog.list_decision_hours`. A bucket that is not there yet holds none."""
        top = self._key(f"{base.check_environment(environment)}/{decisions.FOLDER}/")
        with contextlib.suppress(BucketMissingError):
            for day in aws_listing.folders(self.s3, self._bucket, top):
                for hour in aws_listing.folders(self.s3, self._bucket, f"{top}{day}/"):
                    found = decisions.hour_of(f"{day}/{hour}")
                    if found is not None:
                        yield found

    def delete_decisions(self, environment: str, hour: datetime, names: Iterable[str]) -> None:
        """See `DecisionLog.delete_decisions`."""
        prefix = self._decisions_prefix(environment, hour)
        keys = [f"{prefix}{decisions.check_batch(name)}{decisions.ENDING}" for name in names]
        aws_listing.delete_objects(self.s3, self._bucket, keys)

    def ensure(self) -> None:
        """Make the table (billed per request) and the bucket, where they are not there yet."""
        with failures("prepare the table and the bucket"):
            self._ensure_table()
            self._ensure_expiry()
            self._ensure_bucket()

    def _ensure_table(self) -> None:
        try:
            self.dynamodb.describe_table(TableName=self._table)
        except self.dynamodb.exceptions.ResourceNotFoundException:
            with unless("ResourceInUseException"):  # another worker was quicker
                self.dynamodb.create_table(
                    TableName=self._table,
                    BillingMode="PAY_PER_REQUEST",
                    **items.KEYS,
                )
        waiter = self.dynamodb.get_waiter("table_exists")
        waiter.wait(TableName=self._table, WaiterConfig={"Delay": 1, "MaxAttempts": 30})

    def _ensure_expiry(self) -> None:
        """Have the table drop the heartbeats of processes that are gone. Refused, it only grows: nobody reads them."""
        from botocore.exceptions import ClientError

        try:
            found = self.dynamodb.describe_time_to_live(TableName=self._table)
            if found["TimeToLiveDescription"].get("TimeToLiveStatus") in {"DISABLED", None}:
                specification: Any = {"Enabled": True, "AttributeName": "expires"}
                self.dynamodb.update_time_to_live(
                    TableName=self._table, TimeToLiveSpecification=specification
                )
        except ClientError as problem:
            _log.warning("the table %s will not drop old heartbeats: %s", self._table, code_of(problem))

    def _ensure_bucket(self) -> None:
        from botocore.exceptions import ClientError

        try:
            self.s3.head_bucket(Bucket=self._bucket)
        except ClientError as problem:
            if problem.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise
            with unless("BucketAlreadyOwnedByYou"):
                if self._region == "us-east-1":  # the one region that may not be named
                    self.s3.create_bucket(Bucket=self._bucket)
                else:
                    where: Any = {"LocationConstraint": self._region}
                    self.s3.create_bucket(Bucket=self._bucket, CreateBucketConfiguration=where)

    @property
    def dynamodb(self) -> "DynamoDBClient":
        """The boto3 client for the table."""
        return self._clients()[0]

    @property
    def s3(self) -> "S3Client":
        """The boto3 client for the bucket."""
        return self._clients()[1]

    def _clients(self) -> "tuple[DynamoDBClient, S3Client]":
        # A forked child must not speak over its parent's sockets, and may have inherited a lock that nobody frees.
        if self._made_by != os.getpid():
            self._lock = threading.Lock()
            self._made, self._made_by = None, os.getpid()
        with self._lock:
            if self._made is None:
                self._made = self._make_clients()
            return self._made

    def _make_clients(self) -> "tuple[DynamoDBClient, S3Client]":
        import boto3
        from botocore.config import Config

        key_id, secret = self._credentials or (None, None)
        session = boto3.Session(
            region_name=self._region, aws_access_key_id=key_id, aws_secret_access_key=secret
        )
        config = Config(
            connect_timeout=2,
            read_timeout=5,
            retries={"mode": "standard", "total_max_attempts": 3},
            # Emulators and private endpoints have no name per bucket.
            s3={"addressing_style": "path" if self._endpoint_url else "auto"},
        )
        return (
            session.client("dynamodb", endpoint_url=self._endpoint_url, config=config),
            session.client("s3", endpoint_url=self._endpoint_url, config=config),
        )

    def _item(self, key: dict[str, Any], what: str) -> dict[str, Any] | None:
        """The item under a key as it is now; None without one, and without a table."""
        try:
            with failures(what):
                answer = self.dynamodb.get_item(TableName=self._table, Key=key, ConsistentRead=True)
        except TableMissingError:
            return None
        return answer.get("Item")

    def _put_pointer(self, pointer: base.Pointer, condition: str, **named: object) -> None:
        with failures("move the pointer"):
            self.dynamodb.put_item(
                TableName=self._table,
                Item={**items.pointer_key(pointer.environment), **items.attributes(pointer.to_document())},
                ConditionExpression=condition,
                ExpressionAttributeNames={"#release": "release"},
                ExpressionAttributeValues=items.attributes({f":{name}": named[name] for name in named}),
            )

    def _snapshot_key(self, environment: str, sha256: str) -> str:
        return self._key(f"{base.check_environment(environment)}/snapshots/{base.check_name(sha256)}.json.gz")

    def _prompt_key(self, sha256: str) -> str:
        return self._key(f"prompts/{base.check_name(sha256)}.jinja")

    def _evidence_key(self, name: str) -> str:
        return self._key(f"{evidence.FOLDER}/{evidence.check_evidence(name)}")

    def _decisions_prefix(self, environment: str, hour: datetime) -> str:
        folder = f"{base.check_environment(environment)}/{decisions.FOLDER}"
        return self._key(f"{folder}/{decisions.hour_path(hour)}/")

    def _key(self, rest: str) -> str:
        return f"{self._prefix}/{rest}" if self._prefix else rest

    def _create(self, key: str, data: bytes, kind: str) -> bool:
        """Put an object where none is; False when there is one already."""
        try:
            self._put(key, data, kind, IfNoneMatch="*")
        except ConditionFailedError:
            return False
        return True

    def _put(self, key: str, data: bytes, kind: str, **conditions: Any) -> None:
        checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
        with failures(f"write {key}"):
            self.s3.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=data,
                ContentType=kind,
                ChecksumSHA256=checksum,
                **conditions,
            )

    def _get(self, key: str, limit: int) -> bytes:
        try:
            with failures(f"read {key}"):
                answer = self.s3.get_object(Bucket=self._bucket, Key=key)
                with answer["Body"] as body:
                    if answer["ContentLength"] > limit:
                        raise base.ObjectTooLargeError(f"{key} has more than {limit} bytes")
                    return read_body(body, limit=limit, name=key)
        except KeyMissingError as problem:
            raise base.ObjectMissingError(f"there is no object {key}") from problem
