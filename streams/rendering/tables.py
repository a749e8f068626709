"""Lookup tables with their three-valued descriptor (PS3.3 sections C.11.1.1, C.11.2.1.1 and C.7.6.3.1.5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streams.part10 import Part10
from streams.rendering.values import words

DESCRIPTOR, DATA = 0x00283002, 0x00283006
_ENTRIES_IF_ZERO = 1 << 16

Real = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Lut:
    """`values` from the entry for input `first` on; what is below it has the first entry, what is above the last."""

    first: int
    values: NDArray[np.uint16]
    bits: int

    @property
    def highest(self) -> int:
        return (1 << self.bits) - 1

    def mapped(self, inputs: Real) -> Real:
        """The entries for some inputs, fractions cut off."""
        at = np.clip(inputs - self.first, 0, len(self.values) - 1).astype(np.int64)
        return self.values[at].astype(np.float64)


def described(file: Part10, tag: int, *, signed: bool) -> tuple[int, int, int] | None:
    """Entries, first input and bits of a descriptor; None where there is none that could be."""
    values = words(file, tag, signed=signed)
    if len(values) != 3:
        return None
    count, first, bits = values[0] & 0xFFFF, values[1], values[2]
    return (count or _ENTRIES_IF_ZERO, first, bits) if 8 <= bits <= 16 else None


def table(file: Part10, *, signed: bool) -> Lut | None:
    """The table of an item of a Modality or VOI LUT sequence; None where it has fewer entries than it says.

    Entries that need more bits than the descriptor says count: cut off, they would be another picture.
    """
    head = described(file, DESCRIPTOR, signed=signed)
    element = file.elements.get(DATA)
    if head is None or element is None:
        return None
    count, first, bits = head
    values = entries(file, file.value(element), count, bits)
    if values is None:
        return None
    return Lut(first, values, max(bits, int(values.max()).bit_length()))


def entries(file: Part10, data: bytes, count: int, bits: int) -> NDArray[np.uint16] | None:
    """`count` entries; None where there are fewer. Entries of 8 bits may be two a word (PS3.3 section C.7.6.3.1.6)."""
    sign = "<" if file.encoding.byte_order == "little" else ">"
    if bits == 8 and len(data) < 2 * count:
        values = np.frombuffer(data, np.uint8)
        if sign == ">":
            values = values[: len(values) // 2 * 2].reshape(-1, 2)[:, ::-1].reshape(-1)
    else:
        values = np.frombuffer(data[: min(len(data), 2 * count) // 2 * 2], f"{sign}u2")
    return values[:count].astype(np.uint16) if len(values) >= count else None
