"""What is believed now. Files that change are read again while associations go on; what is broken changes nothing.

A connection keeps what was believed when it came: neither a new certificate nor a peer that was taken away ends it.
"""

from __future__ import annotations

import ssl
from datetime import datetime
from typing import Final

from producers.dicom_router.config import Settings
from producers.dicom_router.trust.ends import ends_of_exceptions, ends_of_peers, ends_of_stow
from streams import metrics
from streams.clock import Clock
from streams.gauges import Board
from streams.health import Health
from streams.peers.peer import Peers
from streams.peers.reading import read_peers
from streams.tls.ends import End, ends_of_ours, first_of_each, soon
from streams.tls.ours import Ours, as_server
from streams.watched import Watched

SECTION: Final = "router.tls"


class Trust:
    """`look` is called about once a second, from one thread; everything else from any."""

    def __init__(self, settings: Settings, health: Health, clock: Clock) -> None:
        """Raises ConfigError for files that cannot be used."""
        self._health = health
        self._clock = clock
        self._board = Board()
        self._seen: dict[str, datetime] = {}
        self._ends_of_stow = tuple(ends_of_stow(settings.stow))
        self._peers: Watched[Peers] | None = None
        self._ours: Watched[Ours] | None = None
        if settings.peers is not None:
            path = settings.peers
            self._peers = Watched("peers", (path,), lambda: read_peers(path))
        if settings.tls is not None:
            tls = settings.tls
            self._ours = Watched("tls", tls.files, lambda: as_server(tls, SECTION))
        self._tell()

    @property
    def peers(self) -> Peers | None:
        """None where there is no peers file: then everybody on this machine may send."""
        return None if self._peers is None else self._peers.value

    @property
    def context(self) -> ssl.SSLContext | None:
        """For the next connection; None where there is no TLS."""
        return None if self._ours is None else self._ours.value.context

    def saw(self, ae_title: str, ends_at: datetime) -> None:
        """A peer came with a certificate that ends then."""
        self._seen[ae_title] = ends_at

    def look(self) -> None:
        """Reads what changed, and says what is broken and what ends soon."""
        for watched in (self._peers, self._ours):
            if watched is not None:
                watched.look()
        self._tell()

    def _tell(self) -> None:
        now = self._clock.now()
        for name, watched in (("peers", self._peers), ("tls", self._ours)):
            problem = watched.problem if watched is not None else None
            self._health.warn(name, f"{problem}; what was read before stays in force" if problem else "")
        ends = self._ends()
        self._board.show(metrics.TRUST_DAYS_LEFT, first_of_each(ends, now))
        self._health.warn("ends", soon(ends, now, "radstream doctor"))

    def _ends(self) -> list[End]:
        ends = list(self._ends_of_stow)
        if self._ours is not None:
            ends += ends_of_ours(self._ours.value.ends_at.items(), SECTION)
        if self._peers is not None:
            peers = self._peers.value
            ends += ends_of_exceptions(peers)
            ends += ends_of_peers({title: at for title, at in tuple(self._seen.items()) if title in peers.by_title})
        return ends


def check_files(settings: Settings) -> None:
    """Raises ConfigError where a start would."""
    if settings.peers is not None:
        read_peers(settings.peers)
    if settings.tls is not None:
        as_server(settings.tls, SECTION)
