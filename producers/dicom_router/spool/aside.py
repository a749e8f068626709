"""What could not be committed because of itself: kept beside the rest, each with its reason, never dropped.

A record becomes a segment of its own, `<digest>-<check>.segment`, with `.reason` beside it, and is tried again in a
while (`again`), and at the next start of the router. Bytes that are no record become a `.bytes` file, for a person.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from itertools import chain
from pathlib import Path

import msgspec
import structlog

from producers.dicom_router.spool import places, progress
from producers.dicom_router.spool.reading import Part, read_bytes
from producers.dicom_router.spool.record import SEGMENT_HEAD_BYTES, Kept, encoded, new_segment, packed
from producers.dicom_router.spool.segment import Buffer
from producers.dicom_router.spool.segment_bytes import Found
from streams import metrics

BYTES, REASON = ".bytes", ".reason"
_PART = ".part"
_UNFINISHED_S = 3600.0


class _Said(msgspec.Struct, frozen=True, omit_defaults=True):
    """What `.reason` holds. `tries` is 0 where no try was made, and none is to be before the next start."""

    reason: str = ""
    tries: int = 0


def set_record_aside(folder: Path, found: Found, kept: Kept, file: Buffer, reason: str, tries: int = 1) -> None:
    """Keeps a record in `folder`/aside, durably. `reason` has no patient data; `tries` is how often it was refused.
    Raises OSError."""
    head, segment_id = new_segment()
    metadata = encoded(kept)
    of_file = (found.head.received_ms, found.head.digest, len(file))
    # The same at each try, and another one where the same bytes were sent again.
    name = f"{found.head.digest.hex()}-{found.head.check.hex()[:8]}"
    record, _ = packed(segment_id, 0, *of_file, metadata)
    _write(folder / places.ASIDE / f"{name}{places.SEGMENT}", (head, record, file), found.length, _Said(reason, tries))


def set_bytes_aside(folder: Path, segment: Path, part: Part) -> None:
    """Keeps a part of a segment, durably, and notes so beside the segment. Raises OSError.

    One that is a record of another version becomes a segment with the head of its own, and is tried again like any.
    """
    name = f"{segment.parent.name}-{segment.stem}-{part.start}"
    path = folder / places.ASIDE / f"{name}{places.SEGMENT if part.is_record else BYTES}"
    if not path.exists():
        head = read_bytes(segment, Part(0, SEGMENT_HEAD_BYTES, "")) if part.is_record else ()
        size = part.end - part.start
        _write(path, chain(head, read_bytes(segment, part)), size, _Said(f"{part.why}: {size} bytes"))
    progress.mark(segment, progress.check_of(part))


def records(folder: Path) -> list[Path]:
    """The records that wait aside, each a segment."""
    return places.segments(folder / places.ASIDE)


def tries(record: Path) -> int:
    """How often a record that is aside was tried; 0 where that is not known."""
    try:
        return msgspec.json.decode(record.with_suffix(REASON).read_bytes(), type=_Said).tries
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return 0


def count(folder: Path) -> int:
    """How many records and damaged parts are aside."""
    return sum(path.suffix in (places.SEGMENT, BYTES) for path in (folder / places.ASIDE).iterdir())


def remove_unfinished(folder: Path) -> None:
    """What somebody was writing an hour ago and did not finish: it is still where it was taken from."""
    for path in (folder / places.ASIDE).iterdir():
        if path.suffix == _PART and time.time() - path.stat().st_mtime > _UNFINISHED_S:
            path.unlink(missing_ok=True)


def take_back(record: Path, path: Path) -> None:
    """Moves a record to be a segment of a folder that is drained, unless another process was first. Raises OSError."""
    try:
        record.rename(path)
    except FileNotFoundError:
        return
    record.with_suffix(REASON).unlink(missing_ok=True)
    places.sync_folder(path.parent)


def _write(path: Path, parts: Iterable[Buffer], size: int, said: _Said) -> None:
    """The reason first: what stands aside always has one. Whole or not at all: what fails gives back what it took.

    Where there is no room for `size` bytes, nothing is begun: it would take what a person frees piece by piece.
    """
    if places.free_bytes(path.parent) < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    try:
        _write_file(path.with_suffix(REASON), (msgspec.json.encode(said) + b"\n",))
        _write_file(path, parts)
        places.sync_folder(path.parent)
    except OSError:
        for name in (path, path.with_suffix(REASON)):
            with suppress(OSError):
                name.unlink(missing_ok=True)
        raise
    metrics.SPOOL_SET_ASIDE.inc()
    structlog.get_logger().error("spool_set_aside", file=path.name, reason=said.reason)


def _write_file(name: Path, content: Iterable[Buffer]) -> None:
    part = name.with_name(f"{name.name}{_PART}")
    part.unlink(missing_ok=True)
    descriptor = places.create(part)
    try:
        for data in content:
            _write_all(descriptor, data)
        os.fsync(descriptor)
        part.rename(name)
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: Buffer) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
