"""An object store in memory, for tests. It passes the same conformance suite as the real one."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import AsyncIterator, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from streams.events import ObjectRef
from streams.objects import Absent, Archived, Damaged, Listed, StoreRefused
from streams.step import NewObject, Stored

_PIECE = 1 << 20
# S3's most, in UTF-8.
_KEY_BYTES_MAX = 1024


@dataclass(frozen=True)
class _Held:
    data: bytes
    version_id: str
    at: datetime


class MemoryStore:
    """Implements `streams.objects.ObjectStore`. `locked` holds (store, key) under an object lock.

    What is in `asleep` cannot be read; `restore` puts it into `asked`, and a test wakes it.
    """

    def __init__(self) -> None:
        self.archived: Collection[str] = ()
        self.objects_folder: Path | None = None
        self.asleep: set[tuple[str, str]] = set()
        self.asked: list[tuple[str, str]] = []
        self._held: dict[tuple[str, str], _Held] = {}
        self._created = 0
        self.locked: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def create(self, new: NewObject) -> Stored:
        if len(new.key.encode()) > _KEY_BYTES_MAX:
            raise StoreRefused("a store in memory takes no key of so many bytes")
        data = bytes(new.data)
        with self._lock:
            created = (new.store, new.key) not in self._held
            if created:
                self._created += 1
                self._held[new.store, new.key] = _Held(data, f"v{self._created}", datetime.now(UTC))
            held = self._held[new.store, new.key]
        return Stored(_ref(new.tenant, new.store, new.key, held), held.data, created)

    def restore(self, ref: ObjectRef) -> bool:
        if self._find(ref) is None:
            raise Absent(f"{ref.store}/{ref.key}")
        name = (ref.store, ref.key)
        if name not in self.asleep:
            return True
        if name not in self.asked:
            self.asked.append(name)
        return False

    def find(self, tenant: str, store: str, key: str) -> Stored | None:
        with self._lock:
            held = self._held.get((store, key))
        return Stored(_ref(tenant, store, key, held), held.data, created=False) if held else None

    def read(self, ref: ObjectRef) -> bytes:
        held = self._readable(ref)
        part = held.data[ref.offset : ref.offset + ref.length]
        if len(held.data) != ref.size or hashlib.sha256(part).hexdigest() != ref.sha256:
            raise Damaged(f"{ref.store}/{ref.key}")
        return part

    def head(self, ref: ObjectRef, length: int) -> bytes:
        return self._readable(ref).data[:length]

    def stream(self, ref: ObjectRef) -> Iterator[bytes]:
        held = self._readable(ref)
        yield from (held.data[start : start + _PIECE] for start in range(0, len(held.data), _PIECE))

    def read_range(self, ref: ObjectRef, start: int, length: int) -> bytes:
        return self._whole(ref)[start : start + length]

    async def pieces(self, ref: ObjectRef) -> AsyncIterator[bytes]:
        data = self._whole(ref)
        end = ref.offset + ref.length
        for start in range(ref.offset, end, _PIECE):
            yield data[start : min(start + _PIECE, end)]

    def exists(self, ref: ObjectRef) -> bool:
        return self._find(ref) is not None

    def keys(self, store: str, prefix: str = "") -> Iterator[tuple[str, int]]:
        with self._lock:
            found = [(key, len(held.data)) for (name, key), held in self._held.items() if name == store]
        yield from sorted((key, size) for key, size in found if key.startswith(prefix))

    def listed(self, store: str, prefix: str) -> Iterator[Listed]:
        with self._lock:
            held = [(key, one) for (name, key), one in sorted(self._held.items()) if name == store]
        yield from (Listed(key, len(one.data), one.version_id, one.at) for key, one in held if key.startswith(prefix))

    def delete(self, ref: ObjectRef) -> bool:
        if ref.version_id is None:
            raise ValueError(f"{ref.store}/{ref.key}: only an exact version is ever deleted")
        with self._lock:
            held = self._held.get((ref.store, ref.key))
            if held is not None and held.version_id == ref.version_id:
                if (ref.store, ref.key) in self.locked:
                    return False
                del self._held[ref.store, ref.key]
        return True

    @property
    def names(self) -> Collection[str]:
        return ("hot", "warm", "cold", "backup")

    def _whole(self, ref: ObjectRef) -> bytes:
        held = self._readable(ref)
        if len(held.data) != ref.size:
            raise Damaged(f"{ref.store}/{ref.key}")
        return held.data

    def _readable(self, ref: ObjectRef) -> _Held:
        held = self._find(ref)
        if held is None:
            raise Absent(f"{ref.store}/{ref.key}")
        if (ref.store, ref.key) in self.asleep:
            raise Archived(f"{ref.store}/{ref.key}")
        return held

    def _find(self, ref: ObjectRef) -> _Held | None:
        with self._lock:
            held = self._held.get((ref.store, ref.key))
        return held if held is not None and ref.version_id in (None, held.version_id) else None


def _ref(tenant: str, store: str, key: str, held: _Held) -> ObjectRef:
    return ObjectRef(
        tenant=tenant,
        store=store,
        key=key,
        version_id=held.version_id,
        length=len(held.data),
        size=len(held.data),
        sha256=hashlib.sha256(held.data).hexdigest(),
    )
