"""Each attack by STOW-RS: C-ECHO is answered within a second all the while, memory stays, and no process dies."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from tests.hostile_data_sets import bomb, nesting
from tests.siege import Attack, Besieged, besieged
from tests.stow import BOUNDARY, DICOM_PART, answered, body_of, file_of, request_head

pytestmark = pytest.mark.timed

SENT_BYTES = 16 << 20


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    with besieged("router", tmp_path_factory.mktemp("stow")) as one:
        yield one


def connected(router: Besieged, source: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", router.ports["stow"]), timeout=60.0, source_address=(source, 0))


def keeps(router: Besieged) -> bool:
    """Whether a good sender, who has another address than the attackers, is served."""
    body = body_of([file_of()])
    with connected(router, "127.0.0.2") as peer:
        peer.sendall(request_head(len(body), "Connection: close") + body)
        return answered(peer).status == 200


def flooding(begin: bytes, more: bytes) -> Attack:
    """Sends until it is told to stop, or much has gone, and stays."""

    @contextmanager
    def attack(router: Besieged, number: int) -> Iterator[None]:
        with ExitStack() as stack:
            with suppress(OSError):
                peer = stack.enter_context(connected(router))
                peer.sendall(begin)
                for _ in range(SENT_BYTES // len(more) if more else 0):
                    peer.sendall(more)
            yield

    return attack


def posting(file: bytes) -> Attack:
    """A whole request, and its answer."""

    @contextmanager
    def attack(router: Besieged, number: int) -> Iterator[None]:
        body = body_of([file])
        with connected(router) as peer:
            peer.sendall(request_head(len(body), "Connection: close") + body)
            assert answered(peer).status in (200, 409)
            yield

    return attack


def opening(head: str = DICOM_PART) -> bytes:
    return f"--{BOUNDARY}\r\n{head}".encode()


def file(data_set: bytes, syntax: bytes) -> bytes:
    """With a group 0002 that says the transfer syntax, and nothing else."""
    uid = syntax + b"\0" * (len(syntax) % 2)
    return bytes(128) + b"DICM\x02\0\x10\0UI" + len(uid).to_bytes(2, "little") + uid + data_set


CHUNKED, LONG = request_head(None), request_head(1 << 40)
# By name: how many attackers, and what each of them does.
ATTACKS: dict[str, tuple[int, Attack]] = {
    "idle connections": (24, flooding(b"", b"")),
    "requests that stop": (12, flooding(LONG + opening(), b"")),
    "a part over the ceiling": (12, flooding(LONG + opening(), bytes(1 << 20))),
    "a part of what looks like boundaries": (
        12,
        flooding(LONG + opening(), f"\r\n--{BOUNDARY[:-1]}".encode() * 40_000),
    ),
    "a preamble that does not end": (12, flooding(LONG, b"\r\n" + bytes(1 << 20))),
    "a header that does not end": (12, flooding(LONG + opening("X: "), b"y" * (1 << 20))),
    "headers that do not end": (12, flooding(LONG + opening(""), b"X: y\r\n" * 150_000)),
    "an epilogue that does not end": (12, flooding(LONG + body_of([file_of()]), bytes(1 << 20))),
    "parts that do not end": (12, flooding(LONG, (opening() + b"no DICOM\r\n") * 20_000)),
    "chunks of a byte": (
        12,
        flooding(CHUNKED + b"40\r\n" + opening()[:64].ljust(64, b" ") + b"\r\n", b"1\r\nx\r\n" * 150_000),
    ),
    "a chunk extension that does not end": (12, flooding(CHUNKED + b"1;", b"x" * (1 << 20))),
    "a head that does not end": (12, flooding(b"POST /studies HTTP/1.1\r\nX: ", b"y" * (1 << 20))),
    "deflated gigabytes": (12, posting(file(bomb(), b"1.2.840.10008.1.2.1.99"))),
    "sequences in sequences": (12, posting(file(nesting(True), b"1.2.840.10008.1.2.1"))),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_withstood(router: Besieged, attack: str) -> None:
    attackers, does = ATTACKS[attack]
    assert keeps(router)
    router.withstands(does, attackers)
    assert keeps(router)
