"""A large object is a segment of its own: written in pieces beside all others, and seen by nobody before it is whole.

It has another suffix until then, so it is never a torn record, and its name says after that it need not be read to be
believed (`places.is_whole`). The disk is asked to keep each piece: who waits for the sync of a small image waits for no
more than one of them, where the disk writes all that is dirty.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from producers.dicom_router.spool import places
from producers.dicom_router.spool.record import Head, new_segment
from producers.dicom_router.spool.segment import Buffer, Sync

# What is larger is alone. A folder's entry is synced for each, which is little beside so many bytes.
ALONE_BYTES: Final = 16 << 20
_PIECE_BYTES: Final = 16 << 20


def write(
    path: Path,
    packed: Callable[[bytes], tuple[bytes, Head]],
    parts: Sequence[Buffer],
    wrote: Callable[[int], None],
    fdatasync: Sync = os.fdatasync,
) -> Head:
    """Durable when it returns. `packed` gives the record's head and metadata for the id of its segment; the file is
    `parts` together. `wrote` is told how many bytes more are in the file. Raises OSError, and what `wrote` raises;
    nothing stays then, and what the disk does not even remove is no segment."""
    head, segment_id = new_segment()
    record, said = packed(segment_id)
    unfinished = path.with_suffix(places.UNFINISHED)
    descriptor = places.create(unfinished)
    try:
        _write((head + record, *parts), descriptor, wrote, fdatasync)
        unfinished.rename(path)
        places.sync_folder(path.parent)
    except BaseException:
        for name in (unfinished, path):
            with suppress(OSError):
                name.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    return said


def _write(parts: Sequence[Buffer], descriptor: int, wrote: Callable[[int], None], fdatasync: Sync) -> None:
    dirty = 0
    for part in parts:
        left = memoryview(part).cast("B")
        while left:
            written = os.write(descriptor, left[: _PIECE_BYTES - dirty])
            wrote(written)
            left = left[written:]
            dirty += written
            if dirty >= _PIECE_BYTES:
                fdatasync(descriptor)
                dirty = 0
    if dirty:
        fdatasync(descriptor)
