"""An object above what is read at once: zeros behind a head, that no store of a test holds as a whole either."""

from __future__ import annotations

import hashlib
import struct
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streams.events import ObjectRef
from streams.identity import original_key
from streams.memory_store import MemoryStore
from streams.objects import Absent, Damaged, Listed
from streams.step import NewObject, Stored
from streams.stored_file import stored_file
from tests.instance_events import AT
from tests.routers import CT, EXPLICIT, Ct

BYTES = 160 << 20
# Of Python's own, which is what a reader holds: two pieces, and what a router takes meanwhile.
MEMORY_BYTES_MAX = 48 << 20
_STEP_BYTES = 1 << 20

IMAGE = Ct(study="1.2.9", series="1.2.9.1", instance="1.2.9.1.1", pixels=b"")
_DATA_SET = IMAGE.data_set()
HEAD = stored_file(CT, IMAGE.instance, EXPLICIT, _DATA_SET[:-4] + struct.pack("<I", BYTES - (BYTES & 1)))
SIZE = len(HEAD) + BYTES


class LargeStore(MemoryStore):
    """It is in the stores `there`, in `damaged` with another last byte. Of what is put of its size the digest is kept,
    in `put`, and then it is there."""

    def __init__(self, *there: str) -> None:
        super().__init__()
        self.there, self.damaged = set(there), set[str]()
        self.put: list[tuple[str, str]] = []
        self.digest = _digest()
        self.key = original_key("t", IMAGE.study, IMAGE.series, IMAGE.instance, self.digest)

    def ref(self, store: str = "hot") -> ObjectRef:
        return ObjectRef(tenant="t", store=store, key=self.key, length=SIZE, size=SIZE, sha256=self.digest)

    def read(self, ref: ObjectRef) -> bytes:
        if ref.key != self.key:
            return super().read(ref)
        if ref.store in self.damaged:
            raise Damaged(ref.key)
        return self.read_range(ref, 0, SIZE)

    def read_range(self, ref: ObjectRef, start: int, length: int) -> bytes:
        if ref.key != self.key:
            return super().read_range(ref, start, length)
        if ref.store not in self.there:
            raise Absent(ref.key)
        end = min(start + length, SIZE)
        first = HEAD[start:end]
        last = b"!" if end == SIZE and ref.store in self.damaged else b""
        return b"".join((first, bytes(end - start - len(first) - len(last)), last))

    def exists(self, ref: ObjectRef) -> bool:
        return ref.store in self.there if ref.key == self.key else super().exists(ref)

    def listed(self, store: str, prefix: str) -> Iterator[Listed]:
        yield from super().listed(store, prefix)
        if store in self.there and self.key.startswith(prefix):
            yield Listed(self.key, SIZE, None, AT)

    def create(self, new: NewObject) -> Stored:
        if len(new.data) < BYTES:
            return super().create(new)
        view, found = memoryview(new.data), hashlib.sha256()
        for start in range(0, len(view), _STEP_BYTES):
            found.update(view[start : start + _STEP_BYTES])
        created = new.store not in self.there
        self.there.add(new.store)
        self.put.append((new.store, found.hexdigest()))
        return Stored(self.ref(new.store), new.data, created)


def full(folder: Path) -> Path:
    """A folder for large objects that has room for none: it is a file."""
    path = folder / "full"
    path.write_bytes(b"")
    return path


@contextmanager
def in_little_memory() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MEMORY_BYTES_MAX, f"{peak / (1 << 20):.1f} MiB"


def _digest() -> str:
    found = hashlib.sha256(HEAD)
    for _ in range(0, BYTES, _STEP_BYTES):
        found.update(bytes(_STEP_BYTES))
    return found.hexdigest()
