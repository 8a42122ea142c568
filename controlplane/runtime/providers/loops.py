"""One client of an SDK for each event loop.

The SDKs' asynchronous clients keep connections that belong to the loop they were opened in, and an application may have
several: one for each thread, or one after the other with `asyncio.run`.
"""

import asyncio
import weakref
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar


class Client(Protocol):
    """What the clients of both SDKs can do."""

    async def close(self) -> None:
        """Close all connections."""


C = TypeVar("C", bound=Client)


@dataclass(slots=True)
class _Place(Generic[C]):
    """A loop's client, as soon as it is made; `life` is the generator that closes it."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    client: C | None = None
    life: AsyncGenerator[C, None] | None = None


_Places = dict[asyncio.AbstractEventLoop, _Place[C]]


class ClientOfLoop(Generic[C]):
    """Makes a client when a loop first asks for one, and closes it with the loop.

    `make` may take long (it imports an SDK), so it runs in a thread. A loop that ends closes the asynchronous
    generators that began in it, and each client lives in one: so nothing is left open after `asyncio.run`. A process
    that was forked has loops of its own, and never touches its parent's connections.

    When nobody holds this any longer, its clients are closed too, each by its loop.
    """

    def __init__(self, make: Callable[[], C]) -> None:
        self._make = make
        self._places: _Places[C] = {}
        # The places outlive this, by as long as it takes to let go of each generator, which has its loop close it.
        # Collected together with this, idle connections would be dropped open before any loop could do so.
        weakref.finalize(self, self._places.clear).atexit = False

    async def get(self) -> C:
        """The client of the running loop."""
        place = self._place(asyncio.get_running_loop())
        if place.client is None:
            async with place.lock:  # a burst of first calls makes one client
                if place.client is None:
                    made = await asyncio.to_thread(self._make)
                    place.life = _life(asyncio.get_running_loop(), made, self._places)
                    place.client = await anext(place.life)
        return place.client

    async def close(self) -> None:
        """Close the client of the running loop, if there is one."""
        place = self._places.get(asyncio.get_running_loop())
        if place is not None and place.life is not None:
            await place.life.aclose()

    def _place(self, loop: asyncio.AbstractEventLoop) -> _Place[C]:
        found = self._places.get(loop)
        if found is None:
            for other in [each for each in list(self._places) if each.is_closed()]:
                self._places.pop(other, None)  # it ended without closing its generators
            found = self._places[loop] = _Place()
        return found


async def _life(loop: asyncio.AbstractEventLoop, client: C, places: _Places[C]) -> AsyncGenerator[C, None]:
    try:
        yield client
    finally:
        places.pop(loop, None)
        await client.close()
