"""Waiting for reads, by a thread or on a loop, with one account of what is waited for.

What a source does is a generator that yields each wait; `in_thread` and `on_loop` are the two ways to run it. So there is
one text of the steps, and no twin of it for asyncio.
"""

import asyncio
import concurrent.futures
from collections.abc import Generator, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeVar

ResultT = TypeVar("ResultT")


class Wait(NamedTuple):
    """Until these reads are done, but no longer than so many seconds."""

    reads: Sequence["Future[Any]"]
    seconds: float

    @property
    def over(self) -> bool:
        """Say whether all of them are done."""
        return all(read.done() for read in self.reads)


Steps = Generator[Wait, None, ResultT]


def in_thread(steps: Steps[ResultT]) -> ResultT:
    """Run the steps, blocking this thread in each wait."""
    try:
        while True:
            wait = next(steps)
            concurrent.futures.wait(wait.reads, wait.seconds)
    except StopIteration as done:
        result: ResultT = done.value
        return result


async def on_loop(steps: Steps[ResultT]) -> ResultT:
    """Run the steps without blocking the loop."""
    try:
        while True:
            wait = next(steps)
            await _reach(wait)
    except StopIteration as done:
        result: ResultT = done.value
        return result


async def _reach(wait: Wait) -> None:
    waiting = [asyncio.wrap_future(read) for read in wait.reads]
    try:
        await asyncio.wait(waiting, timeout=wait.seconds)
    finally:
        for one in waiting:
            one.cancel()  # ends our waiting only: a read under way cannot be cancelled
