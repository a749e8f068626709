"""Hostile input costs little: each file ends soon, in little memory, as one outcome of each step."""

from __future__ import annotations

import struct
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from consumers.derive.config import Output
from consumers.derive.step import Derive
from consumers.validate.config import Limits
from consumers.validate.step import Validate
from streams.clock import SystemClock
from streams.memory_store import MemoryStore
from streams.step import Done, Quarantine
from tests import images
from tests.received import identity, received, validated

UIDS = (images.STUDY, images.SERIES, images.INSTANCE)
SECONDS_MAX = 5.0
MEMORY_MAX = 160 << 20

ITEM = b"\xfe\xff\x00\xe0"
RLE = "1.2.840.10008.1.2.5"


def bomb() -> bytes:
    """Half a gigabyte of zeros in half a megabyte."""
    return images.raw_file(images.deflated(bytes(1 << 29)), images.NATIVE["deflated"])


def nesting(explicit: bool) -> bytes:
    head = b"\x08\x00\x40\x11" + (b"SQ\x00\x00" if explicit else b"") + b"\xff" * 4 + ITEM + b"\xff" * 4
    return images.raw_file(head * 200_000, images.NATIVE["explicit" if explicit else "implicit"])


def nesting_of_defined_length() -> bytes:
    """An image whose header has sequences in sequences, each with its length."""
    whole = images.native(np.zeros((1, 4, 4), np.uint16), "implicit")
    inner = b""
    for _ in range(20_000):
        inner = ITEM + struct.pack("<I", len(inner)) + inner
        inner = b"\x08\x00\x40\x11" + struct.pack("<I", len(inner)) + inner
        if len(inner) > 400_000:
            break
    at = whole.index(b"\x08\x00\x60\x00")
    return whole[:at] + inner + whole[at:]


def elements() -> bytes:
    return images.raw_file(b"\x08\x00\x05\x00CS\x00\x00" * 2_000_000)


def tags() -> bytes:
    """Every element another one."""
    return images.raw_file(b"".join(struct.pack("<HH2sH", 9, number, b"CS", 0) for number in range(60_000)))


def length(claimed: int) -> bytes:
    return images.raw_file(b"\x08\x00\x05\x00OB\x00\x00" + struct.pack("<I", claimed) + bytes(100))


def giant(syntax: str, codestream: bytes) -> bytes:
    """65,535 by 65,535 pixels, frame after frame, in a few bytes."""
    small = np.zeros((1, 8, 8), np.uint16)
    return images.compressed(small, [codestream], syntax, Rows=65535, Columns=65535, NumberOfFrames="2147483647")


def large(syntax: str, codestream: bytes) -> bytes:
    """A picture that the budget would allow, of a codestream that has nothing in it."""
    return images.compressed(np.zeros((1, 8, 8), np.uint16), [codestream], syntax, Rows=8000, Columns=8000)


def claiming() -> bytes:
    """A JPEG 2000 codestream of four billion pixels a side in an image of 8 by 8."""
    side = 0xFFFFFFF0
    sizes = (side, side, 0, 0, side, side, 0, 0)
    head = struct.pack(">HHHH8IHBBB", 0xFF4F, 0xFF51, 41, 0, *sizes, 1, 15, 1, 1)
    return images.compressed(np.zeros((1, 8, 8), np.uint16), [head + bytes(100)], "1.2.840.10008.1.2.4.90")


HOSTILE: dict[str, Callable[[], bytes]] = {
    "deflate-bomb": bomb,
    "nesting-explicit": lambda: nesting(True),
    "nesting-implicit": lambda: nesting(False),
    "nesting-defined": nesting_of_defined_length,
    "elements": elements,
    "tags": tags,
    "length-huge": lambda: length(0xFFFFFFFE),
    "length-undefined": lambda: length(0xFFFFFFFF),
    "rle-giant": lambda: giant(RLE, struct.pack("<16I", 2, 64, 66, *[0] * 13) + b"\x81\x00" * 2),
    "rle-large": lambda: large(RLE, struct.pack("<16I", 2, 64, 66, *[0] * 13) + b"\x81\x00" * 2),
    "rle-offsets": lambda: large(RLE, struct.pack("<16I", 15, *[0xFFFFFFF0] * 15)),
    "jpeg-2000-claims": claiming,
    "native-giant": lambda: images.native(np.zeros((1, 8, 8), np.uint16), Rows=65535, Columns=65535),
    "frames-giant": lambda: images.native(np.zeros((1, 8, 8), np.uint16), NumberOfFrames="2147483647"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_ends_soon_and_small(name: str) -> None:
    data = HOSTILE[name]()
    store = MemoryStore()
    validate, derive = Validate(identity("validate"), store, Limits()), Derive(identity("derive"), store, Output())
    arrived, found = received(store, data, UIDS), validated(store, data, UIDS)

    start = time.process_time()
    (verdict,) = validate([arrived], SystemClock())
    (made,) = derive([found], SystemClock())
    seconds = time.process_time() - start

    assert isinstance(verdict, (Done, Quarantine))
    assert isinstance(made, Done)
    assert seconds < SECONDS_MAX


@pytest.mark.parametrize("name", ["deflate-bomb", "rle-large", "jpeg-2000-claims", "native-giant", "tags"])
def test_a_hostile_file_takes_little_memory(name: str) -> None:
    data = HOSTILE[name]()
    store = MemoryStore()
    validate, derive = Validate(identity("validate"), store, Limits()), Derive(identity("derive"), store, Output())
    arrived, found = received(store, data, UIDS), validated(store, data, UIDS)

    # Of Python and numpy; what native decoders take beside is bounded by the frame's size, which was checked before.
    tracemalloc.start()
    try:
        validate([arrived], SystemClock())
        derive([found], SystemClock())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < MEMORY_MAX
