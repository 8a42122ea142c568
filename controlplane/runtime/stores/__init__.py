"""Where releases are kept for readers: one protocol, and a store each for memory, a folder, and DynamoDB with S3.

`memory.MemoryStore`, `file.FileStore` and `aws.AwsStore` are imported from their modules, so that nobody pays for a
store they do not use.
"""

from controlplane.runtime.stores.base import (
    ObjectMismatchError,
    ObjectMissingError,
    ObjectTooLargeError,
    Pointer,
    PointerConflictError,
    PointerUnreadableError,
    ReleaseStore,
)
from controlplane.runtime.stores.decisions import DecisionLog
from controlplane.runtime.stores.evidence import EvidenceStore
from controlplane.runtime.stores.pruning import PrunableStore, StoredEntry, StoredObject

__all__ = [
    "DecisionLog",
    "EvidenceStore",
    "ObjectMismatchError",
    "ObjectMissingError",
    "ObjectTooLargeError",
    "Pointer",
    "PointerConflictError",
    "PointerUnreadableError",
    "PrunableStore",
    "ReleaseStore",
    "StoredEntry",
    "StoredObject",
]
