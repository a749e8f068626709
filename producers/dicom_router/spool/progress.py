"""What of a segment is committed: a file beside it, 32 bytes for each record, the record's check.

Nobody fsyncs it. What a power cut takes of it is committed again, under the same ids, which is harmless; what SIGKILL
leaves of it (all: the kernel has it) spares that. A check is SHA-256 over the segment's random id, so bytes that went
wrong name no record.
"""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

from producers.dicom_router.spool.places import FILE_MODE, PROGRESS
from producers.dicom_router.spool.reading import Part
from producers.dicom_router.spool.record import CHECK_BYTES


def beside(segment: Path) -> Path:
    return segment.with_suffix(PROGRESS)


def mark(segment: Path, check: bytes) -> None:
    """Notes that a record, or a part that is none, needs nothing more. Raises OSError."""
    descriptor = os.open(beside(segment), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, FILE_MODE)
    try:
        written = os.write(descriptor, check)
        if written != len(check):
            # Half a note would put all behind it out of place.
            os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(descriptor)


def marked(segment: Path, start: int = 0) -> list[bytes]:
    """The checks that were noted, from the one with number `start` on. Raises OSError."""
    try:
        with beside(segment).open("rb") as file:
            file.seek(start * CHECK_BYTES)
            noted = file.read()
    except FileNotFoundError:
        return []
    return [noted[at : at + CHECK_BYTES] for at in range(0, len(noted) - CHECK_BYTES + 1, CHECK_BYTES)]


def check_of(part: Part) -> bytes:
    """What stands for a damaged part that was set aside."""
    return hashlib.sha256(f"{part.start} {part.end}".encode()).digest()
