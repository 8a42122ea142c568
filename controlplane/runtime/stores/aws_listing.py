"""Listing and deleting in DynamoDB and S3, page by page and in batches of the size that each takes."""

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from controlplane.runtime.errors import StoreError
from controlplane.runtime.stores import items
from controlplane.runtime.stores.aws_errors import TableMissingError, failures
from controlplane.runtime.stores.pruning import StoredEntry, StoredObject

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_s3.client import S3Client

_OBJECTS_AT_ONCE = 1000
_ITEMS_AT_ONCE = 250  # a page is a megabyte otherwise, for which an emulator takes longer than we wait


def objects(s3: "S3Client", bucket: str, prefix: str, ending: str) -> Iterator[StoredObject]:
    """The objects under a prefix whose name is a digest with this ending."""
    name = re.compile(f"{re.escape(prefix)}([0-9a-f]{{64}}){re.escape(ending)}")
    with failures(f"list {prefix}"):
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for found in page.get("Contents", ()):
                if match := name.fullmatch(found["Key"]):
                    yield StoredObject(match[1], found["LastModified"], found["Size"])


def keys(s3: "S3Client", bucket: str, prefix: str) -> Iterator[str]:
    """The keys of all objects under a prefix."""
    with failures(f"list {prefix}"):
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            yield from (found["Key"] for found in page.get("Contents", ()))


def folders(s3: "S3Client", bucket: str, prefix: str) -> Iterator[str]:
    """The names that stand between a prefix and the next slash, each once; as many pages as there are of those names."""
    with failures(f"list {prefix}"):
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
        for page in pages:
            for found in page.get("CommonPrefixes", ()):
                yield found["Prefix"].removeprefix(prefix).rstrip("/")


def delete_objects(s3: "S3Client", bucket: str, keys: Iterable[str]) -> None:
    """Delete all of these objects, or raise: an answer may be "fine" and still name some that were not."""
    wanted = list(keys)
    for start in range(0, len(wanted), _OBJECTS_AT_ONCE):
        batch: Any = [{"Key": key} for key in wanted[start : start + _OBJECTS_AT_ONCE]]
        with failures("delete objects"):
            answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
        if refused := answer.get("Errors"):
            raise StoreError(f"cannot delete {len(refused)} objects: {refused[0].get('Code')}")


def environments(dynamodb: "DynamoDBClient", table: str) -> list[str]:
    """The environments that have a pointer in the table."""
    asked: Any = {
        "FilterExpression": "sk = :pointer",
        "ExpressionAttributeValues": {":pointer": {"S": items.POINTER}},
    }
    return sorted(item["pk"]["S"].partition("#")[0] for item in _scan(dynamodb, table, asked))


def entries(dynamodb: "DynamoDBClient", table: str, environment: str) -> Iterator[StoredEntry]:
    """Every item of an environment's entries. DynamoDB reads, and bills, the whole table for it."""
    prefix = items.entries_prefix(environment)
    asked: Any = {
        "FilterExpression": "begins_with(pk, :prefix) AND contains(pk, :slash)",
        "ExpressionAttributeValues": {":prefix": {"S": prefix}, ":slash": {"S": "/"}},
    }
    for item in _scan(dynamodb, table, asked):
        yield StoredEntry(item["pk"]["S"].removeprefix(prefix), int(item["sk"]["S"]), "gone" in item)


def _scan(dynamodb: "DynamoDBClient", table: str, asked: Any) -> Iterator[dict[str, Any]]:
    pages = dynamodb.get_paginator("scan").paginate(
        TableName=table,
        ProjectionExpression="pk, sk, gone",
        ConsistentRead=True,
        PaginationConfig={"PageSize": _ITEMS_AT_ONCE},
        **asked,
    )
    try:
        with failures("list the table"):
            for page in pages:
                yield from page["Items"]
    except TableMissingError:
        return
