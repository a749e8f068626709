"""Memory for objects that come in: grown as bytes arrive, never as they are promised, and within a budget.

A buffer is an anonymous mapping. It grows by moving its pages to other addresses (`mremap`), which copies nothing, and
a page that was never written costs nothing.
"""

from __future__ import annotations

import mmap
import threading
from collections import deque
from contextlib import suppress
from typing import Final

# What every object may have, whatever the budget: the number of associations bounds these.
BUFFER_BYTES_MIN: Final = 768 << 10
_STEP_BYTES: Final = 2 << 20
# What is kept for the next objects: so many buffers, cut to so many bytes each. A CR has some 8 MB.
_KEPT_MAX: Final = 4
_KEPT_BYTES_MAX: Final = 16 << 20


class Budget:
    """Bytes that all associations share. Used from any thread."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = self._left = bytes_max
        self._lock = threading.Lock()

    @property
    def left(self) -> int:
        return self._left

    def take(self, count: int) -> bool:
        with self._lock:
            if count > self._left:
                return False
            self._left -= count
            return True

    def give_back(self, count: int) -> None:
        with self._lock:
            self._left += count


class ObjectBuffer:
    """Contiguous bytes. `view` is of all there are, and another one after they grew or shrank."""

    def __init__(self) -> None:
        self._map = mmap.mmap(-1, BUFFER_BYTES_MIN, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.view = memoryview(self._map)
        self.size = BUFFER_BYTES_MIN

    def resize(self, size: int) -> None:
        """`size` is of whole pages. Raises OSError without memory, BufferError where somebody holds another view."""
        self.view.release()
        try:
            self._map.resize(size)
        finally:
            self.view = memoryview(self._map)
            self.size = len(self.view)

    def close(self) -> None:
        """Where somebody still holds a view, the memory goes with that."""
        self.view.release()
        with suppress(BufferError):
            self._map.close()


class BufferPool:
    """Buffers within a budget for what they have beyond BUFFER_BYTES_MIN. Used from the threads of all associations."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._kept: deque[ObjectBuffer] = deque()

    def take(self) -> ObjectBuffer:
        """Raises OSError without memory."""
        try:
            return self._kept.pop()
        except IndexError:
            return ObjectBuffer()

    def take_ahead(self) -> bool:
        """Whether one more object of an association that has one already may come in: its BUFFER_BYTES_MIN counts then.

        Only while half of the budget is free, or kept for the next objects: what is read ahead leaves room for what
        comes one at a time. `give_back_ahead` ends it.
        """
        kept = sum(buffer.size - BUFFER_BYTES_MIN for buffer in tuple(self._kept))
        return self._budget.left + kept > self._budget.bytes_max // 2 and self._taken(BUFFER_BYTES_MIN)

    def give_back_ahead(self) -> None:
        self._budget.give_back(BUFFER_BYTES_MIN)

    def grow(self, buffer: ObjectBuffer, size: int) -> bool:
        """Makes room for `size` bytes at least; False where the budget does not allow it. Raises as `resize`."""
        have = len(buffer.view)
        if size <= have:
            return True
        # Doubled while it is small; later by steps, so that the budget is for bytes that come.
        step = min(have, max(_STEP_BYTES, have // 4))
        more = -(-max(size - have, step) // mmap.PAGESIZE) * mmap.PAGESIZE
        if not self._taken(more):
            return False
        try:
            buffer.resize(have + more)
        except (OSError, BufferError):
            self._budget.give_back(more)
            raise
        return True

    def shrink(self, buffer: ObjectBuffer, size: int = BUFFER_BYTES_MIN) -> None:
        """Keeps `size` bytes at most. Raises BufferError as `resize`."""
        surplus = len(buffer.view) - size
        if surplus > 0:
            buffer.resize(size)
            self._budget.give_back(surplus)

    def give_back(self, buffer: ObjectBuffer) -> None:
        """For the next object. Whoever took views of it has let go of them, or the buffer is dropped."""
        try:
            self.shrink(buffer, _KEPT_BYTES_MAX)
        except BufferError:
            self.drop(buffer)
            return
        if len(self._kept) < _KEPT_MAX:
            self._kept.append(buffer)
        else:
            self.drop(buffer)

    def drop(self, buffer: ObjectBuffer) -> None:
        """Not for use again: somebody may still read it, or there are enough."""
        self._budget.give_back(len(buffer.view) - BUFFER_BYTES_MIN)
        buffer.close()

    def _taken(self, count: int) -> bool:
        """Whether the budget has so many bytes, without what is kept for the next objects if need be."""
        while not self._budget.take(count):
            try:
                self.drop(self._kept.pop())
            except IndexError:
                return False
        return True
