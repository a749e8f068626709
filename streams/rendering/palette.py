"""Palette colour (PS3.3 sections C.7.6.3.1.5 and C.7.9): indices into three lookup tables, whole or in segments."""

from __future__ import annotations

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


def coloured(file: Part10, image: Image, indices: Samples) -> NDArray[np.uint8] | None:
    """RGB, shaped (rows, columns, 3); None where a table is absent or not what its descriptor says."""
    if indices.dtype.kind == "f" or indices.dtype.itemsize > 2:
        return None
    channels = []
    stored = cells(image)
    for number in range(3):
        channel = _channel(file, number, signed=image.signed)
        if channel is None:
            return None
        first, values = channel
        channels.append(values[np.clip(stored - first, 0, len(values) - 1)])
    table = np.stack(channels, axis=-1)
    return looked_up(table, as_cells(indices, image)).astype(np.uint8, copy=False)


def _channel(file: Part10, number: int, *, signed: bool) -> tuple[int, NDArray[np.uint8]] | None:
    """The first index that is mapped, and the table's values in 8 bits."""
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
    if values is None:
        return None
    # Many writers put 8 significant bits into words that should use all 16.
    wide = bits > 8 and int(values.max()) > 255
    return first, (values >> (bits - 8) if wide else np.minimum(values, 255)).astype(np.uint8)
