"""Reading a segment: which records are whole, what is torn, and what is damaged.

Torn is what ends before its own length says, or was never written (zeros): it is at the end of a segment only, and
nobody was ever told that it is kept, as what was acknowledged had been written whole. Anything else that is no record
is damage: bytes that somebody may have been promised. Of a segment that was whole before it had its name (`alone`) that
is all that is not as it was written, and its file is not read to find out where it ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from producers.dicom_router.spool.record import (
    SEGMENT_HEAD_BYTES,
    Kept,
    NotARecord,
    OfAnotherVersion,
    segment_id,
)
from producers.dicom_router.spool.segment_bytes import OTHER_FILE, STEP_BYTES, Found, SegmentBytes, opened


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
    """Goes through a segment from head to head, from where a record begins. Of the last the file is read too, but of
    one that is alone. Raises OSError.
    """
    with opened(path) as segment:
        try:
            own = segment_id(segment.read(0, SEGMENT_HEAD_BYTES))
        except NotARecord as error:
            return _without_head(segment, error)
        return _records(segment, own, start)


def appended(path: Path, start: int = SEGMENT_HEAD_BYTES) -> tuple[list[Found], int]:
    """The records from `start` on that are there as a whole, by their heads alone, and where to look for the next one:
    of a segment that another process writes. Raises OSError.

    What is damaged is stepped over once a record is behind it: until then it may be what is written at this moment.
    """
    found: list[Found] = []
    with opened(path) as segment:
        try:
            own = segment_id(segment.read(0, SEGMENT_HEAD_BYTES))
        except NotARecord:
            return found, start
        while start < segment.size:
            start = segment.past_padding(start, own)
            try:
                head, kept = segment.kept(start, own)
            except OfAnotherVersion as error:
                head, kept = error.head, None
            except NotARecord:
                # Behind one that is alone is none.
                there = None if segment.was_whole else segment.next_record(start + 1, own)
                if there is None:
                    break
                # One that was being written when it was looked at is whole by now: another is behind it.
                start = start if segment.is_record(start, own) else there
                continue
            if start + head.length > segment.size:
                break
            if kept is not None:
                found.append(Found.of(start, head, kept))
            start += head.length
    return found, start


def read(path: Path, found: Found) -> tuple[Kept, memoryview]:
    """A record's metadata and DICOM file, checked: a large one is mapped, and nothing of it is on the heap. Raises
    NotARecord where they are not what was written, OSError."""
    with opened(path) as segment:
        own = segment_id(segment.read(0, SEGMENT_HEAD_BYTES))
        return segment.kept(found.start, own)[1], segment.file(found)


def kept_whole(path: Path, found: Found) -> Kept:
    """A record's metadata, where its file is what was written too; little of it is in memory at a time. Raises
    NotARecord, OSError."""
    with opened(path) as segment:
        kept = segment.kept(found.start, segment_id(segment.read(0, SEGMENT_HEAD_BYTES)))[1]
        if not segment.has_file(found):
            raise NotARecord(OTHER_FILE)
        return kept


def read_bytes(path: Path, part: Part) -> Iterator[bytes]:
    """What a part of a segment holds, as it is. Raises OSError."""
    with opened(path) as segment:
        for start in range(part.start, part.end, STEP_BYTES):
            yield segment.read(start, min(STEP_BYTES, part.end - start))


def _without_head(segment: SegmentBytes, error: NotARecord) -> Walk:
    torn = segment.size < SEGMENT_HEAD_BYTES or segment.is_zeros(0, segment.size)
    if torn and not segment.was_whole:
        return Walk([], [], 0)
    return Walk([], [Part(0, segment.size, str(error))], None)


def _records(segment: SegmentBytes, own: bytes, position: int) -> Walk:
    found: list[Found] = []
    damaged: list[Part] = []
    # Of the record that comes next, where it is known.
    number: int | None = 0 if position == SEGMENT_HEAD_BYTES else None
    while position < segment.size:
        before, position = position, segment.past_padding(position, own, number)
        try:
            head, kept = segment.kept(position, own)
            one = Found.of(position, head, kept)
            end = position + one.length
            is_end = end >= segment.size or segment.is_padding(end, segment.size)
            if is_end and not (segment.was_whole and end == segment.size):
                return _last(segment, one, before, found, damaged)
            found.append(one)
            position, number = end, head.number + 1
        except OfAnotherVersion as error:
            end = position + error.head.length
            if end > segment.size:
                return _cut_short(segment, before, found, damaged)
            damaged.append(Part(position, end, str(error), is_record=True))
            position, number = end, error.head.number + 1
        except NotARecord as error:
            number = None
            there = segment.next_record(position + 1, own)
            if there is None and segment.never_finished(position, own) and not segment.was_whole:
                return Walk(found, damaged, position)
            end = segment.size if there is None else there
            damaged.append(Part(position, end, str(error)))
            position = end
    return Walk(found, damaged, None)


def _last(segment: SegmentBytes, one: Found, before: int, found: list[Found], damaged: list[Part]) -> Walk:
    """`before` is where the padding in front of it begins."""
    end = one.start + one.length
    if end > segment.size or segment.is_zeros(end - one.head.file, end):
        return _cut_short(segment, before, found, damaged)
    if segment.has_file(one):
        found.append(one)
    else:
        damaged.append(Part(one.start, end, OTHER_FILE))
    return Walk(found, damaged, end if end < segment.size else None)


def _cut_short(segment: SegmentBytes, start: int, found: list[Found], damaged: list[Part]) -> Walk:
    if segment.was_whole:
        return Walk(found, [*damaged, Part(start, segment.size, OTHER_FILE)], None)
    return Walk(found, damaged, start)
