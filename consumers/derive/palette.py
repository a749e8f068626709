"""Palette colour (PS3.3 section C.7.6.3.1.5): indices into three lookup tables."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from streams.part10 import Part10
from streams.pixels.codecs import Pixels

_DESCRIPTORS = (0x00281101, 0x00281102, 0x00281103)
_TABLES = (0x00281201, 0x00281202, 0x00281203)


def coloured(file: Part10, indices: Pixels) -> NDArray[np.uint8] | None:
    """RGB, shaped (rows, columns, 3); None where the tables are absent, segmented or too short."""
    channels = []
    for descriptor, table in zip(_DESCRIPTORS, _TABLES, strict=True):
        channel = _table(file, descriptor, table, signed=indices.dtype.kind == "i")
        if channel is None:
            return None
        first, values = channel
        at = np.clip(indices.astype(np.int32) - first, 0, len(values) - 1)
        channels.append(values[at])
    return np.stack(channels, axis=-1)


def _table(file: Part10, descriptor: int, table: int, *, signed: bool) -> tuple[int, NDArray[np.uint8]] | None:
    """The first index that is mapped, and the table's values in 8 bits."""
    if descriptor not in file.elements or table not in file.elements:
        return None
    head = file.value(file.elements[descriptor])
    if len(head) != 6:
        return None
    sign = "<" if file.encoding.byte_order == "little" else ">"
    count, first, bits = struct.unpack(f"{sign}H{'h' if signed else 'H'}H", head)
    count = count or 1 << 16
    data = file.value(file.elements[table])
    if bits == 8 and len(data) < 2 * count:
        values = np.frombuffer(data, np.uint8)
        values = values if sign == "<" else values.reshape(-1, 2)[:, ::-1].reshape(-1)
    else:
        words = np.frombuffer(data[: len(data) // 2 * 2], f"{sign}u2")
        # Many writers put 8 significant bits into words that should use all 16.
        values = (words >> 8 if words.size and int(words.max()) > 255 else words).astype(np.uint8)
    return (first, values[:count]) if len(values) >= count else None
