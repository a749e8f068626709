"""Multi-frame images as enhanced MR and CT have them: a data set of functional groups for each frame."""

from __future__ import annotations

import struct

import numpy as np

from tests import images

ITEM, ITEM_DELIMITER, SEQUENCE_DELIMITER = (struct.pack("<HH", 0xFFFE, number) for number in (0xE000, 0xE00D, 0xE0DD))
# Of one macro below: its sequence, its item, the elements in it, and two delimiters.
_HEADS = 12


def enhanced(frames: int, macros: int, side: int) -> bytes:
    """`frames` frames of `side` by `side`, each with so many macros of eight values: 12 heads for a macro, one more for
    the frame."""
    whole = images.native(np.zeros((frames, side, side), np.uint16))
    at = whole.index(b"\xe0\x7f\x10\x00OW")
    return whole[:at] + _per_frame(frames, macros) + whole[at:]


def heads(frames: int, macros: int) -> int:
    return frames * (macros * _HEADS + 1)


def _per_frame(frames: int, macros: int) -> bytes:
    values = b"".join(struct.pack("<HH2sHI", 0x0018, 0x9070 + number, b"UL", 4, number) for number in range(8))
    item = ITEM + b"\xff" * 4 + values + ITEM_DELIMITER + bytes(4)
    groups = b"".join(
        struct.pack("<HH2s2xI", 0x0018, 0x9100 + number, b"SQ", 0xFFFFFFFF) + item + SEQUENCE_DELIMITER + bytes(4)
        for number in range(macros)
    )
    items = (ITEM + struct.pack("<I", len(groups)) + groups) * frames
    return struct.pack("<HH2s2xI", 0x5200, 0x9230, b"SQ", len(items)) + items
