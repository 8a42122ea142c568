"""A blocking generator, read in a thread and handed over to an event loop."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

T = TypeVar("T")


async def in_thread(
    pool: ThreadPoolExecutor, begin: Callable[[], Generator[T, None, None]]
) -> AsyncGenerator[T, None]:
    """The items of `begin()`, in order; what it raises is raised here.

    When the reader stops, the thread stops at its next item and closes the generator. While it waits for one it cannot be
    reached: whoever writes `begin` gives its waiting a limit.
    """
    loop = asyncio.get_running_loop()
    items: asyncio.Queue[tuple[T] | BaseException | None] = asyncio.Queue()
    stopped = threading.Event()

    def hand_over(item: tuple[T] | BaseException | None) -> None:
        if not stopped.is_set():
            try:
                loop.call_soon_threadsafe(items.put_nowait, item)
            except RuntimeError:  # the loop is closed: nobody reads any more
                stopped.set()

    def read() -> None:
        try:
            with closing(begin()) as iterator:
                for item in iterator:
                    hand_over((item,))
                    if stopped.is_set():
                        return
            hand_over(None)
        except BaseException as problem:  # raised again where it is waited for
            hand_over(problem)

    reading = loop.run_in_executor(pool, read)
    try:
        while (item := await items.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item[0]
    finally:
        stopped.set()
        reading.cancel()  # if no thread was free until now
