"""A listener for HL7 in this process, on a log and a store in memory, for tests that talk MLLP to it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from producers.orders.announcing import Announcer
from producers.orders.config import Settings
from producers.orders.framing import framed
from producers.orders.listening import Listener
from producers.orders.placed import PlacedOrders
from producers.orders.receiving import Receiver
from streams.clock import SystemClock
from streams.config import Site
from streams.events import OrderCommand
from streams.health import Health
from streams.log import TopicPartition
from streams.memory_log import MemoryLog
from streams.tls.served import Served
from streams.wire import SchemaIds, decode
from tests.event_streams import SITE, TENANT, Hospital, new_log


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
    tls_port: int | None = None

    @contextmanager
    def connection(self, tls: ssl.SSLContext | None = None) -> Iterator[Mllp]:
        port = self.port if tls is None else self.tls_port
        with socket.create_connection(("127.0.0.1", port or 0), timeout=30) as peer:
            if tls is None:
                yield Mllp(peer)
                return
            with tls.wrap_socket(peer) as secured:
                yield Mllp(secured)

    def send(self, message: str | bytes) -> list[str]:
        with self.connection() as ris:
            return ris.send(message)

    def commands(self) -> list[OrderCommand]:
        """In the order of the log, partition by partition."""
        found = []
        for number in range(self.log.partitions("imaging.order.command")):
            partition = TopicPartition("imaging.order.command", number)
            first, end = self.log.bounds([partition])[partition]
            found += [decode(record) for record in self.log.read(partition, first, end)]
        return [event for event in found if isinstance(event, OrderCommand)]


@contextmanager
def running_listener(hospital: Hospital | None = None, **settings: Any) -> Iterator[Running]:
    """Listens on a free port of loopback until the block ends."""
    hospital, log = hospital or Hospital(), new_log()
    chosen, clock = Settings(http_port=0, port=0, **settings), SystemClock()
    health = Health(clock)
    health.ready("started", True)
    served = None if chosen.tls is None else Served(chosen.tls, "orders.tls", health, clock)
    receiver = Receiver(
        announcer=Announcer(Site(tenant=TENANT, site=SITE), hospital.blocks, clock),
        placed=PlacedOrders(log, TENANT),
        producer=log.producer(),
        ids=SchemaIds(),
        health=health,
        settings=chosen,
        source="radstream/test/here/orders",
    )
    listener = Listener(chosen, receiver, served.context if served else lambda: None)
    try:
        yield Running(listener.port, log, hospital, health, receiver, listener.tls_port)
    finally:
        listener.stop()
