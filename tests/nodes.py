"""DICOM nodes of others, as tests need them: one that keeps what it gets, one that never answers, one that is down."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pynetdicom import AE, evt

from streams.config import Config
from streams.routes.rules import Destination
from streams.tls.clients import Clients
from tests.waiting import wait_until

CT = "1.2.840.10008.5.1.4.1.1.2"


def no_tls() -> Clients:
    """Of a site whose nodes have none."""
    return Clients(Config(Path("radstream.toml"), "", {}))


@dataclass
class Node:
    """Written to by the node's threads. `answer` gives the status for the n-th C-STORE, from 0."""

    port: int = 0
    answer: Callable[[int], int] = lambda _: 0x0000
    instances: list[str] = field(default_factory=list)
    syntaxes: list[str] = field(default_factory=list)
    data_sets: list[bytes] = field(default_factory=list)
    associations: int = 0
    released: int = 0
    proposed: list[tuple[str, str]] = field(default_factory=list)

    def destination(self, **more: Any) -> Destination:
        return Destination(ae_title="NODE", host="127.0.0.1", port=self.port, **{"answer_s": 30.0, **more})

    def _stored(self, event: Any) -> int:
        self.instances.append(str(event.request.AffectedSOPInstanceUID))
        self.syntaxes.append(str(event.context.transfer_syntax))
        self.data_sets.append(event.request.DataSet.getvalue())
        return self.answer(len(self.instances) - 1)

    def _opened(self, event: Any) -> None:
        self.associations += 1
        contexts = event.assoc.requestor.requested_contexts
        self.proposed = [(str(one.abstract_syntax), str(one.transfer_syntax[0])) for one in contexts]

    def _closed(self, _: Any) -> None:
        self.released += 1


@contextmanager
def serving(
    entity: AE, handlers: list[evt.EventHandlerType], port: int = 0, tls: ssl.SSLContext | None = None
) -> Iterator[int]:
    """On loopback until the block ends, which shuts the door and then ends whoever is still inside. Its port."""
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers, ssl_context=tls)
    assert server is not None
    try:
        yield server.socket.getsockname()[1]
    finally:
        # In who is about to end by himself, pynetdicom's thread dies where it is told to end.
        wait_until(lambda: all(one.is_established for one in entity.active_associations), "connections to end")
        entity.shutdown()


@contextmanager
def node(
    syntaxes: Sequence[str],
    answer: Callable[[int], int] = lambda _: 0x0000,
    *,
    sop_classes: Sequence[str] = (CT,),
    port: int = 0,
    tls: ssl.SSLContext | None = None,
) -> Iterator[Node]:
    """A storage SCP (pynetdicom) that takes these transfer syntaxes."""
    made = Node(answer=answer)
    entity = AE("NODE")
    for sop_class in sop_classes:
        entity.add_supported_context(sop_class, list(syntaxes))
    handlers = [
        (evt.EVT_C_STORE, made._stored),
        (evt.EVT_REQUESTED, made._opened),
        (evt.EVT_RELEASED, made._closed),
    ]
    with serving(entity, handlers, port, tls) as made.port:
        yield made


@contextmanager
def silent() -> Iterator[Node]:
    """Takes connections and never says a word."""
    listener = socket.create_server(("127.0.0.1", 0))
    taken: list[socket.socket] = []
    made = Node(port=listener.getsockname()[1])

    def take() -> None:
        try:
            while True:
                taken.append(listener.accept()[0])
                made.associations += 1
        except OSError:
            return

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)
        for one in taken:
            one.close()
