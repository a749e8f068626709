"""Large records that go past the page cache, among small ones that do not: read, torn and damaged as any."""

from __future__ import annotations

import errno
import mmap
import os
import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from producers.dicom_router.spool.incoming import Incoming
from producers.dicom_router.spool.reading import appended, read, walk
from producers.dicom_router.spool.record import PAGE_BYTES, SEGMENT_HEAD_BYTES, page_end
from producers.dicom_router.spool.spool import Spool
from tests.spools import FILE_HEAD, drained, incoming, mapped, opened, segments

LARGE = 300_000
# The first record of a segment, where that is large.
SEGMENT_HEAD_PAGE = page_end(SEGMENT_HEAD_BYTES)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = opened(tmp_path / "spool", segment_bytes=64 << 20)
    yield spool
    spool.close()


def mixed() -> list[tuple[bytes, Incoming]]:
    """Data sets of many lengths, small ones among large ones, in memory that begins anywhere in a page."""
    found = []
    for number in range(24):
        data_set = secrets.token_bytes(LARGE + number * 777 if number % 3 else 200 + number)
        found.append(
            (data_set, mapped(data_set, in_page=number * 997 % PAGE_BYTES) if number % 3 else incoming(data_set))
        )
    return found


def put(spool: Spool, *all_of_them: Incoming) -> Path:
    for one in all_of_them:
        spool.append(one)
    (path,) = segments(spool.folder)
    return path


def data_sets_of(path: Path) -> list[bytes]:
    return [bytes(read(path, one)[1]).removeprefix(FILE_HEAD) for one in walk(path).found]


def is_cached(path: Path, place: int) -> bool:
    with path.open("rb") as file:
        try:
            return bool(os.preadv(file.fileno(), [bytearray(1)], place, os.RWF_NOWAIT))
        except BlockingIOError:
            return False


def test_what_was_written_is_read_by_who_wrote_it_by_others_and_by_the_next_start(spool: Spool) -> None:
    sent = mixed()
    path = put(spool, *(one for _, one in sent))
    data_sets = [data_set for data_set, _ in sent]
    assert data_sets_of(path) == data_sets
    assert len(appended(path)[0]) == len(sent)
    spool.close()
    again = opened(spool.folder)
    assert drained(again) == data_sets
    again.close()


def test_others_see_what_was_appended_since_they_looked(spool: Spool) -> None:
    ends = [SEGMENT_HEAD_BYTES]
    for _, one in mixed():
        (new,), end = appended(put(spool, one), ends[-1])
        assert end == new.start + new.length
        ends.append(end)


