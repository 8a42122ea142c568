"""Writing or deleting many items of DynamoDB until every one of them is done."""

import random
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from controlplane.runtime.errors import StoreUnavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

_BATCH = 25
_ATTEMPTS = 10
_FIRST_WAIT = 0.05
_LONGEST_WAIT = 2.0


def write_all(dynamodb: "DynamoDBClient", table: str, items: Sequence[dict[str, Any]]) -> None:
    """Put every item, or raise. A batch answers "fine" and hands back what it did not write when it is throttled:
    a writer that does not look has lost those items without a trace.
    """
    _all(dynamodb, table, [{"PutRequest": {"Item": item}} for item in items])


def delete_all(dynamodb: "DynamoDBClient", table: str, keys: Sequence[dict[str, Any]]) -> None:
    """Delete the items of these keys, or raise; in the same way."""
    _all(dynamodb, table, [{"DeleteRequest": {"Key": key}} for key in keys])


def _all(dynamodb: "DynamoDBClient", table: str, requests: Sequence[Any]) -> None:
    for start in range(0, len(requests), _BATCH):
        _batch(dynamodb, table, requests[start : start + _BATCH])


def _batch(dynamodb: "DynamoDBClient", table: str, requests: Sequence[Any]) -> None:
    for attempt in range(_ATTEMPTS):
        answer = dynamodb.batch_write_item(RequestItems={table: requests})
        requests = answer["UnprocessedItems"].get(table, [])
        if not requests:
            return
        # Full jitter: writers that were throttled together must not come back together.
        time.sleep(random.uniform(0, min(_LONGEST_WAIT, _FIRST_WAIT * 2**attempt)))  # noqa: S311 - not a secret
    raise StoreUnavailable(
        f"{len(requests)} entries were still unwritten or not deleted after {_ATTEMPTS} attempts"
    )
