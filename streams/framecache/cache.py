"""A picture from the first tier that has it whole, else rendered: once, however many ask at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Protocol

from streams import metrics
from streams.framecache.config import FrameCacheSettings
from streams.framecache.disk import DiskTier
from streams.framecache.entry import packed, unpacked
from streams.framecache.shared import RedisTier
from streams.rendering.frame import Rendered

_RENDERED = "rendered"


class Tier(Protocol):
    """Where entries are kept. A tier never raises: what it cannot do, it does not do. `name` is a metric's label."""

    name: str

    def get(self, key: str) -> bytes | None: ...

    def put(self, key: str, data: bytes) -> None: ...

    def drop(self, key: str) -> None: ...


class FrameCache:
    """`tiers`, the nearest first. Threads of one process share one rendering; processes share what is kept."""

    def __init__(self, tiers: Sequence[Tier]) -> None:
        self._tiers = tuple(tiers)
        self._lock = threading.Lock()
        self._under_way: dict[str, Future[Rendered]] = {}

    def picture(self, key: str, render: Callable[[], Rendered]) -> Rendered:
        """The picture of that name (`streams.framecache.entry.key_of`). Raises what `render` raises."""
        with self._lock:
            future = self._under_way.get(key)
            is_ours = future is None
            if future is None:
                future = self._under_way[key] = Future()
        if is_ours:
            self._answer(key, future, render)
        return future.result()

    def _answer(self, key: str, future: Future[Rendered], render: Callable[[], Rendered]) -> None:
        try:
            future.set_result(self._found(key) or self._made(key, render))
        except BaseException as error:  # noqa: BLE001 - whoever waits gets it
            future.set_exception(error)
        finally:
            with self._lock:
                del self._under_way[key]

    def _found(self, key: str) -> Rendered | None:
        """What is damaged is dropped; a nearer tier that did not have it gets it."""
        for position, tier in enumerate(self._tiers):
            data = tier.get(key)
            if data is None:
                continue
            if (picture := unpacked(key, data)) is not None:
                metrics.FRAMES.labels(tier.name).inc()
                self._put(self._tiers[:position], key, data)
                return picture
            metrics.FRAMES_DAMAGED.labels(tier.name).inc()
            tier.drop(key)
        return None

    def _made(self, key: str, render: Callable[[], Rendered]) -> Rendered:
        picture = render()
        metrics.FRAMES.labels(_RENDERED).inc()
        if self._tiers:
            self._put(self._tiers, key, packed(key, picture))
        return picture

    def _put(self, tiers: Sequence[Tier], key: str, data: bytes) -> None:
        for tier in tiers:
            metrics.FRAME_REFILLS.labels(tier.name).inc()
            tier.put(key, data)


def opened(settings: FrameCacheSettings) -> FrameCache:
    """Raises ConfigError."""
    tiers: list[Tier] = []
    if settings.folder is not None:
        tiers.append(DiskTier(settings.folder, settings.folder_bytes_max))
    if settings.redis_url is not None:
        tiers.append(RedisTier(settings.redis_url, settings.redis_ttl_s))
    return FrameCache(tiers)