def test_a_large_file_is_not_in_the_page_cache_afterwards(spool: Spool) -> None:
    path = put(spool, mapped(secrets.token_bytes(LARGE)))
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_DIRECT))
    except OSError:
        pytest.skip("the disk of temporary files has no writes past the page cache")
    assert not is_cached(path, LARGE // 2)


@pytest.mark.parametrize("call", ["open", "pwritev"])
def test_where_the_file_system_has_no_such_writes_they_are_as_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    whole = getattr(os, call)

    def invalid(what: str | int, flags: int | list[memoryview], *rest: int) -> int:
        if call == "pwritev" or (isinstance(flags, int) and flags & os.O_DIRECT):
            raise OSError(errno.EINVAL, "Invalid argument")
        found: int = whole(what, flags, *rest)
        return found

    monkeypatch.setattr(os, call, invalid)
    sent = mixed()
    spool = opened(tmp_path / "spool", segment_bytes=64 << 20)
    assert data_sets_of(put(spool, *(one for _, one in sent))) == [data_set for data_set, _ in sent]
    spool.close()


@pytest.mark.parametrize("takes", [0, 40 * PAGE_BYTES])
def test_a_disk_that_takes_a_part_leaves_nothing_and_another_segment_is_tried(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, takes: int
) -> None:
    path = put(spool, mapped(b"1" * LARGE), incoming(b"2"))
    whole = os.pwritev

    def full(descriptor: int, parts: list[memoryview], at: int) -> int:
        monkeypatch.setattr(os, "pwritev", whole)
        if not takes:
            raise OSError(errno.ENOSPC, "No space left on device")
        return os.pwrite(descriptor, parts[1][:takes], at)

    monkeypatch.setattr(os, "pwritev", full)
    spool.append(mapped(b"3" * LARGE))
    assert data_sets_of(path) == [b"1" * LARGE, b"2"]
    assert [one for path in segments(spool.folder) for one in data_sets_of(path)] == [b"1" * LARGE, b"2", b"3" * LARGE]


def test_a_large_record_that_is_torn_is_cut_off(spool: Spool) -> None:
    path = put(spool, mapped(b"1" * LARGE), incoming(b"2"), mapped(b"3" * LARGE))
    whole, (_, small, last) = path.read_bytes(), walk(path).found
    end = small.start + small.length
    for length in (*range(end + 1, last.start, 500), *range(last.start, last.start + last.length, PAGE_BYTES)):
        path.write_bytes(whole[:length])
        walked = walk(path)
        assert ([one.start for one in walked.found], walked.damaged) == ([SEGMENT_HEAD_PAGE, small.start], []), length
        assert walked.torn == end, length
    path.write_bytes(whole)
    assert data_sets_of(path) == [b"1" * LARGE, b"2", b"3" * LARGE]


def test_the_zeros_behind_the_last_record_are_cut_off_and_it_is_whole(spool: Spool) -> None:
    path = put(spool, mapped(b"1" * LARGE))
    (one,) = walk(path).found
    assert path.stat().st_size == page_end(one.start + one.length)
    assert walk(path).torn == one.start + one.length


def test_a_last_large_file_of_which_a_bit_changed_is_damage(spool: Spool) -> None:
    path = put(spool, mapped(b"1" * LARGE))
    changed = bytearray(path.read_bytes())
    changed[LARGE // 2] ^= 1
    path.write_bytes(changed)
    (part,) = walk(path).damaged
    assert (part.start, walk(path).found) == (SEGMENT_HEAD_PAGE, [])


def test_a_small_record_that_a_disk_made_zeros_is_no_padding(spool: Spool) -> None:
    """It was acknowledged: it is set aside, and somebody is told."""
    path = put(spool, incoming(b"1"), incoming(b"2"), mapped(b"3" * LARGE))
    content, (_, small, large) = bytearray(path.read_bytes()), walk(path).found
    content[small.start : small.start + small.length] = bytes(small.length)
    path.write_bytes(content)
    walked = walk(path)
    assert [(part.start, part.end) for part in walked.damaged] == [(small.start, large.start)]
    assert data_sets_of(path) == [b"1", b"3" * LARGE]


def test_a_bit_that_changed_between_records_takes_none_of_them(spool: Spool) -> None:
    path = put(spool, incoming(b"1"), mapped(b"2" * LARGE), incoming(b"3"))
    whole, (first, second, third) = path.read_bytes(), walk(path).found
    for place in (first.start + first.length, second.start - 1, second.start + second.length, third.start - 1):
        changed = bytearray(whole)
        changed[place] ^= 1
        path.write_bytes(changed)
        assert data_sets_of(path) == [b"1", b"2" * LARGE, b"3"], place
        assert len(walk(path).damaged) == 1, place


@pytest.mark.parametrize("length", [7000, 60_000, 64_000])
def test_a_record_with_much_to_say_is_read_again(spool: Spool, length: int) -> None:
    """Padding made what was just allowed too much to be read."""
    one = mapped(b"1" * LARGE)
    spool.append(replace(one, kept=msgspec.structs.replace(one.kept, sop_instance_uid="1" * length)))
    assert data_sets_of(put(spool, mapped(b"2" * LARGE))) == [b"1" * LARGE, b"2" * LARGE]


def test_where_there_is_no_memory_for_its_pages_nothing_is_left_open(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    one = mapped(b"1" * LARGE)
    before = len(list(Path("/proc/self/fd").iterdir()))
    monkeypatch.setattr(mmap, "mmap", none)
    assert data_sets_of(put(spool, one)) == [b"1" * LARGE]
    spool.close()
    assert len(list(Path("/proc/self/fd").iterdir())) < before
