"""Each attack on the worklist's port: C-ECHO is answered within a second all the while, and memory stays."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from streams.dimse.connections import PDU_BYTES_MAX
from streams.sop_classes import MODALITY_WORKLIST
from streams.store_scu import Target
from tests.hostile_data_sets import bomb, nesting_of_defined_length
from tests.raw_peer import (
    VERIFICATION,
    RawPeer,
    associate_rq,
    command,
    context_item,
    echo_rq,
    element,
    p_data,
    pdv,
    short,
)
from tests.routers import EXPLICIT, IMPLICIT
from tests.siege import Attack, Besieged, besieged
from tests.waiting import wait_until

pytestmark = pytest.mark.timed

DEFLATED = "1.2.840.10008.1.2.1.99"
# One address may have 8 associations.
PER_PEER = 8
FIND = command(
    element(0x0002, MODALITY_WORKLIST.encode()),
    short(0x0100, 0x0020),
    short(0x0110, 1),
    short(0x0700, 0),
    short(0x0800, 1),
)


@pytest.fixture(scope="module")
def worklist(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    with besieged("worklist", tmp_path_factory.mktemp("worklist")) as one:
        yield one


def peer(worklist: Besieged, number: int) -> RawPeer:
    source = f"127.0.{worklist.attacks}.{9 + number // PER_PEER}"
    return RawPeer(Target("RADSTREAM", "127.0.0.1", worklist.ports["dicom"]), source)


def saying(data: bytes, more: bytes = b"", times: int = 0) -> Attack:
    """Says something, and more until it is not taken any more, and stays."""

    @contextmanager
    def attack(worklist: Besieged, number: int) -> Iterator[None]:
        with ExitStack() as stack:
            with suppress(OSError):
                said = stack.enter_context(_peer(worklist, number, data[: len(ASKED)] == ASKED))
                said.send(data.removeprefix(ASKED))
                for _ in range(times):
                    said.send(more)
            yield

    return attack


def asking(identifier: bytes, transfer_syntax: str) -> Attack:
    """C-FIND, and its answer, which is a refusal, or the rejection of its context."""

    @contextmanager
    def attack(worklist: Besieged, number: int) -> Iterator[None]:
        asked = context_item(1, MODALITY_WORKLIST, (transfer_syntax,)), context_item(3, VERIFICATION, (IMPLICIT,))
        scanner = _in_time(worklist, number, associate_rq(*asked))
        with scanner, suppress(ConnectionError):
            scanner.send(p_data(pdv(FIND, command=True)))
            for at in range(0, len(identifier), 16_000):
                scanner.send(p_data(pdv(identifier[at : at + 16_000], last=at + 16_000 >= len(identifier))))
            scanner.read()
            yield
            return
        yield

    return attack


def _peer(worklist: Besieged, number: int, associated: bool) -> RawPeer:
    return _in_time(worklist, number, ASKED) if associated else peer(worklist, number)


def _in_time(worklist: Besieged, number: int, asked: bytes) -> RawPeer:
    return wait_until(lambda: _associated(worklist, number, asked), "room for an association")


def _associated(worklist: Besieged, number: int, asked: bytes) -> RawPeer | None:
    """None while those of the attack before are not gone yet."""
    one = peer(worklist, number)
    try:
        one.send(asked)
        if (answer := one.read()) is not None and answer.kind == 2:
            return one
    except ConnectionError:
        pass
    one.socket.close()
    return None


@contextmanager
def flooding(worklist: Besieged, number: int) -> Iterator[None]:
    for _ in range(50):
        with suppress(OSError), peer(worklist, 0) as one:
            one.send(b"\x01\x00\xff")
    yield


def of_elements(size: int) -> bytes:
    """Empty elements, each another one, in implicit VR."""
    tags = (struct.pack("<HHI", 9 + 2 * (at // 65_536), at % 65_536, 0) for at in range(size // 8))
    return b"".join(tags)


ASKED = associate_rq(context_item(1, MODALITY_WORKLIST, (IMPLICIT,)), context_item(3, VERIFICATION, (IMPLICIT,)))
ENDLESS = p_data(pdv(bytes(16_000), last=False))
LARGE = (2 << 20) - 1000

# By name: how many attackers, and what each of them does.
ATTACKS: dict[str, tuple[int, Attack]] = {
    "idle connections": (8, saying(b"")),
    "idle associations": (8, saying(ASKED)),
    "a PDU of 4 GB": (8, saying(struct.pack(">BxI", 1, 0xFFFFFFFF), bytes(65_536), 16)),
    "requests that lack their last byte": (8, saying(struct.pack(">BxI", 1, PDU_BYTES_MAX), bytes(65_535), 16)),
    "an identifier that does not end": (8, saying(ASKED + p_data(pdv(FIND, command=True)), ENDLESS, 500)),
    "a command set that does not end": (8, saying(ASKED, p_data(pdv(bytes(16_000), command=True, last=False)), 2000)),
    "deflated gigabytes": (8, asking(bomb(), DEFLATED)),
    "a great many elements": (8, asking(of_elements(LARGE), IMPLICIT)),
    "sequences in sequences": (8, asking(nesting_of_defined_length(), IMPLICIT)),
    "rubbish": (8, asking(b"\xff" * 100_000, EXPLICIT)),
    "echoes without an end": (8, saying(ASKED, p_data(pdv(echo_rq(), command=True, context=3)) * 100, 3)),
    "a flood of connections": (8, flooding),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_withstood(worklist: Besieged, attack: str) -> None:
    attackers, does = ATTACKS[attack]
    worklist.withstands(does, attackers)
