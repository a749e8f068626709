"""The bytes of a segment that is read: heads, files, and what is between them."""

from __future__ import annotations

import hashlib
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from producers.dicom_router.spool import places
from producers.dicom_router.spool.record import (
    HEAD_BYTES,
    Head,
    Kept,
    NotARecord,
    OfAnotherVersion,
    beginning,
    decoded,
    lengths,
    page_end,
    short,
    unpacked,
)

STEP_BYTES: Final = 1 << 20
OTHER_FILE: Final = "the file is not what was written"
# What is larger is not taken into memory: its pages are the file's own, which the kernel may let go of at any time.
_MAPPED_BYTES: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Found:
    """A record whose head is right; its file is looked at when it is read. `study` is a UID, or empty; `instance` is
    the short form of one (`record.short`).
    """

    start: int
    head: Head
    study: str
    tick: int
    lane: str
    instance: int

    @classmethod
    def of(cls, start: int, head: Head, kept: Kept) -> Found:
        return cls(start, head, kept.study, kept.tick, kept.lane, short(kept.sop_instance_uid))

    @property
    def length(self) -> int:
        """Of the whole record, in bytes."""
        return self.head.length


class SegmentBytes:
    def __init__(self, descriptor: int, was_whole: bool) -> None:
        self._descriptor = descriptor
        self.was_whole = was_whole
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

    def file(self, found: Found) -> memoryview:
        """Raises NotARecord."""
        head = found.head
        if head.file > _MAPPED_BYTES:
            return self._mapped(found)
        data = self._read(found.start + head.length - head.file, head.file)
        if hashlib.sha256(data).digest() != head.digest:
            raise NotARecord(OTHER_FILE)
        return memoryview(data)

    def _mapped(self, found: Found) -> memoryview:
        """Read before: where the disk fails, that is an OSError, and with a page of a mapping it ends the process."""
        if not self.has_file(found):
            raise NotARecord(OTHER_FILE)
        end = found.start + found.length
        start = end - found.head.file
        before = start % mmap.ALLOCATIONGRANULARITY
        mapped = mmap.mmap(
            self._descriptor, end - start + before, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ, offset=start - before
        )
        return memoryview(mapped)[before:]

    def has_file(self, found: Found) -> bool:
        """Whether the file is what was written."""
        digest, end = hashlib.sha256(), found.start + found.length
        for start in range(end - found.head.file, end, STEP_BYTES):
            digest.update(self._read(start, min(STEP_BYTES, end - start)))
        return digest.digest() == found.head.digest

    def past_padding(self, start: int, own: bytes, number: int | None = None) -> int:
        """Where the record begins that zeros are in front of up to a page; `start` where it is not so, or where that
        is another record than the one with this number."""
        end = page_end(start)
        if not self.is_padding(start, end) or end >= self.size:
            return start
        try:
            there = self.kept(end, own)[0].number
        except OfAnotherVersion as error:
            there = error.head.number
        except NotARecord:
            return start
        return end if number in (None, there) else start

    def is_record(self, start: int, own: bytes) -> bool:
        try:
            self.kept(start, own)
        except OfAnotherVersion:
            return True
        except NotARecord:
            return False
        return True

    def is_padding(self, start: int, end: int) -> bool:
        """Whether zeros are there, in one page."""
        return start < end <= page_end(start) and self.is_zeros(start, end)

    def next_record(self, start: int, own: bytes) -> int | None:
        """Where the next head that is right begins."""
        wanted = beginning(own)
        while start < self.size:
            block = self.read(start, STEP_BYTES)
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
        if self.is_padding(start, page_end(start)):
            start = page_end(start)
        fixed = self.read(start, HEAD_BYTES)
        if len(fixed) < HEAD_BYTES or self.is_zeros(start, self.size):
            return True
        try:
            return start + HEAD_BYTES + sum(lengths(fixed, own)) > self.size
        except NotARecord:
            return False

    def is_zeros(self, start: int, end: int) -> bool:
        while start < end:
            block = self.read(start, min(STEP_BYTES, end - start))
            if block.count(0) != len(block) or not block:
                return False
            start += len(block)
        return True


@contextmanager
def opened(path: Path) -> Iterator[SegmentBytes]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield SegmentBytes(descriptor, places.is_whole(path))
    finally:
        os.close(descriptor)
