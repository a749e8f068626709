"""The spool over restarts, damage, and a disk that fills or fails: nothing acknowledged is gone."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import tracemalloc
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from producers.dicom_router.spool import aside, places, record, segment_bytes, writing
from producers.dicom_router.spool.census import census
from producers.dicom_router.spool.incoming import NotSpooled
from producers.dicom_router.spool.reading import read
from producers.dicom_router.spool.record import Kept
from producers.dicom_router.spool.spool import Spool
from tests.power import mounted
from tests.spools import FILE_HEAD, drained, incoming, opened, segments, taken
from tests.waiting import wait_until

# Writes an image, and is killed where it would ask the disk to keep it.
_KILLED = """
import os, signal, sys
from pathlib import Path
from tests.spools import incoming, opened
opened(Path(sys.argv[1]), fdatasync=lambda _: os.kill(os.getpid(), signal.SIGKILL)).append(incoming(b"an image"))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def data_sets(spool: Spool) -> list[bytes]:
    return [bytes(read(entry.shelf.path, entry.found)[1]).removeprefix(FILE_HEAD) for entry in taken(spool)]


def settle_all(spool: Spool) -> None:
    while (entry := spool.waiting.take(0.0)) is not None:
        spool.once_more(entry)
        spool.settled(entry)


def die(spool: Spool) -> None:
    """What SIGKILL does: locks go, nothing is closed."""
    for owned in (spool._writing._own, *spool._inherited._owned):
        if owned is not None:
            os.close(owned.descriptor)
    spool._writing._own, spool._inherited._owned = None, []


def test_folders_and_files_are_its_owners_alone(folder: Path) -> None:
    opened(folder).append(incoming(b"an image"))
    for path in (folder, *folder.rglob("*")):
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def test_what_was_acknowledged_waits_in_its_order_after_a_crash(folder: Path) -> None:
    before = opened(folder, segment_bytes=1 << 16)
    sent = [bytes([number]) * 20_000 for number in range(20)]
    for data_set in sent:
        before.append(incoming(data_set))
    assert len(segments(folder)) > 1
    die(before)

    assert data_sets(opened(folder)) == sent


def test_a_torn_end_is_cut_off_after_a_crash_and_the_rest_is_there(folder: Path) -> None:
    before = opened(folder)
    before.append(incoming(b"whole"))
    (path,) = segments(folder)
    size = path.stat().st_size
    before.append(incoming(b"torn"))
    die(before)
    os.truncate(path, size + 50)

    assert data_sets(opened(folder)) == [b"whole"]
    assert path.stat().st_size == size
    assert aside.count(folder) == 0


def test_damage_in_the_middle_is_set_aside_once_with_a_reason_and_the_rest_goes_on(folder: Path) -> None:
    before = opened(folder)
    starts = []
    for name in (b"first", b"second", b"third"):
        before.append(incoming(name))
        starts.append(segments(folder)[0].stat().st_size)
    die(before)
    (path,) = segments(folder)
    damaged = bytearray(path.read_bytes())
    damaged[starts[0]] ^= 1
    path.write_bytes(damaged)

    after = opened(folder)
    assert data_sets(after) == [b"first", b"third"]
    die(after)
    assert data_sets(opened(folder)) == [b"first", b"third"]
    (kept,) = (folder / places.ASIDE).glob(f"*{aside.BYTES}")
    assert kept.read_bytes() == damaged[starts[0] : starts[1]]
    assert "no head of a record" in kept.with_suffix(aside.REASON).read_text()


def one_committed_and_one_that_waits(folder: Path) -> None:
    """As a process left them that was killed."""
    before = opened(folder)
    before.append(incoming(b"committed", "1.2.1"))
    before.append(incoming(b"waits", "1.2.2"))
    entry = before.waiting.take(0.0)
    assert entry is not None
    before.settled(entry)
    die(before)


def test_what_is_committed_is_not_committed_again_after_sigkill(folder: Path) -> None:
    one_committed_and_one_that_waits(folder)

    assert data_sets(opened(folder)) == [b"waits"]


def test_what_is_committed_waits_again_where_a_power_cut_took_the_note_of_it(folder: Path) -> None:
    one_committed_and_one_that_waits(folder)
    (path,) = segments(folder)
    path.with_suffix(places.PROGRESS).write_bytes(bytes(20))

    assert data_sets(opened(folder)) == [b"committed", b"waits"]


