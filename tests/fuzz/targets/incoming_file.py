"""A DICOM file that comes in by pieces (PS3.10 section 7.1): however it is cut, the same arrives, and all of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final, NamedTuple

from producers.dicom_router.arrival import Refusal
from producers.dicom_router.data_set import Fate, Room
from producers.dicom_router.incoming_file import Door, IncomingFile
from producers.dicom_router.object_buffer import Budget, BufferPool
from streams.file_head import HEAD_BYTES, split
from tests.fuzz.byte_stream import by_itself, pieces
from tests.fuzz.targets.data_set_tags import corpus_heads
from tests.routers import Ct
from tests.stow import file_of

INPUT_BYTES_MAX: Final = 2 * HEAD_BYTES
WORDS: Final = (
    *(b"DICM", b"\x02\0\0\0UL\4\0", b"\x02\0\x02\0UI", b"\x02\0\x03\0UI", b"\x02\0\x10\0UI"),
    b"\x02\0\x02\1OB\0\0",
)
_OBJECT_BYTES_MAX: Final = 1 << 20
# A small budget in memory: what is larger goes on in a file.
_ROOM: Final = Room(_OBJECT_BYTES_MAX, BufferPool(Budget(0)), Budget(_OBJECT_BYTES_MAX * 4))


class Arrived(NamedTuple):
    named: tuple[str, str, str]
    fault: Refusal | None
    data_set: bytes
    sha256: str


def seeds() -> Iterator[bytes]:
    yield file_of()
    yield Ct().data_set()
    yield Ct().implicit_data_set()
    private = b"\x02\0\x02\1OB\0\0" + (HEAD_BYTES).to_bytes(4, "little") + bytes(HEAD_BYTES)
    yield file_of()[:132] + private + Ct().data_set()
    yield from corpus_heads()


def check(data: bytes) -> None:
    first = _arrived(iter((data,)))
    assert _arrived(pieces(data, by_itself(data) if len(data) < 1 << 14 else iter(lambda: 5000, 0))) == first
    meta, start = split(data[:HEAD_BYTES])
    assert start <= len(data)
    assert first.data_set == data[start:]
    assert len(meta) <= 100


def _arrived(coming: Iterator[bytes]) -> Arrived:
    file = IncomingFile(Door("STOW-RS", "STOW-RS", "RADSTREAM", _ROOM), "0123")
    try:
        for piece in coming:
            file.write(memoryview(piece))
        arrival = file.arrival()
        assert arrival.content.fate is Fate.HERE
        with arrival.data_set as view:
            data_set = bytes(view)
        stored = arrival.content.stored_file(arrival.sop_class_uid, arrival.sop_instance_uid)
        kept = bytes(stored.data)
        assert hashlib.sha256(kept).hexdigest() == stored.sha256
        assert kept.endswith(data_set)
        assert kept[128:132] == b"DICM"
        named = (arrival.sop_class_uid, arrival.sop_instance_uid, arrival.transfer_syntax_uid)
        return Arrived(named, arrival.fault, data_set, stored.sha256)
    finally:
        file.done(reusable=True)
