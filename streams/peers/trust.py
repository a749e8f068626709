"""What a door believes now: the peers file and our side of TLS, read again while associations go on.

A connection keeps what was believed when it came: neither a new certificate nor a peer that was taken away ends it.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from pathlib import Path

from streams.clock import Clock
from streams.health import Health
from streams.networks import address_of
from streams.peers.ends import ends_of_exceptions, ends_of_peers
from streams.peers.peer import Peers
from streams.peers.reading import read_peers
from streams.tls.ends import End
from streams.tls.files import Files
from streams.tls.ours import as_server
from streams.tls.served import Served
from streams.watched import Watched


class Trust:
    """`look` is called about once a second, from one thread; everything else from any. Paths are absolute."""

    def __init__(
        self,
        section: str,
        peers: Path | None,
        tls: Files | None,
        health: Health,
        clock: Clock,
        more: Callable[[], Iterable[End]] = tuple,
    ) -> None:
        """`section` is where the configuration names `tls`; `more` is what ends beside these.

        Raises ConfigError for files that cannot be used.
        """
        self._seen: dict[str, datetime] = {}
        self._more = more
        self._peers = None if peers is None else Watched[Peers]("peers", (peers,), lambda: read_peers(peers))
        self._served = Served(section, tls, health, clock, self._peers, self._ends)

    @property
    def peers(self) -> Peers | None:
        """None where there is no peers file: then everybody on this machine may come."""
        return None if self._peers is None else self._peers.value

    @property
    def context(self) -> ssl.SSLContext | None:
        """For the next connection; None where there is no TLS."""
        return self._served.context

    def expects(self, address: str, today: date, *, by_tls: bool) -> bool:
        """Whether anybody may come from there: all others are strangers, whoever they say they are."""
        peers = self.peers
        return peers is None or peers.expect(address_of(address), today, by_tls=by_tls)

    def saw(self, ae_title: str, ends_at: datetime) -> None:
        """A peer came with a certificate that ends then."""
        self._seen[ae_title] = ends_at

    def look(self) -> None:
        """Reads what changed, and says what is broken and what ends soon."""
        self._served.look()

    def _ends(self) -> Iterator[End]:
        yield from self._more()
        if (peers := self.peers) is not None:
            yield from ends_of_exceptions(peers)
            yield from ends_of_peers({title: at for title, at in tuple(self._seen.items()) if title in peers.by_title})


def check_files(section: str, peers: Path | None, tls: Files | None) -> None:
    """Raises ConfigError where a start would."""
    if peers is not None:
        read_peers(peers)
    if tls is not None:
        as_server(tls, section)
