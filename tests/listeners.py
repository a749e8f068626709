"""A listener for HL7 in this process, on a log and a store in memory, for tests that talk MLLP to it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from producers.orders.announcing import Announcer
from producers.orders.config import Settings
from producers.orders.door import TLS, Door, door_of
from producers.orders.framing import framed
from producers.orders.listening import Listener
from producers.orders.placed import PlacedOrders
from producers.orders.receiving import Receiver
from streams.config import Site, load
from streams.events import AuditEvent, Event, OrderCommand
from streams.health import Health
from streams.log import TopicPartition
from streams.memory_log import MemoryLog
from streams.peers.refusal_audit import RefusalAudit
from streams.peers.refusals import Refusals
from streams.tls.served import Served
from streams.wire import SchemaIds, decode
from tests.event_streams import SITE, TENANT, Hospital, new_log
from tests.routers import AdjustableClock


@dataclass
class Mllp:
    """One connection of a RIS."""

    socket: socket.socket

    def send(self, message: str | bytes) -> list[str]:
        """The segments of the answer."""
        self.socket.sendall(framed(message if isinstance(message, bytes) else message.encode()))
        return self.answer()

    def answer(self) -> list[str]:
        """Empty where the connection was closed."""
        data = b""
        while not data.endswith(b"\x1c\r"):
            if not (more := self.socket.recv(4096)):
                return []
            data += more
        return data[1:-2].decode("ascii").rstrip("\r").split("\r")


@dataclass
class Running:
    port: int
    log: MemoryLog
    hospital: Hospital
    health: Health
    receiver: Receiver
    door: Door
    clock: AdjustableClock
    tls_port: int | None = None

    @contextmanager
    def connection(self, tls: ssl.SSLContext | None = None) -> Iterator[Mllp]:
        port = self.port if tls is None else self.tls_port
        with socket.create_connection(("127.0.0.1", port or 0), timeout=120) as peer:
            if tls is None:
                yield Mllp(peer)
                return
            with tls.wrap_socket(peer) as secured:
                yield Mllp(secured)

    def send(self, message: str | bytes) -> list[str]:
        with self.connection() as ris:
            return ris.send(message)

    def commands(self) -> list[OrderCommand]:
        return commands_in(self.log)

    def audited(self) -> list[tuple[str, str, str]]:
        """Action, address and why, of everybody who was refused so far."""
        self.door.close()
        found = [event for event in events_in(self.log, "imaging.audit.event") if isinstance(event, AuditEvent)]
        return [(event.action, event.attributes["address"], event.attributes["why"]) for event in found]


def commands_in(log: MemoryLog) -> list[OrderCommand]:
    return [event for event in events_in(log, "imaging.order.command") if isinstance(event, OrderCommand)]


def events_in(log: MemoryLog, topic: str) -> list[Event]:
    """In the order of the log, partition by partition."""
    found = []
    for number in range(log.partitions(topic)):
        partition = TopicPartition(topic, number)
        first, end = log.bounds([partition])[partition]
        found += [decode(record) for record in log.read(partition, first, end)]
    return found


@contextmanager
def running_listener(hospital: Hospital | None = None, file: Path | None = None, **settings: Any) -> Iterator[Running]:
    """Listens on a free port of loopback until the block ends. `file` is a configuration instead of `settings`."""
    hospital, log = hospital or Hospital(), new_log()
    clock, site, source = AdjustableClock(), Site(tenant=TENANT, site=SITE), "radstream/test/here/orders"
    chosen = load(file).section("orders", Settings) if file else Settings(http_port=0, port=0, **settings)
    health = Health(clock)
    health.ready("started", True)
    receiver = Receiver(
        announcer=Announcer(site, hospital.blocks, clock),
        placed=PlacedOrders(log, TENANT),
        producer=log.producer(),
        ids=SchemaIds(),
        health=health,
        settings=chosen,
        source=source,
    )
    refusals = Refusals(RefusalAudit(site, SchemaIds(), clock, source).made, log.producer(), clock)
    if file is not None:
        door = door_of(file, chosen, health, clock, refusals)
    else:
        door = Door(lambda: chosen.senders, Served(TLS, chosen.tls, health, clock), refusals, clock)
    listener = Listener(chosen, receiver, door)
    try:
        yield Running(listener.port, log, hospital, health, receiver, door, clock, listener.tls_port)
    finally:
        listener.stop()
