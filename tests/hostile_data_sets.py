"""Data sets that are small and ask for a great deal."""

from __future__ import annotations

import struct
import zlib

ITEM = b"\xfe\xff\x00\xe0"
_MIB = 1 << 20


def bomb() -> bytes:
    """A gigabyte of zeros in a megabyte of raw deflate (RFC 1951): the same block a thousand times."""
    deflater = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    block = deflater.compress(bytes(_MIB)) + deflater.flush(zlib.Z_FULL_FLUSH)
    return block * 1024 + deflater.flush()


def nesting(explicit: bool) -> bytes:
    """200,000 sequences of undefined length, each in the one before."""
    head = b"\x08\x00\x40\x11" + (b"SQ\x00\x00" if explicit else b"") + b"\xff" * 4 + ITEM + b"\xff" * 4
    return head * 200_000


def nesting_of_defined_length(bytes_min: int = 400_000) -> bytes:
    """In implicit VR, each sequence with its length."""
    heads, inside = [], 0
    while inside < bytes_min:
        heads.append(b"\x08\x00\x40\x11" + struct.pack("<I", inside + 8) + ITEM + struct.pack("<I", inside))
        inside += 16
    return b"".join(reversed(heads))


def filled(size: int, items: int = 66_000) -> bytes:
    """An explicit VR data set of many items, and `size` zeros in one private value."""
    item = ITEM + struct.pack("<IHH2sH4s", 12, 0x0008, 0x1150, b"UI", 4, b"1.2\0")
    sequence = struct.pack("<HH2s2xI", 0x0008, 0x1140, b"SQ", items * len(item)) + item * items
    owner = struct.pack("<HH2sH2s", 0x7FE1, 0x0010, b"LO", 2, b"X ")
    return sequence + owner + struct.pack("<HH2s2xI", 0x7FE1, 0x1010, b"OB", size) + bytes(size)
