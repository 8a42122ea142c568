"""Waiting for the pieces of a stream no longer than allowed."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

T = TypeVar("T")


async def until(
    deadline: float,
    items: AsyncIterator[T],
    *,
    first_by: float | None = None,
    stall_seconds: float | None = None,
) -> AsyncGenerator[T, None]:
    """The items as they come; raises `TimeoutError` when one is late.

    None may come after `deadline`, the first not after `first_by` (both on the monotonic clock), and each of the others no
    later than `stall_seconds` after it is asked for. While the reader is busy with one, no time limit runs: one around the
    whole loop would interrupt the reader and not the stream.
    """
    limit = deadline if first_by is None else min(first_by, deadline)
    while True:
        async with asyncio.timeout(limit - time.monotonic()):
            try:
                item = await anext(items)
            except StopAsyncIteration:
                return
        yield item
        limit = deadline if stall_seconds is None else min(deadline, time.monotonic() + stall_seconds)
