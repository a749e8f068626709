"""Bytes that requests hold in memory, while they decode and while their clients read: bounded, and shared fairly."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from starlette.requests import Request

from gateway.problem import Problem

_AGAIN_S: Final = "5"


class Memory:
    """For one event loop. A client, which is an address, has half of it at most: one that reads slowly, or not at all,
    leaves the rest to the others. What is larger than that goes alone."""

    def __init__(self, bytes_max: int, wait_s: float) -> None:
        self._bytes_max, self._wait_s = bytes_max, wait_s
        self._by_client: Counter[str] = Counter()
        self._freed = asyncio.Event()

    @property
    def taken(self) -> int:
        return self._by_client.total()

    async def take(self, client: str, size: int) -> None:
        """Returns when there is room. Raises Problem (503) where there is none in time."""
        if not self._has_room(client, size):
            await self._room(client, size)
        self._by_client[client] += size

    async def _room(self, client: str, size: int) -> None:
        try:
            async with asyncio.timeout(self._wait_s):
                while not self._has_room(client, size):
                    await self._freed.wait()
        except TimeoutError:
            raise Problem(503, "Too much is being read at once; ask again.", {"retry-after": _AGAIN_S}) from None

    def give(self, client: str, size: int) -> None:
        self._by_client[client] -= size
        if not self._by_client[client]:
            del self._by_client[client]
        # Who waits now looks again; who comes later waits for the next.
        freed, self._freed = self._freed, asyncio.Event()
        freed.set()

    def _has_room(self, client: str, size: int) -> bool:
        taken, of_client = self.taken, self._by_client[client]
        return (not taken or taken + size <= self._bytes_max) and (
            not of_client or of_client + size <= self._bytes_max // 2
        )


class Share:
    """What one request has taken; all of it is given back when the request has ended, however it ends."""

    def __init__(self, memory: Memory, client: str) -> None:
        self._memory, self._client, self._taken = memory, client, 0

    async def take(self, size: int) -> None:
        """Raises Problem as `Memory.take`. A request that waits for more should hold nothing: others wait for that."""
        await self._memory.take(self._client, size)
        self._taken += size

    def give(self, size: int) -> None:
        self._memory.give(self._client, size)
        self._taken -= size

    async def made(self, size: int, make: Callable[[], Awaitable[bytes | memoryview]]) -> bytes | memoryview:
        """What `make` gives, which takes at most `size` bytes while it is made; its own length stays taken."""
        await self.take(size)
        data = await make()
        self.give(size - len(data))
        return data

    @asynccontextmanager
    async def room(self, size: int) -> AsyncIterator[None]:
        """For work that several requests wait for, and that goes on when this one has ended."""
        await self._memory.take(self._client, size)
        try:
            yield
        finally:
            self._memory.give(self._client, size)

    def close(self) -> None:
        if self._taken:
            self.give(self._taken)


def share_of(request: Request) -> Share:
    """That of a request that came through `gateway.limits`."""
    share: Share = request.state.memory
    return share
