"""Segments as files: what is whole is read, what is torn is cut off, what is damaged is seen."""

from __future__ import annotations

import hashlib
import json
import secrets
import tracemalloc
from pathlib import Path

import pytest
from msgspec import structs

from producers.dicom_router.spool.reading import read, walk
from producers.dicom_router.spool.record import (
    HEAD_BYTES,
    SEGMENT_HEAD_BYTES,
    NotARecord,
    decoded,
    encoded,
    new_segment,
    packed,
)
from producers.dicom_router.spool.segment_bytes import Found
from tests.spools import FILE_HEAD, kept

RECEIVED_MS = 1_767_600_000_000


def record(segment: bytes, number: int, data_set: bytes) -> bytes:
    file = FILE_HEAD + data_set
    digest = hashlib.sha256(file).digest()
    return packed(segment, number, RECEIVED_MS + number, digest, len(file), encoded(kept()))[0] + file


@pytest.fixture
def data_sets() -> list[bytes]:
    return [secrets.token_bytes(60) for _ in range(3)]


@pytest.fixture
def parts(data_sets: list[bytes]) -> list[bytes]:
    """The head of a segment, and three records."""
    head, segment = new_segment()
    return [head, *(record(segment, number, data_set) for number, data_set in enumerate(data_sets))]


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def data_sets_of(path: Path, found: list[Found]) -> list[bytes]:
    return [bytes(read(path, one)[1]).removeprefix(FILE_HEAD) for one in found]


def test_a_file_that_is_read_is_in_memory_once(tmp_path: Path) -> None:
    """They may have 4 GB, and what drains them is the scanners' own router."""
    head, segment = new_segment()
    path = written(tmp_path / "1.segment", head + record(segment, 0, bytes(8 << 20)))
    (found,) = walk(path).found
    tracemalloc.start()
    try:
        _, file = read(path, found)
        assert tracemalloc.get_traced_memory()[1] < len(file) + (1 << 20)
    finally:
        tracemalloc.stop()


def test_a_start_that_looks_whether_the_last_file_is_whole_has_little_of_it_in_memory(tmp_path: Path) -> None:
    head, segment = new_segment()
    path = written(tmp_path / "1.segment", head + record(segment, 0, bytes(16 << 20)))
    tracemalloc.start()
    try:
        assert len(walk(path).found) == 1
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 4 << 20


def test_what_was_written_is_read(tmp_path: Path, parts: list[bytes], data_sets: list[bytes]) -> None:
    path = written(tmp_path / "1.segment", b"".join(parts))
    walked = walk(path)

    assert (walked.damaged, walked.torn) == ([], None)
    assert data_sets_of(path, walked.found) == data_sets
    assert [one.head.received_ms for one in walked.found] == [RECEIVED_MS, RECEIVED_MS + 1, RECEIVED_MS + 2]
    assert read(path, walked.found[0])[0] == kept()


def test_a_last_record_torn_at_any_byte_is_cut_off_and_the_others_are_whole(
    tmp_path: Path, parts: list[bytes], data_sets: list[bytes]
) -> None:
    whole, last = b"".join(parts[:-1]), parts[-1]
    for length in range(1, len(last)):
        path = written(tmp_path / "1.segment", whole + last[:length])
        walked = walk(path)
        assert (walked.damaged, walked.torn) == ([], len(whole)), length
        assert len(walked.found) == 2, length
    assert data_sets_of(path, walked.found) == data_sets[:2]


def test_a_segment_torn_in_its_own_head_is_empty(tmp_path: Path, parts: list[bytes]) -> None:
    for length in range(SEGMENT_HEAD_BYTES):
        walked = walk(written(tmp_path / "1.segment", parts[0][:length]))
        assert (walked.found, walked.damaged, walked.torn) == ([], [], 0), length


@pytest.mark.parametrize("zeros", [1, HEAD_BYTES, 5000])
def test_an_end_that_was_never_written_is_torn(tmp_path: Path, parts: list[bytes], zeros: int) -> None:
    whole = b"".join(parts)
    walked = walk(written(tmp_path / "1.segment", whole + bytes(zeros)))
    assert (len(walked.found), walked.damaged, walked.torn) == (3, [], len(whole))


def test_a_last_file_that_was_never_written_is_torn(tmp_path: Path, parts: list[bytes]) -> None:
    whole, last = b"".join(parts[:-1]), parts[-1]
    file = len(FILE_HEAD) + 60
    walked = walk(written(tmp_path / "1.segment", whole + last[:-file] + bytes(file)))
    assert (len(walked.found), walked.damaged, walked.torn) == (2, [], len(whole))


