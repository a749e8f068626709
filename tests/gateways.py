"""The gateway over a catalog of a test's own: its application and its server, in a thread, on a port of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import requests
from starlette.routing import BaseRoute

from consumers.catalog.reading import Reads
from gateway.app import DICOMWEB, application
from gateway.asking import Asking
from gateway.catalog import Catalog
from gateway.config import Settings
from gateway.kept import Kept
from gateway.listings import Listings
from gateway.parts import Parts
from gateway.restoring import Restoring
from gateway.serving import listening, serve
from gateway.workers import Workers
from gateway.writing import Writing
from streams.accesses import Accesses
from streams.clock import Clock, SystemClock
from streams.framecache import cache
from streams.framecache.config import FrameCacheSettings
from streams.memory_log import MemoryLog
from streams.memory_store import MemoryStore
from streams.protected import ProtectedBlocks
from tests.event_streams import TENANT, TestKeys
from tests.worlds import context_of

_STOP_S = 30.0
# How long a restore is thought to take.
RESTORE_S = 600.0
_KEPT_BYTES = 16 << 20


class Client(requests.Session):
    """Asks for DICOM JSON. `root` is the address of DICOMweb, `routes` are the application's."""

    def __init__(self, root: str, routes: Sequence[BaseRoute]) -> None:
        super().__init__()
        self.root, self.routes = root, routes
        self.headers["accept"] = "application/dicom+json"

    def find(self, path: str, **keys: str) -> requests.Response:
        return self.get(f"{self.root}{path}", params=keys, timeout=120)


@contextmanager
def running_gateway(
    dsn: str, log: MemoryLog, store: MemoryStore | None = None, clock: Clock | None = None, **more: Any
) -> Iterator[Client]:
    """`more` is of [gateway]. Without `store` there is an empty one."""
    settings = Settings(dsn=dsn, port=0, http_port=0, stop_timeout_s=1.0, **more)
    context = context_of("gateway", TENANT, log, store or MemoryStore(), clock or SystemClock())
    with (
        closing(Accesses(log, context.ids, context.site, context.clock)) as accesses,
        closing(Listings(context)) as listings,
        closing(Reads(dsn, connections_max=settings.workers)) as reads,
        closing(Writing(context)) as writing,
        closing(Restoring(context, reads, RESTORE_S)) as restoring,
        closing(Kept(_KEPT_BYTES, None, 0)) as kept,
    ):
        parts = Parts(
            context=context,
            settings=settings,
            catalog=Catalog(dsn, settings.catalog_connections_max),
            workers=Workers(settings.workers),
            frames=cache.opened(FrameCacheSettings()),
            kept=kept,
            accesses=accesses,
            listings=listings,
            restoring=restoring,
            asking=Asking(restoring),
            reads=reads,
            writing=writing,
            notes=ProtectedBlocks(context.store, TestKeys(), TENANT),
        )
        with closing(listening(settings)) as port:
            app = application(parts)
            server = threading.Thread(target=serve, args=(app, port, settings, context), daemon=True)
            server.start()
            try:
                with Client(f"http://127.0.0.1:{port.getsockname()[1]}{DICOMWEB}", app.routes) as client:
                    yield client
            finally:
                context.stopping.set()
                server.join(_STOP_S)