def test_a_segment_goes_when_all_in_it_is_committed_and_not_before(folder: Path) -> None:
    spool = opened(folder, segment_bytes=1 << 16)
    for number in range(8):
        spool.append(incoming(bytes([number]) * 30_000))
    there = segments(folder)
    assert len(there) == 4
    for left in (there[1:], there[2:]):
        for _ in range(2):
            assert set(segments(folder)) >= set(left)
            entry = spool.waiting.take(0.0)
            assert entry is not None
            spool.settled(entry)
        assert segments(folder) == left
    settle_all(spool)
    # The last one is written to; it goes when nobody wrote for a while.
    spool.look()
    spool.look()
    assert segments(folder) == []
    assert list(folder.glob("*/*")) == []


def test_another_process_takes_over_what_one_left_and_nothing_of_one_that_lives(folder: Path) -> None:
    first, second = opened(folder), opened(folder)
    first.append(incoming(b"of the first"))
    second.look()
    assert data_sets(second) == []
    die(first)
    second.look()
    assert data_sets(second) == [b"of the first"]


def test_a_folder_that_is_empty_after_a_takeover_is_removed(folder: Path) -> None:
    first, second = opened(folder), opened(folder)
    first.append(incoming(b"of the first"))
    die(first)
    second.look()
    settle_all(second)
    second.look()
    assert len(places.owned_folders(folder)) == 1, "its own alone"
    second.close()
    assert places.owned_folders(folder) == []


def test_over_its_budget_it_takes_no_more_and_says_why_until_there_is_room(folder: Path) -> None:
    spool = opened(folder, budget_bytes=1 << 20, segment_bytes=1 << 16)
    for number in range(17):
        spool.append(incoming(bytes([number]) * 60_000))
    with pytest.raises(NotSpooled, match=r"the spool is full.*budget_bytes"):
        spool.append(incoming(b"x" * 60_000))
    assert sum(path.stat().st_size for path in segments(folder)) <= 1 << 20
    settle_all(spool)
    spool.look()
    assert spool.look() is None
    spool.append(incoming(b"x" * 60_000))


def test_the_budget_is_for_all_processes_together(folder: Path) -> None:
    first, second = opened(folder, budget_bytes=1 << 20), opened(folder, budget_bytes=1 << 20)
    first.append(incoming(b"x" * 900_000))
    second.look()
    with pytest.raises(NotSpooled):
        second.append(incoming(b"y" * 200_000))


