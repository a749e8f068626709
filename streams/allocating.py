"""How the C library holds memory: what is large is given back to the system as soon as nobody uses it.

glibc raises the size from which blocks are mapped by themselves each time that one is freed (mallopt(3)), and keeps
what is smaller in an arena for each few threads. A service whose peers decide how large its blocks are would keep the
memory of its worst minute: 330 MB where it needs 150.
"""

from __future__ import annotations

import ctypes
from typing import Final

_M_MMAP_THRESHOLD: Final = -3
_M_TRIM_THRESHOLD: Final = -1
# Above what is read from a socket at once (256 KiB), below what strangers may make a service hold.
_LARGE_BYTES: Final = 300_000


def give_back_large_blocks(above_bytes: int = _LARGE_BYTES) -> None:
    """Once, at start. Does nothing where the C library has no such setting.

    Who handles many blocks of one size puts `above_bytes` over it: one that is mapped anew costs a fault for each of
    its pages, 0.2 ms for half a megabyte.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, above_bytes)
        # Else the end of the heap is given back, and faulted in again, with each block.
        mallopt(_M_TRIM_THRESHOLD, 4 * above_bytes)
