"""Palette colour (PS3.3 sections C.7.6.3.1.5 and C.7.9): indices into three lookup tables, whole or in segments."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from streams.part10 import Part10
from streams.pixels.image import Image
from streams.rendering.grey import Samples, as_cells, cells, looked_up
from streams.rendering.segmented import expanded
from streams.rendering.tables import described, entries

_DESCRIPTORS = (0x00281101, 0x00281102, 0x00281103)
_TABLES = (0x00281201, 0x00281202, 0x00281203)
_SEGMENTED = (0x00281221, 0x00281222, 0x00281223)

# The first index that is mapped, the table's values, and how many bits its descriptor gives them.
_Channel: TypeAlias = tuple[int, NDArray[np.uint16], int]


def coloured(file: Part10, image: Image, indices: Samples) -> NDArray[np.uint8] | None:
    """RGB, shaped (rows, columns, 3); None where a table is absent or not what its descriptor says."""
    if indices.dtype.kind == "f" or indices.dtype.itemsize > 2:
        return None
    channels = [_channel(file, number, signed=image.signed) for number in range(3)]
    found = [channel for channel in channels if channel is not None]
    if len(found) < len(channels):
        return None
    # Many writers put 8 significant bits into words that should use all 16. All three do or none: a dark blue of 16
    # bits would be a bright one of 8.
    is_wide = any(int(values.max()) > 255 for _, values, _ in found)
    stored = cells(image)
    table = np.stack([_eight(*channel, is_wide=is_wide)[_at(stored, channel)] for channel in found], axis=-1)
    return looked_up(table, as_cells(indices, image)).astype(np.uint8, copy=False)


def _at(stored: NDArray[np.int32], channel: _Channel) -> NDArray[np.int32]:
    """Where each stored value's entry is: the first one for what is below the table, the last for what is above."""
    first, values, _ = channel
    return np.clip(stored - first, 0, len(values) - 1)


def _eight(_: int, values: NDArray[np.uint16], bits: int, *, is_wide: bool) -> NDArray[np.uint8]:
    return (values >> (bits - 8) if is_wide and bits > 8 else np.minimum(values, 255)).astype(np.uint8)


def _channel(file: Part10, number: int, *, signed: bool) -> _Channel | None:
    head = described(file, _DESCRIPTORS[number], signed=signed)
    if head is None:
        return None
    count, first, bits = head
    values: NDArray[np.uint16] | None
    if (element := file.elements.get(_TABLES[number])) is not None:
        values = entries(file, file.value(element), count, bits)
    elif (element := file.elements.get(_SEGMENTED[number])) is not None:
        values = expanded(file, file.value(element), count, bits)
    else:
        return None
    return None if values is None else (first, values, bits)
