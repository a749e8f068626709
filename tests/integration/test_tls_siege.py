"""Each attack on the port for TLS: C-ECHO over TLS is answered within a second, memory stays, and no process dies."""

from __future__ import annotations

import ssl
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from streams.store_scu import Target
from tests.good_peer import scanner_context
from tests.raw_peer import RawPeer, associate_rq, p_data, pdv, store_rq
from tests.siege import Attack, Besieged, besieged

pytestmark = pytest.mark.timed

# The head of a ClientHello (RFC 8446 section 5.1) that says that 512 bytes follow.
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def router(folder: Path) -> Iterator[Besieged]:
    with besieged("tls", folder) as one:
        yield one


def peer(router: Besieged) -> RawPeer:
    return RawPeer(Target("RADSTREAM", "127.0.0.1", router.ports["dicom"]), "127.0.0.9")


def unsecured(data: bytes, times: int = 1) -> Attack:
    """No handshake, or a part of one, and silence."""

    @contextmanager
    def attack(router: Besieged, number: int) -> Iterator[None]:
        with ExitStack() as stack:
            with suppress(OSError):
                said = stack.enter_context(peer(router))
                for _ in range(times):
                    said.send(data)
            yield

    return attack


@contextmanager
def strange(router: Besieged, number: int) -> Iterator[None]:
    """Connections from where nobody may come, of ten addresses for each attacker, as long as they are taken."""
    with ExitStack() as stack:
        for source in range(40):
            with suppress(OSError):
                target = Target("RADSTREAM", "127.0.0.1", router.ports["dicom"])
                stack.enter_context(RawPeer(target, f"127.0.{1 + number}.{1 + source % 10}")).send(HELLO)
        yield


@contextmanager
def renewing(router: Besieged, number: int) -> Iterator[None]:
    """Handshakes without a certificate, one after another: each costs the router a signature."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for _ in range(40):
        with suppress(OSError), peer(router) as one, context.wrap_socket(one.socket) as secured:
            secured.recv(1)
    yield


def known(folder: Path, data: bytes, more: bytes = b"", times: int = 0) -> Attack:
    """A peer with a certificate says something, and more until it is not taken any more."""

    @contextmanager
    def attack(router: Besieged, number: int) -> Iterator[None]:
        with ExitStack() as stack:
            with suppress(OSError):
                one = stack.enter_context(peer(router))
                secured = stack.enter_context(scanner_context(folder).wrap_socket(one.socket))
                secured.sendall(data)
                for _ in range(times):
                    secured.sendall(more)
            yield

    return attack


ASKED = associate_rq().replace(b"PEER".ljust(16), b"CT1".ljust(16))
CLAIM = struct.pack(">BxI", 1, 0xFFFFFFFF)
STORE = ASKED + p_data(pdv(store_rq(), command=True))
ENDLESS = p_data(pdv(bytes(65_536), last=False))

# By name: how many attackers, and what each of them does.
ATTACKS: dict[str, tuple[int, Callable[[Path], Attack]]] = {
    "idle connections": (90, lambda _: unsecured(b"")),
    "handshakes that do not go on": (90, lambda _: unsecured(HELLO)),
    "rubbish instead of a handshake": (40, lambda _: unsecured(b"\x16" * 65_536, 16)),
    "handshakes over and over": (8, lambda _: renewing),
    "strangers": (16, lambda _: strange),
    "idle associations": (40, lambda folder: known(folder, ASKED)),
    "a PDU of 4 GB before an association": (40, lambda folder: known(folder, CLAIM, bytes(65_536), 16)),
    "objects that do not end": (40, lambda folder: known(folder, STORE, ENDLESS, 64)),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_withstood(router: Besieged, folder: Path, attack: str) -> None:
    attackers, does = ATTACKS[attack]
    router.withstands(does(folder), attackers)
