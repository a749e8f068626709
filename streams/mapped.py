"""The bytes of a file as a whole: on the heap, or, of a large one, mapped.

What is mapped are pages that the kernel takes back when it needs to, and not memory of the process.
"""

from __future__ import annotations

import mmap
from typing import Final

_BLOCK_BYTES: Final = 1 << 20


class Mapped(mmap.mmap):
    """Reads as `bytes` do: what is sliced out of it is `bytes`."""

    def count(self, byte: bytes, start: int, end: int) -> int:
        """How often one byte is there, from `start` on and before `end`. In blocks: what is between is not copied."""
        return sum(self[at : min(at + _BLOCK_BYTES, end)].count(byte) for at in range(start, end, _BLOCK_BYTES))


File = bytes | Mapped
