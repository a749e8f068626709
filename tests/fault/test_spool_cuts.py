"""SIGKILL and power cuts while many write to the spool: what was acknowledged is there, whole."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from producers.dicom_router.spool import aside
from producers.dicom_router.spool.reading import read
from tests.power import PowerDisk
from tests.spools import opened, taken
from tests.waiting import wait_until

pytestmark = [pytest.mark.fault]

ACKNOWLEDGED_MIN = 150


class Writer:
    """A process that writes to a spool; `acknowledged` are the digests it said so of, up to now."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "tests.spool_writer", str(folder)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.acknowledged: list[str] = []
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()
        wait_until(lambda: len(self.acknowledged) >= ACKNOWLEDGED_MIN, "enough to be acknowledged")

    def kill(self) -> None:
        """What it said before it died counts."""
        self._process.kill()
        self._process.wait()
        self._thread.join()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as said:
            # The last line of a process that is killed may be half a one.
            self.acknowledged.extend(line.strip() for line in said if line.endswith("\n"))


def kept(folder: Path) -> set[str]:
    """The digests of what can be read whole."""
    spool = opened(folder)
    found = set()
    for entry in taken(spool):
        read(entry.shelf.path, entry.found)
        found.add(entry.found.head.digest.hex())
    spool.close()
    return found


@pytest.mark.parametrize("attempt", range(3))
def test_a_killed_writer_loses_nothing_that_it_acknowledged(tmp_path: Path, attempt: int) -> None:
    folder = tmp_path / "spool"
    writer = Writer(folder)
    writer.kill()
    assert set(writer.acknowledged) - kept(folder) == set()
    assert aside.count(folder) == 0


def test_a_power_cut_loses_nothing_that_was_acknowledged(disk: PowerDisk) -> None:
    folder = disk.path / "spool"
    for _ in range(2):
        writer = Writer(folder)
        # A machine without power says nothing more. The kernel here runs on, and where the cut meets an fsync half way,
        # ext4 may call that well: what is said from now on no sender would have heard.
        acknowledged = set(writer.acknowledged)
        disk.cut()
        writer.kill()
        wait_until(disk.is_pulled_out, "the writer to let go of the disk")
        disk.plug_in()
        assert acknowledged - kept(folder) == set()
        assert aside.count(folder) == 0
    wait_until(disk.is_pulled_out, "the reader to let go of the disk")
