"""Connections that are given up while they are being secured.

The SDKs' transport (httpcore) closes a connection whose TLS handshake fails, but not one whose call is cancelled or
late in the middle of it: nobody holds that any longer, and it stays open for as long as the other side likes. The
transport's `trace` extension tells of every step of a request, so it is closed from there.
"""

from collections.abc import Mapping
from typing import Any, Protocol


class _Stream(Protocol):
    async def aclose(self) -> None: ...


class _Request(Protocol):
    extensions: dict[str, Any]


async def close_broken_handshakes(request: _Request) -> None:
    """A hook for every request of an httpx client: a connection without its TLS is closed."""
    opened: list[_Stream] = []

    async def follow(step: str, about: Mapping[str, Any]) -> None:
        if step.endswith(".connect_tcp.complete"):
            opened.append(about["return_value"])
        elif step.endswith(".start_tls.failed"):
            while opened:
                await opened.pop().aclose()

    request.extensions["trace"] = follow