def test_its_budget_holds_while_its_folder_cannot_be_counted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder in it that the disk does not give back, say: what can be written is no more for that."""

    def gone(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def fill() -> None:
        for number in range(40):
            spool.append(incoming(bytes([number]) * 50_000))
            spool.look()

    spool = opened(folder, budget_bytes=1 << 20, segment_bytes=1 << 16)
    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", gone)
        with pytest.raises(NotSpooled, match="the spool is full"):
            fill()
    assert spool.waiting.count == 20
    spool.look()
    assert spool.used_bytes <= 1 << 20


def test_it_leaves_the_disk_what_others_need(folder: Path) -> None:
    free = shutil.disk_usage(folder.parent).free
    spool = opened(folder, free_bytes_min=2 * free)
    with pytest.raises(NotSpooled, match="free_bytes_min"):
        spool.append(incoming(b"an image"))
    assert spool.look() is not None


class FailingDisk:
    """Fails the next `failures` syncs, and notes the file of each sync."""

    def __init__(self) -> None:
        self.failures = 0
        self.synced: list[int] = []

    def fdatasync(self, descriptor: int) -> None:
        self.synced.append(os.fstat(descriptor).st_ino)
        if self.failures:
            self.failures -= 1
            raise OSError(5, "Input/output error")
        os.fdatasync(descriptor)


def test_after_a_failed_sync_another_segment_is_tried_and_what_was_durable_stays_so(folder: Path) -> None:
    disk = FailingDisk()
    spool = opened(folder, fdatasync=disk.fdatasync)
    spool.append(incoming(b"first"))
    disk.failures = 1
    spool.append(incoming(b"second"))
    spool.append(incoming(b"third"))

    failed = disk.synced[1]
    assert failed not in disk.synced[2:]
    die(spool)
    assert data_sets(opened(folder)) == [b"first", b"second", b"third"]


def test_a_disk_that_keeps_nothing_is_not_believed_and_readiness_says_so_until_it_does(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FailingDisk()
    spool = opened(folder, fdatasync=disk.fdatasync)
    disk.failures = 2
    with pytest.raises(NotSpooled, match="disk does not keep"):
        spool.append(incoming(b"an image"))

    def fails(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fails)
        assert "does not keep" in (spool.look() or "")
    assert spool.look() is None
    assert data_sets(spool) == []
    spool.append(incoming(b"an image"))
    assert data_sets(spool) == [b"an image"]


def test_a_disk_that_is_full_is_called_full(folder: Path) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    spool = opened(folder, fdatasync=full)
    with pytest.raises(NotSpooled, match="disk is full"):
        spool.append(incoming(b"an image"))


@pytest.mark.parametrize("call", ["scandir", "statvfs"])
def test_a_disk_that_cannot_even_be_looked_at_takes_nothing_more_until_it_can(
    folder: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """The router's main loop asks every second, and must not end by it."""

    def gone(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    spool = opened(folder)
    assert spool.look() is None
    with monkeypatch.context() as patched:
        patched.setattr(os, call, gone)
        assert "does not keep what is written" in (spool.look() or "")
        assert spool.look() is not None
    spool.look()
    assert spool.look() is None


def test_every_folder_that_was_made_for_it_is_on_the_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that a power cut takes, takes all that is acknowledged below it."""
    synced: list[Path] = []
    really = places.sync_folder

    def sync(path: Path) -> None:
        synced.append(path)
        really(path)

    monkeypatch.setattr(places, "sync_folder", sync)
    opened(folder / "of" / "a router").close()
    assert {folder.parent, folder, folder / "of"} <= set(synced)


def test_what_was_not_finished_aside_is_removed_once_nobody_can_be_writing_it(folder: Path) -> None:
    opened(folder).close()
    old, new = (folder / places.ASIDE / name for name in ("old.segment.part", "new.segment.part"))
    for path in (old, new):
        path.write_bytes(b"half an ima")
    os.utime(old, (0, 0))
    opened(folder)
    assert (old.exists(), new.exists()) == (False, True)


def test_many_at_once_share_syncs(folder: Path) -> None:
    """While one sync is under way, all that come meanwhile are written and wait for the next one together."""
    entered, gate = threading.Semaphore(0), threading.Event()
    syncs: list[int] = []

    def fdatasync(descriptor: int) -> None:
        syncs.append(descriptor)
        entered.release()
        gate.wait()
        os.fdatasync(descriptor)

    spool = opened(folder, segment_bytes=8 << 20, fdatasync=fdatasync)
    with ThreadPoolExecutor(17) as pool:
        first = pool.submit(spool.append, incoming(b"first"))
        entered.acquire()
        others = [pool.submit(spool.append, incoming(bytes([number]) * 1000)) for number in range(16)]
        wait_until(lambda: len(census(folder).waiting) == 17, "all to be written")
        gate.set()
        for future in (first, *others):
            future.result()
    assert len(syncs) <= 3
    assert spool.waiting.count == 17


def test_the_same_bytes_again_are_not_stored_twice_and_are_published_again(folder: Path) -> None:
    spool = opened(folder)
    one = incoming(b"an image")
    assert not spool.repeated(one)
    spool.append(one)
    size = segments(folder)[0].stat().st_size
    assert spool.repeated(one)
    assert spool.repeated(one)

    assert segments(folder)[0].stat().st_size == size
    entry = spool.waiting.take(0.0)
    assert entry is not None
    assert [spool.once_more(entry) for _ in range(3)] == [True, True, False]
    assert not spool.repeated(one)


def test_the_same_bytes_again_are_stored_where_those_on_the_spool_are_damaged(folder: Path) -> None:
    spool = opened(folder)
    one = incoming(b"an image")
    spool.append(one)
    (path,) = segments(folder)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert not spool.repeated(one)


def test_the_same_bytes_of_another_sender_or_after_other_content_are_no_repeat(folder: Path) -> None:
    spool = opened(folder)
    one, other = incoming(b"an image"), incoming(b"an image, corrected")
    spool.append(one)
    assert not spool.repeated(incoming(b"an image", calling_ae="WS1"))
    spool.append(other)
    assert not spool.repeated(one)
    assert spool.repeated(other)
    assert data_sets(spool) == [b"an image", b"an image, corrected"]


def test_who_sent_what_a_process_left_is_known_to_the_next(folder: Path) -> None:
    before = opened(folder)
    before.append(incoming(b"an image"))
    before.append(incoming(b"an image, corrected"))
    die(before)
    after = opened(folder)
    assert not after.repeated(incoming(b"an image"))
    assert not after.repeated(incoming(b"an image, corrected", calling_ae="WS1"))
    assert after.repeated(incoming(b"an image, corrected"))


def test_the_same_bytes_again_are_not_promised_for_what_the_page_cache_alone_has(tmp_path: Path) -> None:
    """A process that is killed while it asks the disk leaves a whole record, which nobody was told of."""
    with mounted(tmp_path, 64 << 20) as disk:
        folder = disk.path / "spool"
        killed = subprocess.run([sys.executable, "-c", _KILLED, str(folder)], check=False)
        assert killed.returncode == -signal.SIGKILL
        spool = opened(folder)
        one = incoming(b"an image")
        if not spool.repeated(one):
            spool.append(one)
        disk.cut()
        spool.close()
        wait_until(disk.is_pulled_out, "the disk to be free")
        disk.plug_in()
        after = opened(folder)
        assert b"an image" in data_sets(after)
        after.close()


def test_what_a_process_left_that_a_disk_does_not_say_it_keeps_is_written_again_and_committed_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = opened(folder)
    before.append(incoming(b"an image"))
    die(before)

    really = os.fsync

    def fails(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        really(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fails)
        after = opened(folder)
    one = incoming(b"an image")
    assert not after.repeated(one)
    after.append(one)
    assert after.repeated(one)
    assert data_sets(after) == [b"an image", b"an image"]


def test_a_start_asks_the_disk_only_for_what_it_may_not_have_and_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No port is open before, and there may be thousands of segments."""
    before = opened(folder, segment_bytes=1 << 16)
    for size in (100_000, 40_000, 100_000, 40_000):
        before.append(incoming(bytes(size)))
    die(before)
    left = segments(folder)
    really, asked = os.fsync, Counter[Path]()

    def counted(descriptor: int) -> None:
        asked[Path(f"/proc/self/fd/{descriptor}").readlink()] += 1
        really(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", counted)
        after = opened(folder)
    assert [asked[path] for path in left] == [not places.is_whole(path) for path in left]
    assert (len(left), asked[left[0].parent]) == (4, 1)
    assert after.repeated(incoming(bytes(40_000)))


def test_what_came_to_another_process_since_is_between(folder: Path) -> None:
    spool, another = opened(folder), opened(folder)
    spool.append(incoming(b"an image"))
    assert spool.repeated(incoming(b"an image"))
    another.append(incoming(b"an image, corrected"))
    assert not spool.repeated(incoming(b"an image"))


def test_a_sender_that_repeats_what_waits_takes_little_memory_by_it(folder: Path) -> None:
    """Each association may, and an object may have gigabytes."""
    spool = opened(folder, segment_bytes=32 << 20)
    one = incoming(bytes(16 << 20))
    spool.append(one)
    tracemalloc.start()
    try:
        assert spool.repeated(one)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 4 << 20


def set_aside(folder: Path, data_set: bytes) -> tuple[Kept, memoryview]:
    """What stands aside there, of a spool that is closed."""
    spool = opened(folder)
    spool.append(incoming(data_set))
    entry = spool.waiting.take(0.0)
    assert entry is not None
    kept, file = read(entry.shelf.path, entry.found)
    aside.set_record_aside(folder, entry.found, kept, file, "the log refused its event")
    spool.settled(entry)
    spool.close()
    return kept, file


def test_what_stands_aside_is_tried_again_at_the_next_start(folder: Path) -> None:
    kept, file = set_aside(folder, b"an image")
    assert aside.count(folder) == 1

    after = opened(folder)
    assert aside.count(folder) == 0
    (again,) = taken(after)
    assert again.found.head.digest == hashlib.sha256(FILE_HEAD + b"an image").digest()
    assert read(again.shelf.path, again.found) == (kept, file)


def one_refused(folder: Path) -> Callable[[], None]:
    """A record of 2 MB on a spool there; each call tries to set it aside."""
    spool = opened(folder, segment_bytes=4 << 20)
    spool.append(incoming(bytes(2 << 20)))
    entry = spool.waiting.take(0.0)
    assert entry is not None
    kept, file = read(entry.shelf.path, entry.found)
    return lambda: aside.set_record_aside(folder, entry.found, kept, file, "the log refused its event")


def stand_aside(folder: Path) -> list[str]:
    return sorted(path.suffix for path in (folder / places.ASIDE).iterdir())


@pytest.mark.parametrize("lost", [1, 5_000])
def test_what_a_disk_lost_of_a_record_that_stands_aside_is_told_and_never_cut_off(folder: Path, lost: int) -> None:
    """It was whole there, and its sender was promised it: it is no torn end, and its file no other's."""
    set_aside(folder, bytes(6_000))
    (record,) = aside.records(folder)
    os.truncate(record, record.stat().st_size - lost)

    after = opened(folder)
    assert data_sets(after) == []
    assert [path.suffix for path in (folder / places.ASIDE).iterdir() if path.suffix != aside.REASON] == [aside.BYTES]
    after.close()


def test_what_a_full_disk_does_not_let_stand_aside_takes_nothing_of_the_room_that_is_made(tmp_path: Path) -> None:
    with mounted(tmp_path, 48 << 20) as disk:
        set_aside = one_refused(disk.path / "spool")
        filler = disk.fill(left=3 << 19)
        free = places.free_bytes(disk.path)
        for _ in range(4):
            with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
                set_aside()
            assert stand_aside(disk.path / "spool") == []
        assert places.free_bytes(disk.path) == free
        filler.unlink()
        set_aside()
        assert stand_aside(disk.path / "spool") == [aside.REASON, places.SEGMENT]


def test_a_try_to_set_aside_that_fails_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_aside = one_refused(folder)

    def fails(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", fails)
        for _ in range(2):
            with pytest.raises(OSError, match=os.strerror(errno.EIO)):
                set_aside()
            assert stand_aside(folder) == []
    set_aside()
    assert stand_aside(folder) == [aside.REASON, places.SEGMENT]


def test_what_the_disk_does_not_say_that_it_keeps_aside_stands_there_once_when_it_does(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_aside, really = one_refused(folder), places.sync_folder

    def fails(path: Path) -> None:
        if list(path.glob(f"*{places.SEGMENT}")):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        really(path)

    with monkeypatch.context() as patched:
        patched.setattr(places, "sync_folder", fails)
        for _ in range(2):
            with pytest.raises(OSError, match=os.strerror(errno.EIO)):
                set_aside()
    set_aside()
    assert stand_aside(folder) == [aside.REASON, places.SEGMENT]


def test_what_a_newer_version_left_is_kept_for_it_where_an_older_one_is_taken_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was acknowledged, and is as good as ever: nobody is to mend it by hand."""
    newer = opened(folder)
    really = record.encoded
    with monkeypatch.context() as patched:
        patched.setattr(writing, "encoded", lambda kept: really(kept).replace(b'"DIMSE"', b'"a new door"'))
        newer.append(incoming(b"new"))
    newer.append(incoming(b"old"))
    newer.close()

    older = opened(folder)
    assert drained(older) == [b"old"]
    assert not [path for path in (folder / places.ASIDE).iterdir() if path.suffix == aside.BYTES]
    older.close()
    again = opened(folder)
    assert drained(again) == []
    again.close()

    knows = record.decoded
    with monkeypatch.context() as patched:
        patched.setattr(segment_bytes, "decoded", lambda text: knows(text.replace(b'"a new door"', b'"DIMSE"')))
        newer = opened(folder)
        assert drained(newer) == [b"new"]
        newer.close()


def test_a_segment_that_cannot_be_read_stays_and_stops_nobody(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = opened(folder, segment_bytes=1 << 16)
    before.append(incoming(b"a" * 60_000))
    before.append(incoming(b"b" * 60_000))
    die(before)
    bad, _ = segments(folder)
    really = os.open

    def fails(path: Path, *arguments: int) -> int:
        if Path(path) == bad and arguments[0] & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(5, "Input/output error")
        return really(path, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", fails)
        after = opened(folder)
    assert data_sets(after) == [b"b" * 60_000]
    assert bad.exists()
