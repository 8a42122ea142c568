"""Bundles made of documents, as `cli bundle` writes them."""

from collections.abc import Mapping
from typing import Any

from controlplane.releases.compose import Document
from controlplane.runtime import canonical, snapshot
from controlplane.runtime.disk import to_bytes
from controlplane.runtime.stores.base import Pointer


def file_of(documents: Mapping[str, Document], bodies: Mapping[str, str], **overrides: Any) -> bytes:
    texts = {key: canonical.dumps(document) for key, document in sorted(documents.items())}
    data = snapshot.assemble(texts, dict(bodies))
    pointer = {
        "environment": "live",
        "release": 7,
        "sha256": canonical.digest(data),
        "size": len(data),
        **overrides,
    }
    return to_bytes(Pointer(**pointer), data)
