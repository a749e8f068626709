"""Pixel data that lies: each file ends in the time and the memory of a small one, with the reason that it deserves."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from consumers.derive.config import Output
from consumers.derive.step import Derive
from consumers.validate.config import Limits
from consumers.validate.step import Validate
from streams.clock import SystemClock
from streams.events import InstanceDerived, InstanceValidated
from streams.memory_store import MemoryStore
from streams.sandbox.sandbox import shared
from streams.step import Done, Quarantine
from tests import hostile_data_sets, images
from tests.received import events_of, identity, received, validated

UIDS = (images.STUDY, images.SERIES, images.INSTANCE)
SECONDS_MAX, MEMORY_MAX = 5.0, 64 << 20
SMALL = np.zeros((1, 8, 8), np.uint16)
RLE, JPEG, JPEG_LS, JPEG_2000, HTJ2K = (
    "1.2.840.10008.1.2.5",
    *(f"1.2.840.10008.1.2.4.{number}" for number in ("50", "80", "90", "201")),
)
SEGMENTS = struct.pack("<16I", 2, 64, 66, *[0] * 13) + b"\x81\x00" * 2
EMPTY_ITEM = hostile_data_sets.ITEM + bytes(4)


def jpeg(marker: int, rows: int, columns: int, bits: int) -> bytes:
    """A head that promises, a scan that holds nothing (ISO/IEC 10918-1 annex B; 14495-1 annex C)."""
    frame = struct.pack(">HBHHBBBB", 11, bits, rows, columns, 1, 1, 0x11, 0)
    scan = struct.pack(">HBBBBBB", 8, 1, 1, 0, 0, 0, 0)
    return b"\xff\xd8\xff" + bytes([marker]) + frame + b"\xff\xda" + scan + bytes(200) + b"\xff\xd9"


def jpeg_2000(rows: int, columns: int, tile: int) -> bytes:
    """As many tiles as `tile` leaves, and data of none (ISO/IEC 15444-1 annex A)."""
    sizes = struct.pack(">HHH8IHBBB", 0xFF51, 41, 0, columns, rows, 0, 0, tile, tile, 0, 0, 1, 15, 1, 1)
    style = struct.pack(">HHBBHBBBBBB", 0xFF52, 12, 0, 0, 1, 0, 5, 4, 4, 0, 1)
    steps = struct.pack(">HHB16B", 0xFF5C, 19, 0x40, *[0x48] * 16)
    part = struct.pack(">HHHIBB", 0xFF90, 10, 0, 14 + 200, 0, 1)
    return b"\xff\x4f" + sizes + style + steps + part + b"\xff\x93" + bytes(200) + b"\xff\xd9"


def claiming(syntax: str, codestream: bytes, rows: int, columns: int, frames: int = 1) -> bytes:
    return images.compressed(SMALL, [codestream], syntax, Rows=rows, Columns=columns, NumberOfFrames=str(frames))


def fragmented(items: bytes, frames: int) -> bytes:
    """A file whose encapsulated pixel data is these items, the offset table's first."""
    whole = images.compressed(SMALL, [b"\xff\xd8\xff\xd9"], JPEG, NumberOfFrames=str(frames))
    return whole[: whole.index(b"\xe0\x7f\x10\x00OB") + 12] + items + b"\xfe\xff\xdd\xe0" + bytes(4)


def extended_table() -> bytes:
    """A million offsets of frames that are not there."""
    made = images.image(SMALL, NumberOfFrames="1000000")
    made.add_new(0x7FE00001, "OV", bytes(8_000_000))
    made.add_new(0x7FE00002, "OV", bytes(8_000_000))
    made.add_new(0x7FE00010, "OB", EMPTY_ITEM + EMPTY_ITEM)
    made["PixelData"].is_undefined_length = True
    return images.written(made, images.UID(JPEG))


def endless() -> bytes:
    frame = np.arange(48, dtype=np.uint16).reshape(1, 8, 6)
    coded = bytes(imagecodecs.jpegls_encode(frame[0]))
    return images.compressed(frame, [coded[:-30]], JPEG_LS)


def palette() -> bytes:
    """65,536 colours in two bytes."""
    made = images.image(np.zeros((1, 8, 8), np.uint8), photometric="PALETTE COLOR")
    for number in (1, 2, 3):
        made.add_new(0x00281100 + number, "US", [0, 0, 16])
        made.add_new(0x00281200 + number, "OW", b"\0\0")
    made.add_new(0x7FE00010, "OW", bytes(64))
    return images.written(made)


BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "rle-ten-frames": (lambda: claiming(RLE, SEGMENTS, 40_000, 40_000, 10), "frames"),
    "rle-one-frame": (lambda: claiming(RLE, SEGMENTS, 40_000, 40_000), "pixels_undecodable"),
    "rle-budgeted": (lambda: claiming(RLE, SEGMENTS, 7_000, 7_000), "pixels_undecodable"),
    "jpeg-giant": (lambda: claiming(JPEG, jpeg(0xC0, 65_500, 65_500, 8), 65_500, 65_500), "decoder_too_large"),
    "jpeg-budgeted": (lambda: claiming(JPEG, jpeg(0xC0, 8_000, 7_000, 8), 8_000, 7_000), "decoder_too_large"),
    "jpeg-believed": (lambda: claiming(JPEG, jpeg(0xC0, 1_400, 1_400, 8), 1_400, 1_400), "pixels_undecodable"),
    "jpeg-ls-budgeted": (lambda: claiming(JPEG_LS, jpeg(0xF7, 8_000, 7_000, 16), 8_000, 7_000), "decoder_too_large"),
    "jpeg-ls-believed": (lambda: claiming(JPEG_LS, jpeg(0xF7, 1_400, 1_400, 16), 1_400, 1_400), "pixels_undecodable"),
    # CharLS reads on for ever behind the end of this one.
    "jpeg-ls-endless": (endless, "decoder_too_slow"),
    "jpeg-2000-budgeted": (
        lambda: claiming(JPEG_2000, jpeg_2000(8_000, 7_000, 8_000), 8_000, 7_000),
        "decoder_too_large",
    ),
    "jpeg-2000-other": (lambda: claiming(JPEG_2000, jpeg_2000(65_500, 65_500, 65_500), 8, 8), "codestream"),
    "jpeg-2000-tiles": (lambda: claiming(JPEG_2000, jpeg_2000(1_000, 1_000, 4), 1_000, 1_000), "pixels_undecodable"),
    "htj2k-tiles": (lambda: claiming(HTJ2K, jpeg_2000(1_000, 1_000, 4), 1_000, 1_000), "pixels_undecodable"),
    "deflate": (
        lambda: images.raw_file(hostile_data_sets.bomb(), images.NATIVE["deflated"]),
        "too_complex",
    ),
    "deflate-below-the-limit": (
        lambda: images.raw_file(images.deflated(hostile_data_sets.filled(56 << 20)), images.NATIVE["deflated"]),
        "too_complex",
    ),
    "nesting": (lambda: images.raw_file(hostile_data_sets.nesting(True)), "too_complex"),
    "elements": (lambda: images.raw_file(b"\x08\x00\x05\x00CS\x00\x00" * 2_000_000), "too_complex"),
    "offset-table": (
        lambda: fragmented(hostile_data_sets.ITEM + struct.pack("<I", 40_000_000) + bytes(40_000_000), 10_000_000),
        "frames",
    ),
    "offset-table-extended": (extended_table, "offset_table_extended"),
    "fragments-too-many": (lambda: fragmented(EMPTY_ITEM * 2_000_000, 1_000_000), "too_complex"),
    "fragments-many": (lambda: fragmented(EMPTY_ITEM * 400_000, 300_000), "pixels_undecodable"),
    "palette": (palette, "palette_length"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_ends_soon_and_small_with_its_reason(name: str) -> None:
    make, reason = BOMBS[name]
    data, store = make(), MemoryStore()
    validate, arrived = Validate(identity("validate"), store, Limits()), received(store, data, UIDS)
    validate([received(store, warm(), UIDS)], SystemClock())
    rest, helpers_rest = resident("self"), helpers()
    Path("/proc/self/clear_refs").write_text("5")  # proc(5): the peak is what is resident now

    start = time.process_time()
    (outcome,) = validate([arrived], SystemClock())
    seconds = time.process_time() - start

    assert seconds < SECONDS_MAX
    assert peak("self") - rest + helpers() - helpers_rest < MEMORY_MAX
    if isinstance(outcome, Quarantine):
        assert outcome.code == reason
        return
    assert isinstance(outcome, Done)
    (event,) = events_of(outcome, store)
    assert isinstance(event, InstanceValidated)
    assert reason in {finding.rule for finding in event.findings}


def test_an_ordinary_segmentation_that_deflates_well_is_read() -> None:
    """26 MB of a bit for each pixel, a small disc in every third frame, in less than a two hundredth of that."""
    rows, columns = np.ogrid[:512, :512]
    discs = [np.packbits((rows - 250) ** 2 + (columns - 240) ** 2 < radius**2, axis=1) for radius in range(12, 30)]
    frames = np.zeros((810, 512, 64), np.uint8)
    for index in range(0, len(frames), 3):
        frames[index] = discs[index % len(discs)]
    made = images.image(
        np.zeros((1, 512, 512), np.uint8), NumberOfFrames="810", BitsAllocated=1, BitsStored=1, HighBit=0
    )
    made.add_new(0x7FE00010, "OB", frames.tobytes())
    data, store = images.written(made, images.NATIVE["deflated"]), MemoryStore()
    validate, arrived = Validate(identity("validate"), store, Limits()), received(store, data, UIDS)
    assert len(data) * 200 < frames.nbytes
    del made, frames
    rest = resident("self")
    Path("/proc/self/clear_refs").write_text("5")

    start = time.process_time()
    (outcome,) = validate([arrived], SystemClock())

    assert isinstance(outcome, Done)
    assert time.process_time() - start < SECONDS_MAX
    assert peak("self") - rest < MEMORY_MAX


def test_derive_says_of_a_decoder_that_does_not_end_what_it_said_of_it() -> None:
    store = MemoryStore()
    (outcome,) = Derive(identity("derive"), store, Output())([validated(store, endless(), UIDS)], SystemClock())

    assert isinstance(outcome, Done)
    (event,) = events_of(outcome, store)
    assert isinstance(event, InstanceDerived)
    assert set(event.notes) == {"already_compressed", "decoder_too_slow"}


def warm() -> bytes:
    """What has every helper at rest: a frame that is decoded."""
    return claiming(JPEG_LS, jpeg(0xF7, 8, 8, 16), 8, 8)


def helpers() -> int:
    """The most that helpers ever took, in bytes."""
    return sum(peak(str(pid)) for pid in shared().pids)


def resident(process: str) -> int:
    return _status(process, "VmRSS")


def peak(process: str) -> int:
    return _status(process, "VmHWM")


def _status(process: str, name: str) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{name}:"))
