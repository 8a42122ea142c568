"""A blocking generator, read in a thread."""

import asyncio
import threading
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing

import pytest

from controlplane.runtime.providers.threads import in_thread


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:  # leaving it waits for its threads
        yield pool


async def test_items_come_in_order(pool: ThreadPoolExecutor) -> None:
    def items() -> Generator[int, None, None]:
        yield from range(100)

    assert [item async for item in in_thread(pool, items)] == list(range(100))


async def test_what_is_raised_there_is_raised_here(pool: ThreadPoolExecutor) -> None:
    def items() -> Generator[int, None, None]:
        yield 1
        raise OSError("gone")

    read = in_thread(pool, items)
    assert await anext(read) == 1
    with pytest.raises(OSError, match="gone"):
        await anext(read)


async def test_a_reader_who_stops_stops_the_thread_and_closes_the_generator(
    pool: ThreadPoolExecutor,
) -> None:
    closed = threading.Event()

    def items() -> Generator[int, None, None]:
        try:
            while not closed.wait(0.001):
                yield 1
        finally:
            closed.set()

    async with aclosing(in_thread(pool, items)) as read:
        await anext(read)
    pool.shutdown()  # would wait for ever
    assert closed.is_set()


async def test_one_who_stopped_before_a_thread_was_free_starts_none(pool: ThreadPoolExecutor) -> None:
    begun: list[str] = []
    free = threading.Event()

    def first() -> Generator[int, None, None]:
        yield 1
        free.wait(10)

    def second() -> Generator[int, None, None]:
        begun.append("second")
        yield 2

    async with aclosing(in_thread(pool, first)) as read:
        await anext(read)
        waiting = in_thread(pool, second)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(waiting), 0.01)
        free.set()
    pool.shutdown()
    assert begun == []
