"""Memory for objects that come in: grown as bytes arrive, never as they are promised, and given back after.

A buffer is an anonymous mapping. It grows by moving its pages to other addresses (`mremap`), which copies nothing, and
a page that was never written costs nothing.
"""

from __future__ import annotations

import mmap
from collections import deque
from typing import Final

_BYTES_MIN: Final = 1 << 20
# What the pool keeps for the next objects: so many buffers, cut to so many bytes each. A CR has some 8 MB.
_KEPT_MAX: Final = 4
_KEPT_BYTES_MAX: Final = 16 << 20


class ObjectBuffer:
    """Contiguous bytes. `view` is of all there are; it changes when they grow."""

    def __init__(self) -> None:
        self._map = mmap.mmap(-1, _BYTES_MIN, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.view = memoryview(self._map)

    def grow(self, size: int) -> None:
        """Makes room for `size` bytes at least. Nobody else may hold a view: raises BufferError."""
        if size > len(self.view):
            self._resize(max(size, 2 * len(self.view)))

    def shrink(self, size: int = _BYTES_MIN) -> None:
        """Keeps the first `size` bytes at most. Raises BufferError as `grow`."""
        if size < len(self.view):
            self._resize(size)

    def _resize(self, size: int) -> None:
        self.view.release()
        self._map.resize(-(-size // mmap.PAGESIZE) * mmap.PAGESIZE)
        self.view = memoryview(self._map)


class BufferPool:
    """Buffers that are not in use. Used from the threads of all associations."""

    def __init__(self) -> None:
        self._kept: deque[ObjectBuffer] = deque()

    def take(self) -> ObjectBuffer:
        try:
            return self._kept.pop()
        except IndexError:
            return ObjectBuffer()

    def give_back(self, buffer: ObjectBuffer) -> None:
        """For the next object. Whoever took views of it has let go of them, or the buffer is left to the collector."""
        if len(self._kept) >= _KEPT_MAX:
            return
        try:
            buffer.shrink(_KEPT_BYTES_MAX)
        except BufferError:
            return
        self._kept.append(buffer)
