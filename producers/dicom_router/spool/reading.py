"""Reading a segment: which records are whole, what is torn, and what is damaged.

Torn is what ends before its own length says, or was never written (zeros): it is at the end of a segment only, and
nobody was ever told that it is kept, as what was acknowledged had been written whole. Anything else that is no record
is damage: bytes that somebody may have been promised.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from producers.dicom_router.spool.record import (
    HEAD_BYTES,
    SEGMENT_HEAD_BYTES,
    Head,
    Kept,
    NotARecord,
    OfAnotherVersion,
    beginning,
    decoded,
    lengths,
    segment_id,
    unpacked,
)

_STEP_BYTES: Final = 1 << 20
_OTHER_FILE: Final = "the file is not what was written"


@dataclass(frozen=True, slots=True)
class Found:
    """A record whose head is right; its file is looked at when it is read. `study` is a UID, or empty."""

    start: int
    head: Head
    study: str
    tick: int = 0
    lane: str = ""

    @property
    def length(self) -> int:
        """Of the whole record, in bytes."""
        return self.head.length


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes of a segment that are no record, from `start` to before `end`; or, where it `is_record`, one that only
    another version of the router can read.
    """

    start: int
    end: int
    why: str
    is_record: bool = False


@dataclass(frozen=True)
class Walk:
    """What a segment holds. `torn` is where a record that was not finished begins, None where there is none."""

    found: list[Found]
    damaged: list[Part]
    torn: int | None


def walk(path: Path, start: int = SEGMENT_HEAD_BYTES) -> Walk:
    """Goes through a segment from head to head, from where a record begins. Of the last the file is read too.

    Raises OSError.
    """
    with _opened(path) as segment:
        try:
            own = segment_id(segment.read(0, SEGMENT_HEAD_BYTES))
        except NotARecord as error:
            return _without_head(segment, error)
        return _records(segment, own, start)


def appended(path: Path, start: int = SEGMENT_HEAD_BYTES) -> list[Found]:
    """The records from `start` on that are there as a whole, by their heads alone: of a segment that another process
    writes. Up to the first that is none. Raises OSError."""
    found: list[Found] = []
    with _opened(path) as segment, suppress(NotARecord):
        own = segment_id(segment.read(0, SEGMENT_HEAD_BYTES))
        while start < segment.size:
            head, kept = segment.kept(start, own)
            if start + head.length > segment.size:
                break
            found.append(Found(start, head, kept.study, kept.tick, kept.lane))
            start += head.length
    return found


def read(path: Path, found: Found) -> tuple[Kept, bytearray]:
    """A record's metadata and DICOM file, checked. Raises NotARecord where they are not what was written, OSError."""
    with _opened(path) as segment:
        own = segment_id(segment.read(0, SEGMENT_HEAD_BYTES))
        return segment.kept(found.start, own)[1], segment.file(found)


def is_whole(path: Path, found: Found) -> bool:
    """Whether a record is what was written; little of it is in memory at a time. Raises OSError."""
    with _opened(path) as segment:
        try:
            segment.kept(found.start, segment_id(segment.read(0, SEGMENT_HEAD_BYTES)))
        except NotARecord:
            return False
        return segment.has_file(found)


def read_bytes(path: Path, part: Part) -> Iterator[bytes]:
    """What a part of a segment holds, as it is. Raises OSError."""
    with _opened(path) as segment:
        for start in range(part.start, part.end, _STEP_BYTES):
            yield segment.read(start, min(_STEP_BYTES, part.end - start))


def _without_head(segment: _Segment, error: NotARecord) -> Walk:
    if segment.size < SEGMENT_HEAD_BYTES or segment.is_zeros(0, segment.size):
        return Walk([], [], 0)
    return Walk([], [Part(0, segment.size, str(error))], None)


