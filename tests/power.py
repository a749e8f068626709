"""A disk whose power can be cut, so that what was not fsynced is gone (docs/decisions/0006), and that can be filled."""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# _IOR('X', 125, __u32), and "without flushing the log".
EXT4_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2
_LAZY = 2


class PowerDisk:
    """An ext4 file system in a file, mounted on a loop device. Needs root."""

    def __init__(self, folder: Path, size_bytes: int) -> None:
        """Raises OSError or CalledProcessError where this machine cannot."""
        self._image = folder / "disk.img"
        self.path = folder / "disk"
        self.path.mkdir()
        with self._image.open("wb") as image:
            image.truncate(size_bytes)
        _run("mkfs.ext4", "-q", "-F", str(self._image))
        self.plug_in()

    def plug_in(self) -> None:
        """Mounts: the journal's recovery is what a machine does when the power is back."""
        _run("mount", "-o", "loop", str(self._image), str(self.path))
        self.path.chmod(0o755)

    def cut(self) -> None:
        """From now on nothing reaches the disk, and nothing can be read."""
        folder = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(folder)

    def fill(self, left: int = 0) -> Path:
        """Takes all that is free, the blocks reserved for root too, and gives `left` bytes of it back: the file that
        has it."""
        filler = self.path / "filler"
        with filler.open("wb") as file:
            size = 1 << 30
            while size >= 512:
                try:
                    os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), size)
                except OSError:
                    size //= 2
            file.truncate(max(file.seek(0, os.SEEK_END) - left, 0))
        return filler

    def fill_inodes(self) -> Path:
        """Takes all inodes: the folder whose files have them."""
        fillers = self.path / "fillers"
        fillers.mkdir()
        number = 0
        while True:
            try:
                (fillers / str(number)).touch()
            except OSError:
                return fillers
            number += 1

    def pull_out(self) -> None:
        """Unmounts; whoever still had files open must have been ended."""
        _run("umount", str(self.path))

    def is_pulled_out(self) -> bool:
        """Tries to unmount: false while somebody who was killed still has files open."""
        try:
            self.pull_out()
        except subprocess.CalledProcessError:
            return False
        return True

    def remove(self) -> None:
        ctypes.CDLL(None).umount2(os.fsencode(self.path), _LAZY)
        self._image.unlink(missing_ok=True)
        self.path.rmdir()


@contextmanager
def mounted(folder: Path, size_bytes: int) -> Iterator[PowerDisk]:
    """A disk while the block lasts; the test is skipped where this machine cannot make one."""
    try:
        made = PowerDisk(folder, size_bytes)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no disk to cut off or to fill: it needs root, loop devices and ext4 ({type(error).__name__})")
    try:
        yield made
    finally:
        made.remove()


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
