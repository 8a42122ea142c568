"""The items of the table: their keys, and their attributes from and to plain values."""

import math
import time
from collections.abc import Mapping
from typing import Any

from controlplane.runtime.stores import base

# 400 KB is DynamoDB's bound for a whole item, names included; a document gets what is left after a long key.
_DOCUMENT_LIMIT = 400 * 1024 - 4 * 1024

KEYS: Any = {
    "KeySchema": [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "S"},
    ],
}
"""What the table is made with."""
POINTER = "pointer"
"""The sort key of every pointer."""


def pointer_key(environment: str) -> dict[str, Any]:
    """The key of an environment's pointer."""
    return {"pk": {"S": f"{base.check_environment(environment)}#{POINTER}"}, "sk": {"S": POINTER}}


def switches_key(environment: str) -> dict[str, Any]:
    """The key of an environment's document of kill switches."""
    return {"pk": {"S": f"{base.check_environment(environment)}#switches"}, "sk": {"S": "switches"}}


def heartbeats_key(environment: str) -> str:
    """The partition of an environment's heartbeats."""
    return f"{base.check_environment(environment)}#heartbeat"


def entry_key(environment: str, key: str) -> str:
    """The partition of an entry's versions."""
    if "/" not in key:  # every key has a kind; "pointer", "switches" and "heartbeat" are none
        raise ValueError(f"not an entry key: {key!r}")
    return f"{entries_prefix(environment)}{key}"


def entries_prefix(environment: str) -> str:
    """What stands before the key of an entry in its partition."""
    return f"{base.check_environment(environment)}#"


def item_key(environment: str, key: str, release: int) -> dict[str, Any]:
    """The key of what a release wrote of an entry."""
    return {
        "pk": {"S": entry_key(environment, key)},
        "sk": {"S": f"{base.check_release(release):012d}"},
    }


def content(key: str, document: bytes | None) -> dict[str, Any]:
    """The attributes of an entry."""
    if document is None:
        return {"gone": {"BOOL": True}}
    base.check_size(key, document, _DOCUMENT_LIMIT)
    return {"document": {"S": document.decode()}}


def switches(data: bytes, version: int) -> dict[str, Any]:
    """The attributes of a document of kill switches."""
    base.check_size("the document of kill switches", data, base.SWITCHES_LIMIT)
    return {"version": {"N": str(base.check_version(version))}, "document": {"B": bytes(data)}}


def heartbeat(environment: str, process: str, data: bytes, *, seconds: int) -> dict[str, Any]:
    """A heartbeat's whole item; the table drops it some time after `expires`, an epoch in seconds."""
    base.check_size("a heartbeat", data, base.HEARTBEAT_LIMIT)
    return {
        "pk": {"S": heartbeats_key(environment)},
        "sk": {"S": base.check_process(process)},
        "document": {"B": bytes(data)},
        "expires": {"N": str(math.floor(time.time()) + seconds)},
    }


def heartbeats_since(environment: str, moment: float) -> dict[str, Any]:
    """The query for the heartbeats that expire after this moment."""
    return {
        "KeyConditionExpression": "pk = :pk",
        "FilterExpression": "#expires > :moment",
        "ExpressionAttributeNames": {"#expires": "expires"},
        "ExpressionAttributeValues": {
            ":pk": {"S": heartbeats_key(environment)},
            ":moment": {"N": f"{moment:.3f}"},
        },
    }


def kept_text(item: Mapping[str, Any]) -> bytes | None:
    """The document of an entry's item; None when it says that there is none any more, or nothing that can be read."""
    text = item.get("document", {}).get("S")
    return None if text is None else str(text).encode()


def kept_bytes(item: Mapping[str, Any]) -> bytes | None:
    """What was kept under a version or for a time; None when that is not to be found in the item."""
    data = item.get("document", {}).get("B")
    return None if data is None else bytes(data)


def attributes(document: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values as attributes."""
    return {name: _attribute(value) for name, value in document.items()}


def plain(item: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes as plain values, without the key."""
    return {name: _value(attribute) for name, attribute in item.items() if name not in {"pk", "sk"}}


def _attribute(value: object) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"BOOL": value}
    return {"N": str(value)} if isinstance(value, int) else {"S": str(value)}


def _value(attribute: Mapping[str, Any]) -> object:
    ((kind, value),) = attribute.items()
    return int(value) if kind == "N" and value.lstrip("-").isdigit() else value
