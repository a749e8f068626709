"""Numbers that several processes of a service keep for each other: how many each has of something that all are to
have no more than so many of.

A file in memory, mapped by all. Each process writes its own part and reads those of the others, so that no process that
is killed holds anything that another waits for; its parent clears what it leaves.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import struct
import threading
from functools import lru_cache
from typing import Final

# Names are few: the addresses and AE titles of those that are connected now.
NAMES_MAX: Final = 2048
_KEY_BYTES: Final = 16
_COUNT: Final = struct.Struct("<I")
# A part: how many slots of it were used so far, the names in them, their counts.
_KEYS: Final = _COUNT.size
_COUNTS: Final = _KEYS + NAMES_MAX * _KEY_BYTES
_PART_BYTES: Final = _COUNTS + NAMES_MAX * _COUNT.size
_NONE: Final = bytes(_KEY_BYTES)


def create(count: int) -> int:
    """A descriptor of a file for so many processes, empty. Raises OSError."""
    descriptor = os.memfd_create("shares", os.MFD_CLOEXEC)
    os.ftruncate(descriptor, count * _PART_BYTES)
    return descriptor


def clear(descriptor: int, number: int) -> None:
    """Process `number`, from 1, is gone. Raises OSError."""
    os.pwrite(descriptor, bytes(_PART_BYTES), (number - 1) * _PART_BYTES)


class Shares:
    """Used from many threads. `number` is this process's, from 1, of `count`."""

    def __init__(self, descriptor: int, number: int, count: int) -> None:
        """Takes the descriptor. Raises OSError, ValueError."""
        self._map = mmap.mmap(descriptor, count * _PART_BYTES)
        os.close(descriptor)
        self._own = (number - 1) * _PART_BYTES
        self._others = [part * _PART_BYTES for part in range(count) if part != number - 1]
        self._slots: dict[bytes, int] = {}
        self._free = list(reversed(range(NAMES_MAX)))
        self._used = 0
        self._lock = threading.Lock()

    def tell(self, name: str, count: int) -> None:
        """How many we have. Of more than NAMES_MAX names at a time the others are not told."""
        key = _key(name)
        with self._lock:
            slot = self._slots.get(key)
            if slot is None:
                if not count or not self._free:
                    return
                slot = self._slots[key] = self._free.pop()
            self._write(slot, key if count else _NONE, count)
            if not count:
                self._free.append(self._slots.pop(key))

    def elsewhere(self, name: str) -> int:
        """How many the other processes have."""
        key = _key(name)
        return sum(self._read(part, key) for part in self._others)

    def _write(self, slot: int, key: bytes, count: int) -> None:
        _COUNT.pack_into(self._map, self._own + _COUNTS + slot * _COUNT.size, count)
        at = self._own + _KEYS + slot * _KEY_BYTES
        self._map[at : at + _KEY_BYTES] = key
        if slot >= self._used:
            self._used = slot + 1
            _COUNT.pack_into(self._map, self._own, self._used)

    def _read(self, part: int, key: bytes) -> int:
        keys, (used,) = part + _KEYS, _COUNT.unpack_from(self._map, part)
        at = self._map.find(key, keys, keys + used * _KEY_BYTES)
        if at < 0:
            return 0
        slot = (at - keys) // _KEY_BYTES
        return int(_COUNT.unpack_from(self._map, part + _COUNTS + slot * _COUNT.size)[0])


@lru_cache(maxsize=NAMES_MAX)
def _key(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=_KEY_BYTES).digest()
