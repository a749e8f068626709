"""What every room of the gateway is handed."""

from __future__ import annotations

from dataclasses import dataclass

from consumers.catalog.reading import Reads
from gateway.asking import Asking
from gateway.catalog import Catalog
from gateway.config import Settings
from gateway.kept import Kept
from gateway.listings import Listings
from gateway.restoring import Restoring
from gateway.workers import Workers
from gateway.writing import Writing
from streams.accesses import Accesses
from streams.framecache.cache import FrameCache
from streams.protected import ProtectedBlocks
from streams.service import Context


@dataclass(frozen=True)
class Parts:
    """`context` has site, log, store and clock. Everything here is shared by all requests."""

    context: Context
    settings: Settings
    catalog: Catalog
    workers: Workers
    frames: FrameCache
    kept: Kept
    accesses: Accesses
    # For questions that have no form for an event loop; asked in `workers`.
    reads: Reads
    writing: Writing
    notes: ProtectedBlocks
    listings: Listings
    restoring: Restoring
    asking: Asking

    @property
    def tenant(self) -> str:
        return self.context.site.tenant
