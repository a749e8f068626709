"""What could not be committed because of itself: kept beside the rest, each with its reason, never dropped.

A record becomes a segment of its own, `<digest>-<random>.segment`, with `.reason` beside it, and is tried again at the
next start of the router. Bytes that are no record become a `.bytes` file, for a person.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import structlog

from producers.dicom_router.spool import places, progress
from producers.dicom_router.spool.reading import Found, Part, read_bytes
from producers.dicom_router.spool.record import SEGMENT_HEAD_BYTES, Kept, encoded, new_segment, packed
from producers.dicom_router.spool.segment import Buffer
from streams import metrics

BYTES, REASON = ".bytes", ".reason"
_PART = ".part"
_UNFINISHED_S = 3600.0


def set_record_aside(folder: Path, found: Found, kept: Kept, file: Buffer, reason: str) -> None:
    """Keeps a record in `folder`/aside, durably. `reason` has no patient data. Raises OSError."""
    head, segment_id = new_segment()
    metadata = encoded(kept)
    of_file = (found.head.received_ms, found.head.digest, len(file))
    name = f"{found.head.digest.hex()}-{secrets.token_hex(4)}"
    record = packed(segment_id, 0, *of_file, metadata)
    _write(folder / places.ASIDE / f"{name}{places.SEGMENT}", (head, record, file), reason)


def set_bytes_aside(folder: Path, segment: Path, part: Part) -> None:
    """Keeps a part of a segment, durably, and notes so beside the segment. Raises OSError.

    One that is a record of another version becomes a segment with the head of its own, and is tried again like any.
    """
    name = f"{segment.parent.name}-{segment.stem}-{part.start}"
    path = folder / places.ASIDE / f"{name}{places.SEGMENT if part.is_record else BYTES}"
    if not path.exists():
        head = read_bytes(segment, Part(0, SEGMENT_HEAD_BYTES, "")) if part.is_record else ()
        _write(path, chain(head, read_bytes(segment, part)), f"{part.why}: {part.end - part.start} bytes")
    progress.mark(segment, progress.check_of(part))


def records(folder: Path) -> list[Path]:
    """The records that wait aside, each a segment."""
    return places.segments(folder / places.ASIDE)


def count(folder: Path) -> int:
    """How many records and damaged parts are aside."""
    return sum(path.suffix in (places.SEGMENT, BYTES) for path in (folder / places.ASIDE).iterdir())


def remove_unfinished(folder: Path) -> None:
    """What somebody was writing an hour ago and did not finish: it is still where it was taken from."""
    for path in (folder / places.ASIDE).iterdir():
        if path.suffix == _PART and time.time() - path.stat().st_mtime > _UNFINISHED_S:
            path.unlink(missing_ok=True)


def take_back(record: Path, path: Path) -> bool:
    """Moves a record to be a segment of a folder that is drained; False where another process was first."""
    try:
        record.rename(path)
    except FileNotFoundError:
        return False
    record.with_suffix(REASON).unlink(missing_ok=True)
    places.sync_folder(path.parent)
    return True


def _write(path: Path, parts: Iterable[Buffer], reason: str) -> None:
    """The reason first: what stands aside always has one. Whole or not at all."""
    said = json.dumps({"reason": reason}).encode() + b"\n"
    for name, content in ((path.with_suffix(REASON), (said,)), (path, parts)):
        part = name.with_name(f"{name.name}{_PART}")
        part.unlink(missing_ok=True)
        descriptor = places.create(part)
        try:
            for data in content:
                _write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        part.rename(name)
    places.sync_folder(path.parent)
    metrics.SPOOL_SET_ASIDE.inc()
    structlog.get_logger().error("spool_set_aside", file=path.name, reason=reason)


def _write_all(descriptor: int, data: Buffer) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
