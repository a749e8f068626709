"""`python -m gateway --config FILE`"""

from __future__ import annotations

from contextlib import closing

import structlog

from consumers.catalog.reading import Reads
from gateway.app import application
from gateway.asking import Asking
from gateway.catalog import Catalog
from gateway.config import Settings
from gateway.kept import Kept
from gateway.listings import Listings
from gateway.parts import Parts
from gateway.reading import SMALL_BYTES
from gateway.restoring import Restoring
from gateway.serving import listening, serve
from gateway.workers import Workers
from gateway.writing import Writing
from streams.accesses import Accesses
from streams.allocating import give_back_large_blocks
from streams.config import Protected, Store
from streams.framecache import cache
from streams.framecache.config import FrameCacheSettings
from streams.protected import ProtectedBlocks
from streams.protected_keys import FileKeys
from streams.service import Context, run

_CACHE = "frame_cache"
_KEPT_MEMORY_BYTES, _KEPT_FOLDER_BYTES = 128 << 20, 1 << 30


def main(context: Context, settings: Settings) -> None:
    """Answers until `context.stopping` is set. Raises ConfigError for a port that cannot be had."""
    give_back_large_blocks(SMALL_BYTES)
    config = context.config
    keys = FileKeys(config.section("protected", Protected).key_file)
    caching = config.section(_CACHE, FrameCacheSettings) if _CACHE in config.names else FrameCacheSettings()
    # Beside rendered frames: both are of use as long as the originals are here, and no longer.
    folder = None if caching.folder is None else caching.folder / "retrieved"
    with (
        closing(Accesses(context.log, context.ids, context.site, context.clock)) as accesses,
        closing(Listings(context)) as listings,
        closing(Reads(settings.dsn, connections_max=settings.workers)) as reads,
        closing(Writing(context)) as writing,
        closing(Restoring(context, reads, config.section("store", Store).restore_s)) as restoring,
        closing(Kept(_KEPT_MEMORY_BYTES, folder, _KEPT_FOLDER_BYTES)) as kept,
    ):
        parts = Parts(
            context=context,
            settings=settings,
            catalog=Catalog(settings.dsn, settings.catalog_connections_max),
            workers=Workers(settings.workers),
            frames=cache.opened(caching),
            kept=kept,
            accesses=accesses,
            listings=listings,
            restoring=restoring,
            asking=Asking(restoring),
            reads=reads,
            writing=writing,
            notes=ProtectedBlocks(context.store, keys, context.site.tenant),
        )
        with closing(listening(settings)) as port:
            structlog.get_logger().info("listening", host=settings.host, port=port.getsockname()[1])
            serve(application(parts), port, settings, context)


if __name__ == "__main__":
    run("gateway", Settings, main)
