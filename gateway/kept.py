"""What was worked out of bytes that never change, by their digest: in memory, and on disk for the next start."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock, Semaphore

from streams.framecache.disk import DiskTier

_PROOF_BYTES = 32
_WRITES_WAITING_MAX = 4096


class Recent:
    """At most `bytes_max`, what was asked for last. Safe for threads."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._held: OrderedDict[str, bytes] = OrderedDict()
        self._lock = Lock()

    def get(self, key: str) -> bytes | None:
        with self._lock:
            data = self._held.get(key)
            if data is not None:
                self._held.move_to_end(key)
            return data

    def put(self, key: str, data: bytes) -> None:
        if len(data) > self._bytes_max // 4:
            return
        with self._lock:
            self._drop(key)
            self._held[key] = data
            self._bytes += len(data)
            while self._bytes > self._bytes_max:
                _, oldest = self._held.popitem(last=False)
                self._bytes -= len(oldest)

    def drop(self, key: str) -> None:
        with self._lock:
            self._drop(key)

    def _drop(self, key: str) -> None:
        self._bytes -= len(self._held.pop(key, b""))


class Kept:
    """Two tiers of small things. Nothing in them is needed: what is lost or damaged is worked out again."""

    def __init__(self, memory_bytes_max: int, folder: Path | None, folder_bytes_max: int) -> None:
        self._memory = Recent(memory_bytes_max)
        self._disk = DiskTier(folder, folder_bytes_max) if folder is not None else None
        # Nobody waits for a disk: a file of a few kB costs more than what is in it.
        self._writer = ThreadPoolExecutor(1, "kept")
        self._waiting = Semaphore(_WRITES_WAITING_MAX)

    def at_hand(self, name: str) -> bytes | None:
        """From memory alone."""
        return self._memory.get(name)

    def get(self, name: str) -> bytes | None:
        """Reads a file where it is not in memory."""
        data = self._memory.get(name)
        if data is None and self._disk is not None:
            data = _proven(self._disk.get(_file(name)), name)
            if data is not None:
                self._memory.put(name, data)
        return data

    def hold(self, name: str, data: bytes) -> None:
        """In memory alone: a file costs more than what is worked out again from what is read anyway."""
        self._memory.put(name, data)

    def put(self, name: str, data: bytes) -> None:
        self._memory.put(name, data)
        if self._disk is not None and self._waiting.acquire(blocking=False):
            self._writer.submit(self._write, self._disk, name, data)

    def close(self) -> None:
        """Waits for what is still to be written."""
        self._writer.shutdown()

    def _write(self, disk: DiskTier, name: str, data: bytes) -> None:
        try:
            disk.put(_file(name), _proof(name, data) + data)
        finally:
            self._waiting.release()

    def drop(self, name: str) -> None:
        self._memory.drop(name)
        if self._disk is not None:
            self._disk.drop(_file(name))


def _file(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _proof(name: str, data: bytes | memoryview) -> bytes:
    proof = hashlib.sha256(name.encode())
    proof.update(data)
    return proof.digest()


def _proven(data: bytes | None, name: str) -> bytes | None:
    """What a disk has hurt is as if it were not there."""
    if data is None or data[:_PROOF_BYTES] != _proof(name, memoryview(data)[_PROOF_BYTES:]):
        return None
    return data[_PROOF_BYTES:]
