"""`python -m tests.good_peer dicom|hl7 PORT [FOLDER]`: a good peer that asks again and again until its input ends.

For each answer it prints how long it took, in seconds, from the connection on: C-ECHO over an association of its own
(over TLS where FOLDER has `scanner.json`), or an order over MLLP. It comes from another address than the attackers.
"""

from __future__ import annotations

import json
import select
import socket
import ssl
import sys
import time
from pathlib import Path

from producers.orders.framing import framed
from streams.store_scu import Target
from tests.hl7_messages import ORM
from tests.raw_peer import RELEASE_RQ, RawPeer, associate_rq, echo_rq, p_data, pdv, status_of

ADDRESS = "127.0.0.2"
_BETWEEN_S = 0.01


def main() -> None:
    kind, port = sys.argv[1], int(sys.argv[2])
    context = scanner_context(Path(sys.argv[3])) if len(sys.argv) > 3 else None
    while not select.select([sys.stdin], [], [], _BETWEEN_S)[0]:
        began = time.monotonic()
        if kind == "dicom":
            _echo(port, context)
        else:
            _order(port)
        print(time.monotonic() - began, flush=True)  # noqa: T201


def _echo(port: int, context: ssl.SSLContext | None) -> None:
    asked = associate_rq().replace(b"PEER".ljust(16), b"CT1".ljust(16))
    with RawPeer(Target("RADSTREAM", "127.0.0.1", port), ADDRESS) as peer:
        if context is not None:
            peer.socket = context.wrap_socket(peer.socket)
        peer.associated(asked).send(p_data(pdv(echo_rq(), command=True, context=3)))
        answer = peer.read()
        assert answer is not None, "the connection was closed"
        assert status_of(answer) == 0
        peer.send(RELEASE_RQ)
        assert peer.read() is not None


def _order(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30, source_address=(ADDRESS, 0)) as ris:
        ris.sendall(framed(ORM.encode()))
        answer = b""
        while not answer.endswith(b"\x1c\r"):
            more = ris.recv(4096)
            assert more, "the connection was closed"
            answer += more
    assert b"MSA|AA|" in answer


def scanner_context(folder: Path) -> ssl.SSLContext:
    named = json.loads((folder / "scanner.json").read_text())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(named["ca"])
    context.load_cert_chain(named["cert"], named["key"])
    return context


if __name__ == "__main__":
    main()
