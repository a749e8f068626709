"""Reads a study's originals from wherever they are now, and writes them as files.

Which instances a study has is asked of the catalog: the store also holds what is in quarantine, and other contents
under the same SOP Instance UID, and knows of neither. Where an instance is, is asked of the stores themselves: the
catalog may lag behind a move, and a copy that was just released is then found where it went.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from consumers.catalog.originals import Original
from radstream.errors import Failure
from streams.events import ObjectRef
from streams.identity import original_key
from streams.mapped import File
from streams.objects import Absent, Archived, Damaged, NoRoom, ObjectStore
from streams.reading_large import fetch

READERS = 4
# The fastest first; a copy in another store that the site names comes after these.
FASTEST_FIRST = ("hot", "warm", "cold", "backup")


@dataclass(frozen=True)
class Missed:
    """An instance that was not written, and why."""

    series_uid: str
    sop_instance_uid: str
    reason: str


@dataclass(frozen=True)
class Got:
    """`stores` counts instances by the store that they were read from; `there` were in the folder already."""

    study_uid: str
    folder: str
    files: int
    there: int
    bytes: int
    seconds: float
    stores: dict[str, int]
    missed: list[Missed]


@dataclass(frozen=True)
class _One:
    original: Original
    store: str = ""
    there: bool = False
    reason: str = ""


class Getting:
    """One study of one tenant. `stores` are the names that the site's configuration has."""

    def __init__(self, store: ObjectStore, stores: Iterable[str], tenant: str, study_uid: str) -> None:
        self._store, self._tenant, self._study = store, tenant, study_uid
        self._stores = sorted(stores, key=lambda name: (_place(name), name))

    def get(self, originals: Sequence[Original], folder: Path, on_one: Callable[[], None] = lambda: None) -> Got:
        """Writes `<folder>/<series>/<SOP instance>.dcm` for each. Raises Failure for a folder that cannot be written,
        StoreAway."""
        started = time.monotonic()
        places = self._places(f"{self._tenant}/studies/{self._study}/")
        done: list[_One] = []
        with ThreadPoolExecutor(READERS, thread_name_prefix="get") as pool:
            for one in pool.map(lambda original: self._one(original, folder, places), originals):
                done.append(one)
                on_one()
        return self._result(done, folder, time.monotonic() - started)

    def _places(self, prefix: str) -> dict[str, list[str]]:
        """The stores of each key, the fastest first."""
        places: dict[str, list[str]] = {}
        for name in self._stores:
            for key, _ in self._store.keys(name, prefix):
                places.setdefault(key, []).append(name)
        return places

    def _one(self, original: Original, folder: Path, places: dict[str, list[str]]) -> _One:
        path = folder / original.series_uid / f"{original.sop_instance_uid}.dcm"
        if (found := sha256_of(path)) is not None:
            if found == original.digest:
                return _One(original, there=True)
            return _One(original, reason="another file of this name is in the folder; move it away")
        read = self._read(original, places)
        if isinstance(read, str):
            return _One(original, reason=read)
        name, data = read
        write_whole(path, data)
        return _One(original, store=name)

    def read(self, original: Original) -> File:
        """The bytes of one. Raises Failure where no store has them whole, StoreAway."""
        found = self._read(original, {})
        if isinstance(found, str):
            raise Failure(f"{original.sop_instance_uid}: {found}")
        return found[1]

    def _read(self, original: Original, places: dict[str, list[str]]) -> tuple[str, File] | str:
        """The store that it was read from and its bytes, or the reason why there are none."""
        damaged = archived = False
        for name, ref in self._copies(original, places):
            try:
                return name, fetch(self._store, ref)
            except Archived:
                archived = True
            except Absent:
                continue
            except Damaged:
                damaged = True
            except NoRoom as error:
                return str(error)
        if damaged:
            return "damaged in every store that has it; restore it from its backup"
        if archived:
            return f"in an archive; bring its study back: radstream tier restore {self._study} --wait"
        return "in no store; wait for the pipeline, or look for it: radstream status"

    def _copies(self, original: Original, places: dict[str, list[str]]) -> Iterator[tuple[str, ObjectRef]]:
        """Where it was a moment ago, then where it is now: it may have moved in between."""
        uids = (self._study, original.series_uid, original.sop_instance_uid)
        key = original_key(self._tenant, *uids, original.digest)
        for name in places.get(key, ()):
            yield name, self._ref(name, key, original)
        for name in self._places(key).get(key, ()):
            yield name, self._ref(name, key, original)

    def _ref(self, store: str, key: str, original: Original) -> ObjectRef:
        return ObjectRef(
            tenant=self._tenant,
            store=store,
            key=key,
            length=original.size,
            size=original.size,
            sha256=original.digest,
        )

    def _result(self, done: Sequence[_One], folder: Path, seconds: float) -> Got:
        written = [one for one in done if one.store]
        return Got(
            study_uid=self._study,
            folder=str(folder),
            files=len(written),
            there=sum(one.there for one in done),
            bytes=sum(one.original.size for one in written),
            seconds=round(seconds, 3),
            stores=dict(sorted(Counter(one.store for one in written).items())),
            missed=[
                Missed(one.original.series_uid, one.original.sop_instance_uid, one.reason) for one in done if one.reason
            ],
        )


def _place(name: str) -> int:
    return FASTEST_FIRST.index(name) if name in FASTEST_FIRST else len(FASTEST_FIRST)


def sha256_of(path: Path) -> str | None:
    """SHA-256 (hex) of a file, or None where there is none. Raises Failure."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Failure(f"{path}: cannot be read ({error.strerror}); choose another folder for --to") from None


def write_whole(path: Path, data: File) -> None:
    """All of it or nothing: who is interrupted leaves no half of a file under its name."""
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        raise Failure(f"{path}: cannot be written ({error.strerror}); choose another folder for --to") from None