def _records(segment: _Segment, own: bytes, position: int) -> Walk:
    found: list[Found] = []
    damaged: list[Part] = []
    while position < segment.size:
        try:
            head, kept = segment.kept(position, own)
            one = Found(position, head, kept.study, kept.tick, kept.lane)
            end = position + one.length
            if end >= segment.size:
                return _last(segment, one, found, damaged)
            found.append(one)
            position = end
        except OfAnotherVersion as error:
            end = position + error.head.length
            if end > segment.size:
                return Walk(found, damaged, position)
            damaged.append(Part(position, end, str(error), is_record=True))
            position = end
        except NotARecord as error:
            there = segment.next_record(position + 1, own)
            if there is None and segment.never_finished(position, own):
                return Walk(found, damaged, position)
            end = segment.size if there is None else there
            damaged.append(Part(position, end, str(error)))
            position = end
    return Walk(found, damaged, None)


def _last(segment: _Segment, one: Found, found: list[Found], damaged: list[Part]) -> Walk:
    end = one.start + one.length
    if end > segment.size or segment.is_zeros(end - one.head.file, end):
        return Walk(found, damaged, one.start)
    if segment.has_file(one):
        found.append(one)
    else:
        damaged.append(Part(one.start, end, _OTHER_FILE))
    return Walk(found, damaged, None)


class _Segment:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size

    def read(self, start: int, length: int) -> bytes:
        """Fewer bytes than `length` only where the segment ends."""
        return bytes(self._read(start, length))

    def _read(self, start: int, length: int) -> bytearray:
        """The same, in memory once."""
        data, end = bytearray(length), 0
        with memoryview(data) as view:
            while end < length and (got := os.preadv(self._descriptor, [view[end:]], start + end)):
                end += got
        del data[end:]
        return data

    def kept(self, start: int, own: bytes) -> tuple[Head, Kept]:
        """Raises NotARecord."""
        fixed = self.read(start, HEAD_BYTES)
        metadata = self.read(start + HEAD_BYTES, lengths(fixed, own)[0])
        head = unpacked(fixed + metadata, own)
        try:
            return head, decoded(metadata)
        except NotARecord:
            raise OfAnotherVersion(head) from None

    def file(self, found: Found) -> bytearray:
        """Of up to 4 GB, so in memory once. Raises NotARecord."""
        head = found.head
        data = self._read(found.start + head.length - head.file, head.file)
        if hashlib.sha256(data).digest() != head.digest:
            raise NotARecord(_OTHER_FILE)
        return data

    def has_file(self, found: Found) -> bool:
        """Whether the file is what was written."""
        digest, end = hashlib.sha256(), found.start + found.length
        for start in range(end - found.head.file, end, _STEP_BYTES):
            digest.update(self._read(start, min(_STEP_BYTES, end - start)))
        return digest.digest() == found.head.digest

    def next_record(self, start: int, own: bytes) -> int | None:
        """Where the next head that is right begins."""
        wanted = beginning(own)
        while start < self.size:
            block = self.read(start, _STEP_BYTES)
            at = block.find(wanted)
            if at < 0:
                start += max(len(block) - len(wanted) + 1, 1)
                continue
            try:
                self.kept(start + at, own)
            except OfAnotherVersion:
                return start + at
            except NotARecord:
                start += at + 1
            else:
                return start + at
        return None

    def never_finished(self, start: int, own: bytes) -> bool:
        """Whether what is from `start` to the end is the beginning of a record, or was never written."""
        fixed = self.read(start, HEAD_BYTES)
        if len(fixed) < HEAD_BYTES or self.is_zeros(start, self.size):
            return True
        try:
            return start + HEAD_BYTES + sum(lengths(fixed, own)) > self.size
        except NotARecord:
            return False

    def is_zeros(self, start: int, end: int) -> bool:
        while start < end:
            block = self.read(start, min(_STEP_BYTES, end - start))
            if block.count(0) != len(block) or not block:
                return False
            start += len(block)
        return True


@contextmanager
def _opened(path: Path) -> Iterator[_Segment]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield _Segment(descriptor)
    finally:
        os.close(descriptor)