def test_a_bit_that_changed_anywhere_is_seen_and_the_records_beside_it_are_whole(
    tmp_path: Path, parts: list[bytes], data_sets: list[bytes]
) -> None:
    """In each byte of the record in the middle, one after another: never taken for whole, never silently gone."""
    before, middle, after = parts[0] + parts[1], parts[2], parts[3]
    for place in range(len(middle)):
        changed = bytearray(middle)
        changed[place] ^= 1 << (place % 8)
        path = written(tmp_path / "1.segment", before + changed + after)
        walked = walk(path)
        whole = [one for one in walked.found if is_whole(path, one)]
        assert data_sets_of(path, whole) == [data_sets[0], data_sets[2]], place
        unreadable = [(one.start, one.start + one.length) for one in walked.found if one not in whole]
        seen = [(part.start, part.end) for part in walked.damaged] + unreadable
        assert seen == [(len(before), len(before) + len(middle))], place


def test_a_bit_that_changed_in_the_last_record_is_damage_and_never_taken_for_a_torn_end(
    tmp_path: Path, parts: list[bytes]
) -> None:
    """It may have been acknowledged: nobody cuts it off."""
    whole, last = b"".join(parts[:-1]), parts[-1]
    for place in range(len(last)):
        changed = bytearray(last)
        changed[place] ^= 1 << (place % 8)
        walked = walk(written(tmp_path / "1.segment", whole + changed))
        assert walked.torn is None, place
        assert [(part.start, part.end) for part in walked.damaged] == [(len(whole), len(whole) + len(last))], place
        assert len(walked.found) == 2, place


def test_a_segment_whose_own_head_is_damaged_is_damaged_as_a_whole(tmp_path: Path, parts: list[bytes]) -> None:
    content = b"".join((b"x" + parts[0][1:], *parts[1:]))
    walked = walk(written(tmp_path / "1.segment", content))
    assert (walked.found, walked.torn) == ([], None)
    assert [(part.start, part.end) for part in walked.damaged] == [(0, len(content))]


def test_a_data_set_that_looks_like_records_is_none(tmp_path: Path) -> None:
    """Its sender cannot know the id of the segment it ends up in, so damage before it does not bring it to life."""
    foreign_head, foreign = new_segment()
    forged = foreign_head + record(foreign, 0, b"an image of somebody else")
    head, segment = new_segment()
    first, second = record(segment, 0, forged), record(segment, 1, b"an image")
    damaged = b"x" + first[1:]
    path = written(tmp_path / "1.segment", head + damaged + second)
    walked = walk(path)

    assert data_sets_of(path, walked.found) == [b"an image"]
    assert [(part.start, part.end) for part in walked.damaged] == [(len(head), len(head) + len(first))]


def is_whole(path: Path, one: Found) -> bool:
    try:
        read(path, one)
    except NotARecord:
        return False
    return True


def test_metadata_that_are_no_text_are_damage_and_the_record_behind_them_is_whole(tmp_path: Path) -> None:
    """They ended the start of the router, when their check was right."""
    head, segment = new_segment()
    file = FILE_HEAD + b"an image"
    digest = hashlib.sha256(file).digest()
    metadata = encoded(kept()).replace(b"SCANNER", b"SC\xb0NNER")
    odd = packed(segment, 0, RECEIVED_MS, digest, len(file), metadata)[0] + file
    path = written(tmp_path / "1.segment", head + odd + record(segment, 1, b"another"))
    walked = walk(path)
    assert data_sets_of(path, walked.found) == [b"another"]
    assert [(part.start, part.end) for part in walked.damaged] == [(len(head), len(head) + len(odd))]


def test_what_another_version_of_the_router_spooled_is_read() -> None:
    """After an upgrade what is on the spool is drained, and after going back as well."""
    whole = structs.replace(kept(), protocol="STOW-RS", preamble="program", tick=7)
    assert decoded(encoded(whole)) == whole

    fields = json.loads(encoded(kept()))
    older = {name: value for name, value in fields.items() if name not in ("protocol", "preamble", "tick")}
    newer = {**fields, "of_a_later_version": True}
    assert decoded(json.dumps(older).encode()) == decoded(json.dumps(newer).encode()) == kept()
