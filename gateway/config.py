"""What can be set in [gateway]."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from streams.config import Service
from streams.networks import networks_of


class Settings(Service, frozen=True, kw_only=True):
    """Times are in seconds, sizes in bytes. `dsn` is the catalog's, of an account that may read it.

    It tells names and shows images, and asks nobody who they are: so it answers `addresses` alone, addresses and
    networks, which are this machine's until something that asks for sign-in stands in front.
    """

    dsn: str
    port: Annotated[int, Meta(ge=0, le=65535)]
    host: str = "127.0.0.1"
    # OHIF's `dist`; without it there is no viewer.
    viewer: Path | None = None
    addresses: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    # Names by which it is asked, as a browser's Host has them: a name of another site that leads here gets no answer.
    hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "[::1]")
    # Addresses and networks of proxies: they alone say for whom they ask, and by which scheme (X-Forwarded-*).
    proxies: tuple[str, ...] = ()
    # The router's STOW-RS, which what is posted here is handed to; without it nothing can be posted.
    stow_url: str | None = None
    # Requests under way at once: of all clients, and of one address.
    requests_max: Annotated[int, Meta(ge=1)] = 256
    requests_per_client_max: Annotated[int, Meta(ge=1)] = 64
    # Path and query of a request; what asks with more is refused (414).
    target_bytes_max: Annotated[int, Meta(ge=1024)] = 16 << 10
    # A form's body; what is stored is handed to the router as it comes, and may be longer.
    body_bytes_max: Annotated[int, Meta(ge=1024)] = 1 << 20
    stow_bytes_max: Annotated[int, Meta(ge=1024)] = 4 << 30
    # What requests hold while they decode and while their clients read; half of it for one address. Who finds no room
    # in time is told to ask again.
    memory_bytes_max: Annotated[int, Meta(ge=1 << 20)] = 512 << 20
    memory_wait_s: Annotated[float, Meta(gt=0)] = 5.0
    # A page of a search: what is asked for beyond it is on the next one.
    page_max: Annotated[int, Meta(ge=1)] = 1000
    # Results that a search may skip, as each is read for nothing; a page behind one that was shown just now skips none.
    skipped_max: Annotated[int, Meta(ge=0)] = 100_000
    # Who listens to /events at once.
    listeners_max: Annotated[int, Meta(ge=1)] = 100
    # Threads that decode, render and read files for all requests.
    workers: Annotated[int, Meta(ge=1)] = 8
    # Of images that were read and checked, what is held in memory for the next reader: a series of 1,000 CT slices.
    held_bytes_max: Annotated[int, Meta(ge=0)] = 512 << 20
    # Headers of images that arrive are read before anybody asks: so many a second, 0 for none; and so many wait for it.
    prepared_per_s_max: Annotated[int, Meta(ge=0)] = 200
    prepared_waiting_max: Annotated[int, Meta(ge=1)] = 10_000
    # Connections to the catalog.
    catalog_connections_max: Annotated[int, Meta(ge=1)] = 8
    # A connection that asks nothing for so long is closed.
    idle_timeout_s: Annotated[int, Meta(ge=1)] = 60
    # How long requests may go on after SIGTERM.
    stop_timeout_s: Annotated[float, Meta(ge=0)] = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for named in (self.addresses, self.proxies):
            networks_of(named)  # Its ValueError says what to write.
