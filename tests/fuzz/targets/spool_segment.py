"""A segment of the spool as a crash, or a disk, left it: no record is made up, none that was whole is overlooked.

The first byte says what happened to a segment of three records, the last of which begins with a page: it was cut off,
bytes of it changed, its end was never written, a head was written by a program that is wrong; or the whole of it is
something else.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from producers.dicom_router.spool.reading import Walk, read, walk
from producers.dicom_router.spool.record import (
    SEGMENT_HEAD_BYTES,
    NotARecord,
    decoded,
    encoded,
    packed,
    page_end,
)
from producers.dicom_router.spool.segment_bytes import Found
from tests.spools import FILE_HEAD, kept

INPUT_BYTES_MAX: Final = 4096
WORDS: Final = (b"RSPOOL\1\0", b"RSIN\1\0\0\0", b"\0" * 32, b'{"tenant":"t",', b'"file_head":', b'"lane":"stat"')
_ID: Final = bytes(range(16))
_HEAD: Final = b"RSPOOL\1\0" + bytes(8) + _ID
_RECORDS: Final = 3


@cache
def _records() -> tuple[bytes, ...]:
    return tuple(_record(number, encoded(kept()), FILE_HEAD + bytes((number,)) * 50) for number in range(_RECORDS))


def _record(number: int, metadata: bytes, file: bytes) -> bytes:
    return packed(_ID, number, 1_767_600_000_000, hashlib.sha256(file).digest(), len(file), metadata)[0] + file


@cache
def _good() -> bytes:
    """The segment as it was written."""
    small = _HEAD + b"".join(_records()[:-1])
    return small.ljust(page_end(len(small)), b"\0") + _records()[-1]


def seeds() -> Iterator[bytes]:
    yield b"\0" + (400).to_bytes(2, "little")
    yield b"\1" + (200).to_bytes(2, "little") + b"\xff" + (900).to_bytes(2, "little") + b"\1"
    yield b"\2" + (700).to_bytes(2, "little")
    yield b"\3" + encoded(kept())
    yield b"\4" + _HEAD + b"".join(_records())
    yield b"\1" + (1900).to_bytes(2, "little") + b"\xff" + (4095).to_bytes(2, "little") + b"\1"


def check(data: bytes) -> None:
    kind, data = (data[0] % 5 if data else 0), data[1:]
    good = _good()
    at = int.from_bytes(data[:2], "little") % (len(good) + 1)
    if kind == 0:
        _check_cut(good, at)
    elif kind == 1:
        changed = bytearray(good)
        for step in range(0, len(data) - 2, 3):
            changed[int.from_bytes(data[step : step + 2], "little") % len(good)] ^= data[step + 2]
        _check_any(bytes(changed))
    elif kind == 2:
        _check_any(good[:at] + bytes(len(good) - at))
    elif kind == 3:
        _check_metadata(data)
    else:
        _check_any(data)


def _check_cut(good: bytes, at: int) -> None:
    """What was whole before the cut is there, and nothing is damaged."""
    walked, files = _walked(good[:at])
    ends = [SEGMENT_HEAD_BYTES + sum(map(len, _records()[: number + 1])) for number in range(_RECORDS - 1)]
    ends.append(len(good))
    assert len(walked.found) == sum(end <= at for end in ends)
    assert not walked.damaged
    whole = at in (SEGMENT_HEAD_BYTES, *ends)
    assert (walked.torn is None) is whole
    assert files == [FILE_HEAD + bytes((number,)) * 50 for number in range(len(files))]


def _check_any(content: bytes) -> None:
    """What is found, damaged or torn is all there is, once; and what is read was written."""
    walked, files = _walked(content)
    parts = [(one.start, one.start + one.length) for one in walked.found]
    parts += [(part.start, part.end) for part in walked.damaged]
    if walked.torn is not None:
        parts.append((walked.torn, len(content)))
    at = SEGMENT_HEAD_BYTES if walked.found or not parts else min(min(parts)[0], SEGMENT_HEAD_BYTES)
    for start, end in sorted(parts):
        assert start == at or (start == page_end(at) and not any(content[at:start]))
        at = end
    assert at >= len(content) or not parts
    if content.startswith(_HEAD):
        assert all(file.startswith(FILE_HEAD) for file in files)


def _check_metadata(metadata: bytes) -> None:
    """With checks that are right: only a router writes those, and it does not write records into metadata."""
    if _ID in metadata:
        return
    good = _records()[0]
    walked, _ = _walked(_HEAD + _record(0, metadata[: 64 << 10], b"a file") + good)
    try:
        decoded(metadata)
    except NotARecord:
        assert [one.start for one in walked.found] == [walked.damaged[0].end]
    else:
        assert len(walked.found) == 2


def _walked(content: bytes) -> tuple[Walk, list[bytes]]:
    """The walk, and the files of records that are as they were written. What is torn is cut off, and then gone."""
    with tempfile.NamedTemporaryFile(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as file:  # noqa: S108
        file.write(content)
        file.flush()
        path = Path(file.name)
        walked = walk(path)
        files = [one for found in walked.found if (one := _file(path, found)) is not None]
        if walked.torn is not None:
            os.truncate(path, walked.torn)
            again = walk(path)
            # The file of a record that is the last one now is looked at; before, only its reader would have.
            left = [again.torn] if again.torn else []
            starts = sorted([one.start for one in again.found] + [part.start for part in again.damaged] + left)
            assert starts == sorted([one.start for one in walked.found] + [part.start for part in walked.damaged])
        return walked, files


def _file(path: Path, found: Found) -> bytes | None:
    try:
        return bytes(read(path, found)[1])
    except NotARecord:
        return None
