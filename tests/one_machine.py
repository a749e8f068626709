"""`python -m tests.one_machine dicom|stow|worklist|orders`: as many connections as one peer may have, from one IPv6
address of a machine; then from another address of its /64, and from another machine's.

Says as one line of JSON, of both, how the answer began: nothing where the connection was closed. The addresses have to
be this machine's, as in a network namespace of its own.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta

from producers.dicom_router.stow.config import Settings as Stow
from producers.orders.framing import framed
from streams import logs
from streams.peers.exceptions import Excepted
from tests.event_streams import Hospital, new_log
from tests.hl7_messages import OMI
from tests.listeners import running_listener
from tests.raw_peer import associate_rq
from tests.routers import running_router
from tests.worklists import running_worklist

MACHINE, ITS_OTHER, ANOTHER = ADDRESSES = ("fd00::5", "fd00::6", "fd00:0:0:1::7")
HOST, EVERYBODY = "::1", ("fd00::/16",)
_ONE = {"associations_max": 8, "associations_per_peer_max": 1}
_PATIENCE_S = 60.0


@contextmanager
def running(service: str) -> Iterator[tuple[int, int, bytes]]:
    """Its port, how many connections one peer may have, and what it answers."""
    if service == "dicom":
        with running_router(host=HOST, **_ONE) as router:
            yield router.target.port, 2, associate_rq()
    elif service == "stow":
        stow = Stow(port=0, host=HOST, addresses=EVERYBODY, requests_max=8, requests_per_peer_max=1)
        with running_router(stow=stow) as router:
            assert router.doors.stow is not None
            yield router.doors.stow.port, 2, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    elif service == "worklist":
        with running_worklist(new_log(), Hospital(), host=HOST, **_ONE) as worklist:
            yield worklist.port, 2, associate_rq()
    else:
        until = datetime.now(UTC).date() + timedelta(days=1)
        plain = tuple(Excepted(address=one, until=until) for one in ADDRESSES)
        with running_listener(host=HOST, plain=plain, connections_per_peer_max=1) as listener:
            yield listener.port, 1, framed(OMI.encode())


def begun(port: int, source: str, says: bytes) -> str:
    """The first byte of the answer, as a number in hexadecimal."""
    with suppress(ConnectionError), connection(port, source) as peer:
        peer.sendall(says)
        return peer.recv(1).hex()
    return ""


def connection(port: int, source: str) -> socket.socket:
    peer = socket.socket(socket.AF_INET6)
    peer.settimeout(_PATIENCE_S)
    peer.bind((source, 0))
    peer.connect((HOST, port))
    return peer


def main() -> None:
    logs.configure("one_machine", "critical")
    with running(sys.argv[1]) as (port, of_one, says), ExitStack() as stack:
        for _ in range(of_one):
            stack.enter_context(connection(port, MACHINE))
        print(json.dumps([begun(port, source, says) for source in (ITS_OTHER, ANOTHER)]))  # noqa: T201


if __name__ == "__main__":
    main()
