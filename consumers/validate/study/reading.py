"""The instances of a revision, and the beginnings of their files, wherever they are by now."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from msgspec import structs

from consumers.validate.study.header import Header, header_of
from streams import part10
from streams.elements import Limits, Malformed, TooComplex
from streams.events import NamedInstance, ObjectRef, StudyRevision
from streams.fetching import ORDER, read_copy
from streams.generation import of_facts
from streams.identity import derived_key
from streams.objects import Absent, Damaged, ObjectStore
from streams.part10 import Part10
from streams.revisions.step import Revisions, subject

# Everything that is compared stands before the pixels, nearly always in the first few kB; what private elements push
# further back is asked for once more.
HEAD_BYTES, LONG_HEAD_BYTES = 32 << 10, 1 << 20
_LAST_COMPARED = 0x00280030
_READERS = 4
# <tenant>/studies/<study>/<series>/<SOP instance>/<digest>.dcm
_KEY_SLASHES = 5
_LIMITS = Limits(elements=50_000, depth=64, inflated_bytes=LONG_HEAD_BYTES)


@dataclass(frozen=True)
class Beginnings:
    """Of the instances that were asked for: `headers` in the order of series, names and digests. `unread` are the
    digests that no store lets be read now, or that are more than are read. `others` are all of these whose names are
    known, and all that are no DICOM. `named_twice` are of others whose SOP Instance UID several contents have: one of
    them may have to be held, and else destinations would wait for all of them (docs/decisions/0093)."""

    headers: list[Header]
    unread: set[str]
    others: list[NamedInstance]
    named_twice: list[Header]


class Reading:
    """Safe for many threads."""

    def __init__(self, store: ObjectStore, instances_max: int) -> None:
        self._store = store
        self._instances_max = instances_max
        self._revisions = of_facts(Revisions.name)

    def listed(self, event: StudyRevision, number: int) -> set[str] | None:
        """Digests of a revision of the study, from 1 on; None where its list is not there. Raises StoreAway."""
        tenant = event.meta.tenant
        key = derived_key(tenant, self._revisions.event_id(tenant, subject(event.study_uid, number), 0))
        found = self._store.find(tenant, event.manifest.store, key)
        return set(json.loads(bytes(found.data))) if found is not None else None

    def of(self, event: StudyRevision) -> set[str]:
        """Digests of the revision. Raises Absent where its list is in no store, StoreAway."""
        return set(json.loads(self._store.read(event.manifest)))

    def beginnings(self, event: StudyRevision, digests: Set[str], first: Set[str]) -> Beginnings:
        """Of more than are read, those in `first` come first. Raises StoreAway."""
        placed = sorted(self._refs(event, digests), key=lambda ref: (ref.sha256 not in first, ref.key))
        refs, beyond = sorted(placed[: self._instances_max], key=_key), placed[self._instances_max :]
        counts = Counter(_names(ref)[1] for ref in placed)
        twice = [ref for ref in beyond if counts[_names(ref)[1]] > 1][: self._instances_max]
        with ThreadPoolExecutor(_READERS) as pool:
            found = list(zip(refs, pool.map(self._header, refs), strict=True))
            more = [header for header in pool.map(self._header, twice) if isinstance(header, Header)]
        return Beginnings(
            [header for _, header in found if isinstance(header, Header)],
            set(digests) - {ref.sha256 for ref, header in found if not isinstance(header, Absent)},
            [_named(ref) for ref in (*(ref for ref, header in found if not isinstance(header, Header)), *beyond)],
            more,
        )

    def whole(self, ref: ObjectRef) -> Part10 | None:
        """None where it cannot be read, or not now. Raises StoreAway."""
        try:
            return part10.read(read_copy(self._store, ref))
        except (Absent, Damaged, Malformed, TooComplex):
            return None

    def _refs(self, event: StudyRevision, wanted: Set[str]) -> Iterator[ObjectRef]:
        """Where each instance is, in the nearest store that has it."""
        tenant, missing = event.meta.tenant, set(wanted)
        for name in self._order():
            if not missing:
                return
            for key, size in self._store.keys(name, f"{tenant}/studies/{event.study_uid}/"):
                digest = key.removesuffix(".dcm").rpartition("/")[2]
                if digest in missing and key.count("/") == _KEY_SLASHES:
                    missing.discard(digest)
                    yield ObjectRef(tenant=tenant, store=name, key=key, length=size, size=size, sha256=digest)

    def _order(self) -> list[str]:
        """What answers at once before what has to be restored first."""
        return sorted((name for name in ORDER if name in self._store.names), key=self._store.archived.__contains__)

    def _header(self, ref: ObjectRef) -> Header | Absent | None:
        """Of the first copy that can be read; None of what is no DICOM."""
        order = self._order()
        absent = Absent(f"{ref.key} is in no store")
        for name in order[order.index(ref.store) :]:
            copy = structs.replace(ref, store=name)
            try:
                file = self._beginning(copy)
            except Absent as error:
                absent = error
            else:
                # Not the file: it holds what was read, and there may be ten thousand.
                return header_of(file, copy, *_names(ref)) if file is not None else None
        return absent

    def _beginning(self, ref: ObjectRef) -> Part10 | None:
        """Raises Absent, StoreAway."""
        file = part10.beginning(self._store.head(ref, HEAD_BYTES), _LIMITS)
        if ref.size > HEAD_BYTES and not _is_enough(file):
            file = part10.beginning(self._store.head(ref, LONG_HEAD_BYTES), _LIMITS)
        return file


def _key(ref: ObjectRef) -> str:
    return ref.key


def _names(ref: ObjectRef) -> tuple[str, str]:
    """Series and SOP Instance UID."""
    names = ref.key.split("/")
    return names[3], names[4]


def _named(ref: ObjectRef) -> NamedInstance:
    return NamedInstance(sop_instance_uid=_names(ref)[1], digest=ref.sha256)


def _is_enough(file: Part10 | None) -> bool:
    return file is not None and any(tag > _LAST_COMPARED for tag in file.elements)


def by_series(headers: Sequence[Header]) -> dict[str, list[Header]]:
    found: dict[str, list[Header]] = {}
    for one in headers:
        found.setdefault(one.series_uid, []).append(one)
    return found
