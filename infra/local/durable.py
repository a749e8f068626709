"""What the file system keeps: of what a server acknowledged without fsync, and of what was set up.

versitygw's posix backend never calls fsync. The synchronous attribute (`chattr +S`, FS_SYNC_FL of ioctl_iflags(2)) on
a folder makes every write below it reach the disk before the call returns; new files and folders inherit it.
"""

from __future__ import annotations

import array
import ctypes
import fcntl
import os
from pathlib import Path

FS_IOC_GETFLAGS = 0x80086601
FS_IOC_SETFLAGS = 0x40086602
FS_SYNC_FL = 0x00000008


def make_synchronous(folder: Path) -> bool:
    """Sets the attribute on a folder and reads it back. False where the file system cannot (overlay, tmpfs)."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        flags = array.array("l", [0])
        fcntl.ioctl(handle, FS_IOC_GETFLAGS, flags)
        flags[0] |= FS_SYNC_FL
        fcntl.ioctl(handle, FS_IOC_SETFLAGS, flags)
    except OSError:
        return False
    finally:
        os.close(handle)
    return is_synchronous(folder)


def is_synchronous(path: Path) -> bool:
    handle = os.open(path, os.O_RDONLY)
    try:
        flags = array.array("l", [0])
        fcntl.ioctl(handle, FS_IOC_GETFLAGS, flags)
        return bool(flags[0] & FS_SYNC_FL)
    except OSError:
        return False
    finally:
        os.close(handle)


def sync(folder: Path) -> None:
    """Everything on the folder's file system reaches the disk before this returns (syncfs(2)). Raises OSError.

    Kafka does not fsync the files it is formatted with, nor a new topic's: a power loss soon after left empty ones.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(handle) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))
    finally:
        os.close(handle)
