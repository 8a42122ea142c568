"""The release store that a process is told to use by its environment."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from controlplane.runtime.stores.base import ReleaseStore

DEFAULT_NAME = "llm-controlplane"
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def store_from_environment(environ: Mapping[str, str]) -> ReleaseStore:
    """A `FileStore` on CONTROLPLANE_STORE_DIRECTORY, else an `AwsStore`.

    The latter reads CONTROLPLANE_TABLE, CONTROLPLANE_BUCKET, CONTROLPLANE_PREFIX, AWS_ENDPOINT_URL and AWS_REGION.
    """
    if directory := environ.get("CONTROLPLANE_STORE_DIRECTORY"):
        from controlplane.runtime.stores.file import FileStore

        return FileStore(directory)
    from controlplane.runtime.stores.aws import AwsStore

    endpoint_url = environ.get("AWS_ENDPOINT_URL") or None
    return AwsStore(
        table=environ.get("CONTROLPLANE_TABLE") or DEFAULT_NAME,
        bucket=environ.get("CONTROLPLANE_BUCKET") or DEFAULT_NAME,
        prefix=environ.get("CONTROLPLANE_PREFIX", "controlplane"),
        endpoint_url=endpoint_url,
        region=environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1",
        # An emulator takes any key, and should never be shown a real one.
        credentials=("local", "local") if is_loopback(endpoint_url) else None,
    )


def is_loopback(url: str | None) -> bool:
    """Whether this address is on this machine, as the embedded parts are."""
    return url is not None and urlsplit(url).hostname in _LOOPBACK
