"""Each attack on the router: C-ECHO is answered within a second all the while, memory stays, and no process dies."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from producers.dicom_router.arrival import TOO_LARGE
from streams.store_scu import Target
from tests.besieged import OBJECT_BYTES_MAX
from tests.hostile_data_sets import bomb, nesting, nesting_of_defined_length
from tests.raw_peer import RawPeer, associate_rq, context_item, echo_rq, item, p_data, pdu, pdv, status_of, store_rq
from tests.routers import CT, EXPLICIT, IMPLICIT
from tests.siege import Attack, Besieged, besieged

pytestmark = pytest.mark.timed

MIB = 1 << 20
DEFLATED = "1.2.840.10008.1.2.1.99"


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    with besieged("router", tmp_path_factory.mktemp("router")) as one:
        yield one


def peer(router: Besieged, number: int, at_once: int = 48) -> RawPeer:
    """From the attackers' first address as many as it may have, 48 associations or 96 connections; else the second."""
    return RawPeer(Target("RADSTREAM", "127.0.0.1", router.ports["dicom"]), f"127.0.0.{9 + number // at_once}")


@contextmanager
def silent(router: Besieged, number: int) -> Iterator[None]:
    with ExitStack() as stack:
        with suppress(OSError):
            stack.enter_context(peer(router, 0))
        yield


def saying(data: bytes, more: bytes = b"", times: int = 0, at_once: int = 48) -> Attack:
    """Says something, and more until nobody takes it or it was said so often, and stays."""

    @contextmanager
    def attack(router: Besieged, number: int) -> Iterator[None]:
        with ExitStack() as stack:
            with suppress(OSError):
                said = stack.enter_context(peer(router, number, at_once))
                said.send(data)
                for _ in range(times):
                    said.send(more)
            yield

    return attack


def storing(data_set: bytes, transfer_syntax: str, status: int = 0) -> Attack:
    """C-STORE of a data set, and its answer."""

    @contextmanager
    def attack(router: Besieged, number: int) -> Iterator[None]:
        with peer(router, number).associated(associate_rq(context_item(1, CT, (transfer_syntax,)))) as sender:
            sender.send(p_data(pdv(store_rq(), command=True)))
            for at in range(0, len(data_set), 65_536):
                sender.send(p_data(pdv(data_set[at : at + 65_536], last=False)))
            sender.send(p_data(pdv(b"")))
            answer = sender.read()
            assert answer is not None, "the connection was closed"
            assert status_of(answer) == status
            yield

    return attack


@contextmanager
def dripping(router: Besieged, number: int) -> Iterator[None]:
    """A data set by fragments of a byte."""
    with peer(router, number).associated() as sender:
        sender.send(p_data(pdv(store_rq(), command=True)))
        for _ in range(200):
            sender.send(p_data(pdv(b"\0", last=False)))
        yield


@contextmanager
def flooding(router: Besieged, number: int) -> Iterator[None]:
    for _ in range(200):
        with suppress(OSError), peer(router, 0) as one:
            one.send(b"\x01\x00\xff")
    yield


def tiny_names() -> bytes:
    """A request of half a megabyte that is all names of transfer syntaxes."""
    names = item(0x40, b"1.") * 10_900
    contexts = b"".join(item(0x20, bytes((at, 0, 0, 0)) + names[:65_400]) for at in range(1, 16, 2))
    return associate_rq(contexts)


def half_a_request() -> bytes:
    return struct.pack(">BxI", 1, MIB) + bytes(MIB - 1)


ENDLESS = p_data(pdv(bytes(65_536), last=False))
STORE = associate_rq() + p_data(pdv(store_rq(), command=True))
ECHOES = p_data(pdv(echo_rq(), command=True, context=3)) * 500

# By name: how many attackers, and what each of them does.
ATTACKS: dict[str, tuple[int, Attack]] = {
    "idle connections": (110, silent),
    "idle associations": (60, saying(associate_rq())),
    "a PDU of 4 GB before an association": (64, saying(struct.pack(">BxI", 1, 0xFFFFFFFF), bytes(65_536), 64)),
    "requests that lack their last byte": (124, saying(half_a_request(), at_once=96)),
    "requests of tiny names": (96, saying(tiny_names(), at_once=96)),
    "a PDU of 4 GB in an association": (48, saying(associate_rq() + struct.pack(">BxI", 4, 0xFFFFFFFF), ENDLESS, 16)),
    "objects that do not end": (60, saying(STORE, ENDLESS, 112)),
    "objects by drops": (48, dripping),
    "objects over the ceiling": (16, storing(bytes(2 * OBJECT_BYTES_MAX), EXPLICIT, TOO_LARGE)),
    "deflated gigabytes": (16, storing(bomb(), DEFLATED)),
    "sequences in sequences": (16, storing(nesting(True), EXPLICIT)),
    "sequences in sequences, implicit": (16, storing(nesting(False), IMPLICIT)),
    "sequences in sequences of defined length": (16, storing(nesting_of_defined_length(), IMPLICIT)),
    "a great many elements": (8, storing(b"\x08\x00\x05\x00CS\x00\x00" * 800_000, EXPLICIT)),
    "a flood of connections": (8, flooding),
    "peers that read no answer": (16, saying(associate_rq(), ECHOES, 40)),
    "rubbish": (48, saying(pdu(9, bytes(1000)) * 10)),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_withstood(router: Besieged, attack: str) -> None:
    attackers, does = ATTACKS[attack]
    router.withstands(does, attackers)
