"""Threads for what blocks: decoding, rendering, files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")


class Workers:
    """At most `count` at once; the rest waits its turn."""

    def __init__(self, count: int) -> None:
        self._threads = ThreadPoolExecutor(count, "worker")

    async def run(self, work: Callable[[], T]) -> T:
        """Raises what `work` raises. Whoever goes waits for what was begun for him: what it takes of memory is his."""
        begun = self._threads.submit(work)
        answer = asyncio.wrap_future(begun)
        # Of one who went nobody hears what it raised, and asyncio would print that.
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            if not begun.cancel():
                await _ended(begun)
            raise


async def apart(work: Callable[[], T]) -> T:
    """In a thread of its own, for what may wait long for a part that is away. Raises what `work` raises.

    Whoever goes does not wait for it, and neither does the process when it ends: what comes of it then, nobody hears.
    """
    begun: Future[T] = Future()
    # From here on it cannot be withdrawn: who goes only looks away.
    begun.set_running_or_notify_cancel()

    def run() -> None:
        try:
            begun.set_result(work())
        except BaseException as error:  # noqa: BLE001 - whoever waits is told
            begun.set_exception(error)

    Thread(target=run, name="apart", daemon=True).start()
    return await asyncio.wrap_future(begun)


async def _ended(begun: Future[Any]) -> None:
    """Waits, however often it is told to go."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    begun.add_done_callback(lambda _: loop.call_soon_threadsafe(ended.set))
    while not ended.is_set():
        with suppress(asyncio.CancelledError):
            await ended.wait()
