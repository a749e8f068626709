"""Segmented palettes (PS3.3 section C.7.9.2): discrete, linear and indirect segments."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streams.part10 import Part10

_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2
# An indirect segment repeats at most what the table has room for; this ends those that add nothing.
_SEGMENTS_MAX = 70_000


class _Broken(Exception):
    """The segments are not what the standard says."""


def expanded(file: Part10, data: bytes, count: int, bits: int) -> NDArray[np.uint16] | None:
    """`count` entries; None where the segments make fewer, or are none."""
    size = 1 if bits == 8 else 2
    order = "<" if file.encoding.byte_order == "little" else ">"
    units = np.frombuffer(data[: len(data) // size * size], f"{order}u{size}").tolist()
    try:
        values = _Segments(units, count, size).values()
    except (_Broken, IndexError):
        return None
    return np.array(values[:count], np.uint16) if len(values) >= count else None


class _Segments:
    """`units` are the data in units of an entry. No more than `count` entries are made."""

    def __init__(self, units: list[int], count: int, size: int) -> None:
        self._units, self._count, self._size = units, count, size
        self._out: list[int] = []
        self._read = 0

    def values(self) -> list[int]:
        position = 0
        while position + 1 < len(self._units) and len(self._out) < self._count:
            position = self._segment(position, inner=False)
        return self._out

    def _segment(self, position: int, *, inner: bool) -> int:
        self._read += 1
        if self._read > _SEGMENTS_MAX:
            raise _Broken
        code, length = self._units[position], self._units[position + 1]
        position += 2
        if code == _DISCRETE:
            self._out += self._units[position : position + length]
            return position + length
        if code == _LINEAR:
            self._line(self._units[position], length)
            return position + 1
        if code != _INDIRECT or inner:
            raise _Broken
        return self._repeated(position, length)

    def _line(self, end: int, length: int) -> None:
        if not self._out:
            raise _Broken
        start = self._out[-1]
        self._out += [round(start + (end - start) * step / length) for step in range(1, length + 1)]

    def _repeated(self, position: int, segments: int) -> int:
        """`segments` segments that stand at an offset, whose lower half comes first."""
        parts = 4 // self._size
        offset = sum(self._units[position + part] << (8 * self._size * part) for part in range(parts))
        at = offset
        for _ in range(segments):
            if len(self._out) >= self._count:
                break
            at = self._segment(at, inner=True)
        return position + parts
