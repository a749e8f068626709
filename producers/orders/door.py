"""Who comes in to send orders, and who is told to go: counted, in the log, and in its audit.

Who may is read again when the configuration file changes. A RIS keeps its connection for months, so each message is
asked again: whoever may go on keeps it, and an exception ends also for who is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from producers.orders.config import Settings
from producers.orders.senders import SENTENCES, Senders
from streams import config, metrics
from streams.clock import Clock
from streams.health import Health
from streams.networks import address_of
from streams.peers.ends import end_of
from streams.peers.peer import Why
from streams.peers.refusals import NOBODY_YET, Kind, Refusals
from streams.tls.accepting import CLOSED, HandshakeFailed
from streams.tls.certificate import Certificate
from streams.tls.ends import End
from streams.tls.served import Served
from streams.watched import Watched

SECTION, TLS = "orders", "orders.tls"


@dataclass(frozen=True)
class Door:
    """`look` is called about once a second, from one thread, and `close` at the end; everything else from any."""

    senders: Callable[[], Senders]
    served: Served
    refusals: Refusals
    clock: Clock

    def admits(self, address: str) -> bool:
        """Whether it may go on without TLS, asked as it connects and at each message."""
        why = self.senders().refused(address_of(address), self.clock.now())
        if why is not None:
            self._refuse("connection.refused", address, why)
        return why is None

    def admits_by_tls(self, address: str, certificate: Certificate | None) -> bool:
        """The same by TLS. `certificate` is None before the handshake."""
        why = self.senders().refused_by_tls(address_of(address), certificate, self.clock.now())
        if why is not None:
            self._refuse("tls.refused", address, why)
        return why is None

    def full(self, address: str) -> None:
        """There was no room for it."""
        self._refuse("connection.refused", address, Why.LIMIT)

    def no_handshake(self, address: str, failed: HandshakeFailed) -> None:
        if failed.kind != CLOSED:
            self.refusals.no_handshake(address, failed.kind, failed.why)

    def look(self) -> None:
        self.served.look()
        self.refusals.publish()

    def close(self) -> None:
        self.refusals.publish(all_of_it=True)

    def _refuse(self, action: str, address: str, why: Why) -> None:
        metrics.HL7_CONNECTIONS_REFUSED.labels(why.value).inc()
        self.refusals.note(Kind(action, NOBODY_YET, address, why.value), SENTENCES[why])


def door_of(file: Path, settings: Settings, health: Health, clock: Clock, refusals: Refusals) -> Door:
    """`file` is the configuration's, `settings` what [orders] of it says.

    Raises ConfigError for files that cannot be used.
    """
    who = Watched[Senders]("senders", (file,), lambda: config.load(file).section(SECTION, Settings).senders)
    served = Served(TLS, settings.tls, health, clock, who, lambda: ends_of(who.value))
    return Door(lambda: who.value, served, refusals, clock)


def ends_of(senders: Senders) -> Iterator[End]:
    return (end_of(plain, f"{plain.address} in [{SECTION}]") for plain in senders.exceptions)
