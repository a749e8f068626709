"""Before the first association: does the store keep what the router is about to promise?"""

from __future__ import annotations

import structlog

from streams.config import ConfigError, Store
from streams.objects import StoreAway
from streams.probe import missing, probe
from streams.service import Context

_AGAIN_S = 1.0


def check_store(context: Context, bucket: str) -> None:
    """Waits for the store and tries it. Raises ConfigError where it overwrites objects or takes damaged ones."""
    config = context.config.section("store", Store)
    while not context.stopping.is_set():
        try:
            lacking = missing(probe(config, config.buckets[bucket]))
        except StoreAway:
            structlog.get_logger().warning("waiting", part="store", again_s=_AGAIN_S)
            context.stopping.wait(_AGAIN_S)
            continue
        if lacking:
            said = "; ".join(f"{one.name}: {one.detail}" for one in lacking)
            raise ConfigError(
                f"{context.config.path}: [store] {config.endpoint} cannot hold images ({said}). An acknowledged image "
                "could be overwritten or damaged there: use a store that does both, and ask it with: radstream doctor"
            )
        return
