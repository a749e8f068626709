"""What of a segment is committed: a file beside it, 32 bytes for each record, the record's check.

Nobody fsyncs it. What a power cut takes of it is committed again, under the same ids, which is harmless; what SIGKILL
leaves of it (all: the kernel has it) spares that. A check is SHA-256 over the segment's random id, so bytes that went
wrong name no record.
"""

from __future__ import annotations

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
        os.write(descriptor, check)
    finally:
        os.close(descriptor)


def marked(segment: Path) -> frozenset[bytes]:
    """The checks that were noted. Raises OSError."""
    try:
        noted = beside(segment).read_bytes()
    except FileNotFoundError:
        return frozenset()
    return frozenset(noted[start : start + CHECK_BYTES] for start in range(0, len(noted), CHECK_BYTES))


def check_of(part: Part) -> bytes:
    """What stands for a damaged part that was set aside."""
    return hashlib.sha256(f"{part.start} {part.end}".encode()).digest()
