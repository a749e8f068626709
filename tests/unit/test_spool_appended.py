"""What other processes see of a segment that is written: all that is whole, whatever lies between."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from producers.dicom_router.spool import record, segment_bytes, writing
from producers.dicom_router.spool.incoming import Incoming
from producers.dicom_router.spool.reading import appended, walk
from producers.dicom_router.spool.record import HEAD_BYTES, PAGE_BYTES, SEGMENT_HEAD_BYTES
from producers.dicom_router.spool.segment_bytes import Found
from tests.spools import drained, incoming, mapped, opened, segments

STUDY, OTHER, THIRD = "1.2.3", "1.2.4", "1.2.5"
LARGE = 300_000


def with_damage(path: Path, one: Found, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[one.start + place] ^= 1
    path.write_bytes(content)


def left(folder: Path, *all_of_them: Incoming) -> Path:
    """A segment with these, of a process that is gone."""
    spool = opened(folder, segment_bytes=64 << 20)
    for one in all_of_them:
        spool.append(one)
    (path,) = segments(folder)
    spool.close()
    return path


@pytest.mark.parametrize("place", [0, HEAD_BYTES], ids=["head", "metadata"])
def test_what_is_behind_damage_is_waited_for(tmp_path: Path, place: int) -> None:
    path = left(tmp_path, incoming(b"first", OTHER), incoming(b"damaged", THIRD), incoming(b"behind", STUDY))
    with_damage(path, walk(path).found[1], place)
    one, two = opened(tmp_path), opened(tmp_path)
    assert two.holds(STUDY)
    assert two.holds(OTHER)
    assert drained(one) == [b"first", b"behind"]
    assert not two.holds(STUDY)
    two.close()
    one.close()


def test_what_is_behind_a_record_of_a_newer_version_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are alive: a newer router hands over to an older one again."""
    newer, older = opened(tmp_path), opened(tmp_path)
    really = record.encoded
    with monkeypatch.context() as patched:
        patched.setattr(writing, "encoded", lambda kept: really(kept).replace(b'"DIMSE"', b'"a new door"'))
        newer.append(incoming(b"new", OTHER))
    assert not older.holds(STUDY)
    newer.append(incoming(b"behind", STUDY))
    assert older.holds(STUDY)
    knows = record.decoded
    monkeypatch.setattr(segment_bytes, "decoded", lambda text: knows(text.replace(b'"a new door"', b'"DIMSE"')))
    assert drained(newer) == [b"new", b"behind"]
    assert not older.holds(STUDY)
    older.close()
    newer.close()


@pytest.mark.parametrize("damaged", [None, 0, 1, 2, 3, 4])
def test_whoever_looks_while_it_is_written_finds_each_whole_record_once(tmp_path: Path, damaged: int | None) -> None:
    path = left(
        tmp_path,
        incoming(b"1"),
        mapped(secrets.token_bytes(LARGE)),
        incoming(b"3"),
        mapped(secrets.token_bytes(LARGE), in_page=4000),
        incoming(b"5"),
    )
    wanted = walk(path).found
    if damaged is not None:
        with_damage(path, wanted.pop(damaged), HEAD_BYTES)
    content = path.read_bytes()
    found: list[Found] = []
    start = SEGMENT_HEAD_BYTES
    for size in cuts(len(content), [one.start for one in wanted]):
        path.write_bytes(content[:size])
        new, start = appended(path, start)
        found += new
        assert [one.start for one in found] == [one.start for one in wanted if one.start + one.length <= size], size
    assert len(found) == len(wanted)


def cuts(size: int, starts: list[int]) -> list[int]:
    """Where it may end when somebody looks: with a page, and anywhere in a record's head and metadata."""
    pages = range(PAGE_BYTES, size, 5 * PAGE_BYTES)
    heads = (place for start in starts for place in range(start, start + 700, 97))
    return sorted({*pages, *heads, size})


def test_a_record_that_is_written_in_pieces_is_no_damage_whatever_is_in_front_of_it(tmp_path: Path) -> None:
    path = left(tmp_path, incoming(b"first"), incoming(b"damaged"), incoming(b"last"))
    first, damaged, last = walk(path).found
    with_damage(path, damaged, 0)
    content = path.read_bytes()
    for size in range(damaged.start, len(content), 7):
        path.write_bytes(content[:size])
        found, end = appended(path)
        assert found == [first]
        assert end in (damaged.start, last.start)
    path.write_bytes(content)
    assert appended(path, end) == ([last], len(content))


def test_a_segment_without_a_head_shows_nothing(tmp_path: Path) -> None:
    path = left(tmp_path, incoming(b"first"))
    path.write_bytes(bytes(32) + path.read_bytes()[32:])
    assert appended(path) == ([], SEGMENT_HEAD_BYTES)
