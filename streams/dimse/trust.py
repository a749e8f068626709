"""Who may open an association: the peers file, and our side of TLS. Read again when they change."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

import structlog
from pynetdicom import evt

from streams import metrics
from streams.clock import Clock
from streams.dimse.config import Listening
from streams.health import Health
from streams.networks import address_of
from streams.peers.peer import Peer, Peers, Why
from streams.peers.reading import read_peers
from streams.tls.certificate import Certificate
from streams.tls.ours import as_server
from streams.tls.served import Served
from streams.watched import Watched

# Result, source and reason of the A-ASSOCIATE-RJ (PS3.8 table 9-21): calling AE title not recognized.
_REJECTION: Final = (1, 1, 3)


class Trust:
    """`look` is called about once a second, from one thread; everything else from any. Paths are absolute."""

    def __init__(self, section: str, settings: Listening, health: Health, clock: Clock) -> None:
        """Raises ConfigError for files that cannot be used."""
        self._health = health
        self._clock = clock
        self._peers: Watched[Peers] | None = None
        if settings.peers is not None:
            path = settings.peers
            self._peers = Watched("peers", (path,), lambda: read_peers(path))
        self.served = None if settings.tls is None else Served(settings.tls, f"{section}.tls", health, clock)

    @property
    def has_peers(self) -> bool:
        """Else everybody on this machine may ask."""
        return self._peers is not None

    def expects(self, address: str) -> bool:
        """Whether anybody may come from there by TLS: all others get no handshake."""
        return self._peers is not None and self._peers.value.expect(address_of(address))

    def look(self) -> None:
        if self._peers is not None:
            self._peers.look()
            problem = self._peers.problem
            self._health.warn("peers", f"{problem}; what was read before stays in force" if problem else "")
        if self.served is not None:
            self.served.look()

    def on_requested(self, event: evt.Event) -> None:
        """Bound to EVT_REQUESTED: rejects the association of who may not ask.

        pynetdicom goes on where a handler of it raises, so whoever was not found to be a peer is rejected in any case.
        """
        if self._peers is None:
            return
        association: Any = event.assoc
        found: Peer | Why = Why.CALLING_AE
        try:
            found = self._judged(association)
        finally:
            if isinstance(found, Why):
                metrics.ASSOCIATIONS_REFUSED.labels(found.value).inc()
                association.acse.send_reject(*_REJECTION)
                association.kill()
        if isinstance(found, Why):
            _tell(association, found)

    def _judged(self, association: Any) -> Peer | Why:
        assert self._peers is not None  # noqa: S101 - asked before
        calling_ae, address = association.requestor.primitive.calling_ae_title, association.requestor.address
        certificate: Certificate | None = association.dul.socket.certificate
        return self._peers.value.judge(calling_ae, address_of(address), certificate, self._today())

    def _today(self) -> date:
        return self._clock.now().date()


def _tell(association: Any, why: Why) -> None:
    structlog.get_logger().warning(
        "association_refused",
        peer=association.requestor.address,
        calling_ae=association.requestor.primitive.calling_ae_title,
        why=why.value,
        reason=why.sentence,
    )


def check_files(section: str, settings: Listening) -> None:
    """Raises ConfigError where a start would."""
    if settings.peers is not None:
        read_peers(settings.peers)
    if settings.tls is not None:
        as_server(settings.tls, f"{section}.tls")
