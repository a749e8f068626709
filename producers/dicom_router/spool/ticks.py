"""A number for each record that is put on a spool, greater than any before it, in whichever process of the machine.

What is acknowledged by one process and what comes to another afterwards are in order by it. It is the monotonic clock
of the kernel, which all processes read alike and nobody sets, beyond a base that is chosen once after each boot:

    <folder>/ticks    the boot's id, and the base in nanoseconds; written under its lock (flock)

The base is such that nothing on the spool is later, whatever the machine takes for the time. The file need not survive
a power cut: that is another boot.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import closing, suppress
from io import FileIO
from pathlib import Path
from typing import Final

from producers.dicom_router.spool import places
from producers.dicom_router.spool.reading import walk

NAME: Final = "ticks"
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


class Ticks:
    """Used by one thread at a time. `open` comes first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._base = 0
        self._last = 0

    def open(self) -> None:
        """Raises OSError."""
        descriptor = os.open(self._folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, places.FILE_MODE)
        with closing(FileIO(descriptor, "r+")) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            boot = _BOOT.read_bytes().strip()
            said = file.read().split()
            if len(said) == 2 and said[0] == boot and said[1].lstrip(b"-").isdigit():
                self._base = int(said[1])
                return
            self._base = max(time.time_ns(), self._highest() + 1) - time.monotonic_ns()
            file.seek(0)
            file.truncate()
            file.write(b"%b %d\n" % (boot, self._base))

    def next(self) -> int:
        self._last = max(self._base + time.monotonic_ns(), self._last + 1)
        return self._last

    def _highest(self) -> int:
        """The last tick on the spool. What another process commits and removes meanwhile has none that matters.

        Nor has what cannot be read, as long as the clock goes forward: that is no reason for the router not to start.
        """
        last = 0
        for folder in (*places.owned_folders(self._folder), self._folder / places.ASIDE):
            with suppress(OSError):
                for path in places.segments(folder):
                    with suppress(OSError):
                        last = max(last, max((one.tick for one in walk(path).found), default=0))
        return last
