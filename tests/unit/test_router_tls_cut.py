"""A connection under TLS that another thread cuts while its own has something to say."""

from __future__ import annotations

import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from producers.dicom_router.upper_layer.connection import Closed
from producers.dicom_router.upper_layer.tls_connection import TlsConnection
from streams.tls.files import Files
from streams.tls.ours import as_server
from tests.certificates import Authority

REPORT = b"an N-EVENT-REPORT"


class Recorded:
    """A peer's end of a connection, and every byte that came there."""

    def __init__(self, plain: socket.socket) -> None:
        self._plain = plain
        self.came = bytearray()

    def read(self) -> bytes:
        data = self._plain.recv(65_536)
        self.came += data
        return data


def shaken(peer: Recorded, plain: socket.socket, context: ssl.SSLContext) -> None:
    """The client's side of a handshake, byte by byte as they come."""
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    secured = context.wrap_bio(into, out)
    while True:
        try:
            secured.do_handshake()
        except ssl.SSLWantReadError:
            plain.sendall(out.read())
            into.write(peer.read())
        else:
            plain.sendall(out.read())
            return


def test_nothing_is_said_in_the_clear_between_the_cut_and_its_effect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    ours, theirs = authority.issue("router.example"), authority.issue("ct1.example")
    server = as_server(Files(certificate=ours.certificate_file, key=ours.key_file, ca=authority.file), "router.tls")
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(authority.file)
    client.load_cert_chain(theirs.certificate_file, theirs.key_file)
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as threads:
        plain = socket.create_connection(listening.getsockname(), 60)
        accepted, _ = listening.accept()
        peer = Recorded(plain)
        done = threads.submit(shaken, peer, plain, client)
        connection = TlsConnection(accepted, server.context)
        connection.handshake()
        done.result(60)
        with monkeypatch.context() as patched:
            # The moment before the kernel is asked.
            patched.setattr(socket.socket, "shutdown", lambda *_: None)
            connection.cut()
            with suppress(Closed):
                connection.send(REPORT)
        connection.close()
        with suppress(OSError):
            while peer.read():
                pass
        plain.close()
    assert REPORT not in peer.came
