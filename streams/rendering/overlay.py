"""Overlay planes, groups 6000 to 601E (PS3.3 section C.9.2): of their own, or of old in unused bits of the pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streams.part10 import Part10
from streams.rendering.values import decimal, words

GROUPS = range(0x6000, 0x6020, 2)
ROWS, COLUMNS, FRAMES, ORIGIN, FIRST_FRAME, BITS_ALLOCATED, BIT_POSITION, DATA = (
    0x0010,
    0x0011,
    0x0015,
    0x0050,
    0x0051,
    0x0100,
    0x0102,
    0x3000,
)

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class _Plane:
    group: int
    rows: int
    columns: int
    frames: int
    first_frame: int


def burned(file: Part10, shape: tuple[int, int], frame: int, cells: NDArray[np.integer]) -> Mask | None:
    """True where an overlay has a point on frame `frame` (from 0), shaped (rows, columns); None without overlays.

    `cells` are the samples as they stand in native pixel data. A plane that does not hold together is left out.
    """
    points = np.zeros(shape, np.bool_)
    found = False
    for group in GROUPS:
        base = group << 16
        if base | ROWS not in file.elements:
            continue
        if base | DATA in file.elements:
            plane = _plane(file, group)
            bits = _of_its_own(file, plane, shape, frame) if plane else None
            if plane and bits is not None:
                _put(points, bits, _origin(file, base))
                found = True
        elif (bits := _embedded(file, base, cells)) is not None:
            points |= bits
            found = True
    return points if found else None


def _plane(file: Part10, group: int) -> _Plane | None:
    base = group << 16
    rows, columns = file.unsigned(base | ROWS) or 0, file.unsigned(base | COLUMNS) or 0
    frames, first = decimal(file, base | FRAMES) or 1, words(file, base | FIRST_FRAME, signed=False)
    if rows < 1 or columns < 1 or not 1 <= frames < 1 << 31:
        return None
    return _Plane(group, rows, columns, int(frames), first[0] if first else 1)


def _of_its_own(file: Part10, plane: _Plane, shape: tuple[int, int], frame: int) -> Mask | None:
    """The plane's bits for a frame. One that has a single frame lies on every one."""
    count = plane.rows * plane.columns
    index = 0 if plane.frames == 1 else frame - (plane.first_frame - 1)
    if not 0 <= index < plane.frames or count > 4 * shape[0] * shape[1]:
        return None
    element = file.elements[plane.group << 16 | DATA]
    data = memoryview(file.data)[element.value_at : element.end]
    first, last = index * count // 8, ((index + 1) * count + 7) // 8
    if last > len(data):
        return None
    packed = np.frombuffer(data[first:last], np.uint8)
    if file.encoding.byte_order == "big" and element.vr == "OW":
        return None
    skip = index * count - first * 8
    bits = np.unpackbits(packed, bitorder="little")[skip : skip + count]
    return bits.reshape(plane.rows, plane.columns).astype(np.bool_)


def _embedded(file: Part10, base: int, cells: NDArray[np.integer]) -> Mask | None:
    position = file.unsigned(base | BIT_POSITION)
    bits_allocated = cells.dtype.itemsize * 8
    if cells.ndim != 2 or file.unsigned(base | BITS_ALLOCATED) != bits_allocated:
        return None
    if position is None or position >= bits_allocated:
        return None
    bits: Mask = (cells >> position) & 1 == 1
    return bits


def _origin(file: Part10, base: int) -> tuple[int, int]:
    values = words(file, base | ORIGIN, signed=True)
    return (values[0], values[1]) if len(values) == 2 else (1, 1)


def _put(points: Mask, bits: Mask, origin: tuple[int, int]) -> None:
    """Lays a plane on the frame, whose upper left pixel is (1, 1); it may reach beyond it on each side."""
    spans = list(_overlap(points.shape, bits.shape, origin))
    if all(length > 0 for _, _, length in spans):
        (to_row, from_row, rows), (to_column, from_column, columns) = spans
        points[to_row : to_row + rows, to_column : to_column + columns] |= bits[
            from_row : from_row + rows, from_column : from_column + columns
        ]


def _overlap(into: tuple[int, ...], of: tuple[int, ...], origin: tuple[int, int]) -> Iterator[tuple[int, int, int]]:
    """For rows, then columns: where in the frame, where in the plane, and how many."""
    for size, length, at in zip(into, of, origin, strict=True):
        start = at - 1
        to, skipped = max(start, 0), max(-start, 0)
        yield to, skipped, min(size - to, length - skipped)
