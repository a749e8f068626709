"""Pictures in Redis, for many nodes. Bounded by the server's own `maxmemory` and by the time that nobody asks."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from streams.config import ConfigError

if TYPE_CHECKING:
    from redis import Redis

_PREFIX = "radstream:frame:"
# A picture waits for Redis at most that long; a Redis that does not answer is left alone for a while.
_TIMEOUT_S = 0.2
_ALONE_S = 5.0
_ENTRY_BYTES_MAX = 16 << 20


class RedisTier:
    """Nothing here raises but the constructor, ConfigError for a URL that is none or a missing client."""

    name = "redis"

    def __init__(self, url: str, ttl_s: int) -> None:
        self._ttl_s = ttl_s
        self._client = _client(url)
        self._lock = threading.Lock()
        self._asked_again_at = 0.0

    def get(self, key: str) -> bytes | None:
        from redis.exceptions import RedisError

        if not self._answers():
            return None
        try:
            found = self._client.getex(_PREFIX + key, ex=self._ttl_s)
        except (RedisError, OSError):
            self._leave_alone()
            return None
        return found if isinstance(found, bytes) else None

    def put(self, key: str, data: bytes) -> None:
        from redis.exceptions import RedisError

        if len(data) > _ENTRY_BYTES_MAX or not self._answers():
            return
        try:
            self._client.set(_PREFIX + key, data, ex=self._ttl_s)
        except (RedisError, OSError):
            self._leave_alone()

    def drop(self, key: str) -> None:
        from redis.exceptions import RedisError

        try:
            self._client.delete(_PREFIX + key)
        except (RedisError, OSError):
            self._leave_alone()

    def _answers(self) -> bool:
        with self._lock:
            return time.monotonic() >= self._asked_again_at

    def _leave_alone(self) -> None:
        with self._lock:
            self._asked_again_at = time.monotonic() + _ALONE_S


def _client(url: str) -> Redis:
    try:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError:
        raise ConfigError(
            "[frame_cache] redis_url: the client of Redis is not installed; install radstream[framecache]"
        ) from None
    try:
        return Redis.from_url(
            url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S, retry=Retry(NoBackoff(), 1)
        )
    except ValueError:
        # The text of the error may quote the URL, which may hold a password.
        raise ConfigError("[frame_cache] redis_url: it is no redis://, rediss:// or unix:// URL") from None
