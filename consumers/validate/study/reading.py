"""The instances of a revision, and the beginnings of their files, wherever they are by now."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from consumers.validate.study.header import Header, header_of
from streams import part10
from streams.elements import Limits
from streams.events import ObjectRef, StudyRevision
from streams.fetching import ORDER
from streams.generation import of_facts
from streams.identity import derived_key
from streams.objects import Absent, ObjectStore
from streams.part10 import Part10
from streams.revisions.step import Revisions, subject

# Everything that is compared stands before the pixels, nearly always in the first few kB; what private elements push
# further back is asked for once more.
HEAD_BYTES, LONG_HEAD_BYTES = 32 << 10, 1 << 20
_LAST_COMPARED = 0x00280030
_READERS = 4
_LIMITS = Limits(elements=50_000, depth=64, inflated_bytes=LONG_HEAD_BYTES)


class Reading:
    """Safe for many threads."""

    def __init__(self, store: ObjectStore, instances_max: int) -> None:
        self._store = store
        self._instances_max = instances_max
        self._revisions = of_facts(Revisions.name)

    def listed(self, event: StudyRevision, number: int) -> set[str]:
        """Digests of a revision of the study, from 1 on; none where its list is not there. Raises StoreAway."""
        tenant = event.meta.tenant
        key = derived_key(tenant, self._revisions.event_id(tenant, subject(event.study_uid, number), 0))
        found = self._store.find(tenant, event.manifest.store, key)
        return set(json.loads(bytes(found.data))) if found is not None else set()

    def of(self, event: StudyRevision) -> set[str]:
        """Digests of the revision. Raises Absent where its list is in no store, StoreAway."""
        return set(json.loads(self._store.read(event.manifest)))

    def headers(self, event: StudyRevision, digests: Collection[str]) -> list[Header]:
        """In the order of series, names and digests; those that are in no store, or cannot be read, are left out.

        Raises StoreAway.
        """
        refs = sorted(self._refs(event, digests), key=lambda ref: ref.key)[: self._instances_max]
        with ThreadPoolExecutor(_READERS) as pool:
            found = list(pool.map(self._header, refs))
        return [one for one in found if one is not None]

    def _refs(self, event: StudyRevision, wanted: Collection[str]) -> Iterator[ObjectRef]:
        """Where each instance is, in the nearest store that has it."""
        tenant, missing = event.meta.tenant, set(wanted)
        for name in ORDER:
            if not missing or name not in self._store.names:
                continue
            for key, size in self._store.keys(name, f"{tenant}/studies/{event.study_uid}/"):
                digest = key.removesuffix(".dcm").rpartition("/")[2]
                if digest in missing:
                    missing.discard(digest)
                    yield ObjectRef(tenant=tenant, store=name, key=key, length=size, size=size, sha256=digest)

    def _header(self, ref: ObjectRef) -> Header | None:
        names = ref.key.split("/")
        if len(names) != 6:
            return None
        try:
            file = part10.beginning(self._store.head(ref, HEAD_BYTES), _LIMITS)
            if ref.size > HEAD_BYTES and not _is_enough(file):
                file = part10.beginning(self._store.head(ref, LONG_HEAD_BYTES), _LIMITS)
        except Absent:
            return None
        return None if file is None else header_of(file, ref, names[3], names[4])


def _is_enough(file: Part10 | None) -> bool:
    return file is not None and any(tag > _LAST_COMPARED for tag in file.elements)


def by_series(headers: Sequence[Header]) -> dict[str, list[Header]]:
    found: dict[str, list[Header]] = {}
    for one in headers:
        found.setdefault(one.series_uid, []).append(one)
    return found
