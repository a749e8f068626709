"""Work that several wait for and one does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Flights:
    """For one event loop. What is under way is shared; what has ended is forgotten."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, asyncio.Task[Any]] = {}

    async def shared(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """What `make` gives, or raises, to everybody who asks for `key` until it has.

        One who stops waiting takes it from nobody: it goes on.
        """
        found: T = await asyncio.shield(self._task(key, make))
        return found

    def begin(self, key: Hashable, make: Callable[[], Awaitable[Any]]) -> bool:
        """Starts it unless it is under way, and says whether it did. Nobody waits; what it raises is nobody's."""
        if key in self._under_way:
            return False
        self._task(key, make)
        return True

    def __len__(self) -> int:
        return len(self._under_way)

    def _task(self, key: Hashable, make: Callable[[], Awaitable[Any]]) -> asyncio.Task[Any]:
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.ensure_future(_made(make))
            task.add_done_callback(lambda done: self._ended(key, done))
        return task

    def _ended(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # Those who waited have it; where nobody did, it is not to be complained of at the end.


async def _made(make: Callable[[], Awaitable[T]]) -> T:
    return await make()
