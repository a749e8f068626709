"""Which originals the log has announced: a sorted file of names, each with the place of its first event.

A name is 16 bytes of BLAKE2b of the object's key, so an archive of any size is compared in bounded memory: 29 bytes an
original on the disk (300 MB for ten million), and in memory one bit each, 16 MiB while the log is read, and the 256th
part of it while that is sorted (4 MB for ten million).
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Final

from streams.log import TopicPartition

_NAME_BYTES: Final = 16
_PLACE: Final = struct.Struct(">BIQ")
_ENTRY_BYTES: Final = _NAME_BYTES + _PLACE.size
_PARTS: Final = 256
_HELD_BYTES: Final = 64 << 10


class Announcing:
    """Takes what the log announces, in any order. `folder` is empty, and the caller's to remove."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._topics: list[str] = []
        self._held = [bytearray() for _ in range(_PARTS)]

    def add(self, key: str, partition: TopicPartition, offset: int) -> None:
        """Raises OSError where the disk is full."""
        if partition.topic not in self._topics:
            self._topics.append(partition.topic)
        name = _name(key)
        held = self._held[name[0]]
        held += name + _PLACE.pack(self._topics.index(partition.topic), partition.partition, offset)
        if len(held) >= _HELD_BYTES:
            self._flush(name[0])

    def sorted(self) -> Announced:
        """All that was added, once each. Raises OSError."""
        path, starts = self._folder / "announced", [0]
        with path.open("wb") as file:
            for number in range(_PARTS):
                self._flush(number)
                entries = _distinct(self._part(number).read_bytes())
                self._part(number).unlink()
                file.write(b"".join(entries))
                starts.append(starts[-1] + len(entries))
        return Announced(path, starts, self._topics)

    def _flush(self, number: int) -> None:
        with self._part(number).open("ab") as file:
            file.write(self._held[number])
        self._held[number].clear()

    def _part(self, number: int) -> Path:
        return self._folder / f"{number:02x}"


class Announced:
    """`starts` says which entry is the first of each first byte."""

    def __init__(self, path: Path, starts: list[int], topics: list[str]) -> None:
        self._starts = starts
        self._topics = topics
        self._data: bytes | mmap.mmap = b""
        if starts[-1]:
            with path.open("rb") as file:
                self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._seen = bytearray(starts[-1] // 8 + 1)

    def __len__(self) -> int:
        return self._starts[-1]

    def see(self, key: str) -> bool:
        """Whether the log has announced the key. It is somewhere, then: not among the `unseen`."""
        name = _name(key)
        low, high = self._starts[name[0]], self._starts[name[0] + 1]
        while low < high:
            middle = (low + high) // 2
            if self._name(middle) < name:
                low = middle + 1
            else:
                high = middle
        if low == self._starts[name[0] + 1] or self._name(low) != name:
            return False
        self._seen[low // 8] |= 1 << low % 8
        return True

    def unseen(self) -> Iterator[tuple[TopicPartition, int]]:
        """Where the events of the others are, by partition and offset."""
        for number in range(len(self)):
            if not self._seen[number // 8] >> number % 8 & 1:
                start = number * _ENTRY_BYTES + _NAME_BYTES
                topic, partition, offset = _PLACE.unpack(self._data[start : start + _PLACE.size])
                yield TopicPartition(self._topics[topic], partition), offset

    def close(self) -> None:
        if isinstance(self._data, mmap.mmap):
            self._data.close()

    def _name(self, number: int) -> bytes:
        start = number * _ENTRY_BYTES
        return self._data[start : start + _NAME_BYTES]


def _name(key: str) -> bytes:
    return blake2b(key.encode(), digest_size=_NAME_BYTES).digest()


def _distinct(part: bytes) -> list[bytes]:
    """The entries in order; of those with one name the first, whose place is the earliest."""
    entries = sorted(part[start : start + _ENTRY_BYTES] for start in range(0, len(part), _ENTRY_BYTES))
    return [
        entry
        for number, entry in enumerate(entries)
        if not number or entry[:_NAME_BYTES] != entries[number - 1][:_NAME_BYTES]
    ]
