"""Compares spool, log and stores, read in this order, so that what moves meanwhile is taken for no difference.

An image is put before its event is written, and it is on the spool until both are done. So whatever is old enough when
the spool is read is then on the spool, or in the log read after it, or was left by a crash; and what an event announces
is in a store listed after the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from producers.dicom_router.archive import STORE, Archive
from producers.dicom_router.reconciling.announced import Announced, Announcing
from producers.dicom_router.reconciling.keys import Foreign, Original, kind_of
from producers.dicom_router.reconciling.orphan import NotOurs, looked_at, publish
from schemas import load_topics
from streams.events import SUBJECTS, InstanceReceived, ObjectRef
from streams.log import Log, TopicPartition
from streams.objects import Archived, Damaged, Listed, NoRoom, ObjectStore
from streams.wire import Undecodable, decode

# An event without what the rules say of its sender would make another hospital's patient ID one of ours.
_PERHAPS_OUTSIDE: Final = (
    "whole, and only its sender says whether it is from outside (outside in the rules): have it sent again"
)

Kind = Literal["unpublished", "published", "damaged", "lost", "made", "misplaced", "foreign"]
"""unpublished: an original without an event. published: it has one now. damaged: an original without an event whose
bytes are not those of its key. lost: an event whose object is in no store. made: left by a step of ours that lost a
race. misplaced: an object under a key that is not its own, or a copy outside hot, without an event. foreign: a key that
nothing of ours makes."""


@dataclass(frozen=True)
class Difference:
    """`detail` is for a person, without patient data."""

    kind: Kind
    store: str
    key: str
    size: int
    detail: str


@dataclass
class Counts:
    """`in_flight`: objects without an event, too young to be meant. `on_spool`: instances that wait there, and have no
    event yet. `spool_and_log`: those on the spool that have one; the drain notes that. `undecodable`: records."""

    events: int = 0
    undecodable: int = 0
    objects: int = 0
    in_flight: int = 0
    on_spool: int = 0
    spool_and_log: int = 0


@dataclass
class Reconciling:
    """One comparison. `spooled` has the digests (hex) on the spool, read before; `until` is when an object was put, at
    the latest, that is meant. With `archive` what has no event gets it. `told` hears how many were looked at."""

    log: Log
    store: ObjectStore
    tenant: str
    spooled: Set[str]
    until: datetime
    folder: Path
    archive: Archive | None = None
    told: Callable[[str, int], None] = lambda _what, _count: None
    counts: Counts = field(default_factory=Counts)

    def run(self) -> Iterator[Difference]:
        """Differences as they are found. Raises LogAway, LogRefused, StoreAway, UnknownSchema, OffsetOutOfRange, Stop,
        OSError where `folder` has no room, and as `Archive.keep`."""
        announced = self._announced()
        try:
            for store in (STORE, *(name for name in self.store.names if name != STORE)):
                yield from self._of_store(store, announced)
            yield from self._lost(announced)
        finally:
            announced.close()

    def _announced(self) -> Announced:
        announcing, on_both = Announcing(self.folder), set()
        topics = load_topics().physical(SUBJECTS[InstanceReceived])
        names = [TopicPartition(topic, number) for topic in topics for number in range(self.log.partitions(topic))]
        for name, (first, end) in self.log.bounds(names).items():
            for record in self.log.read(name, first, end) if end > first else ():
                self.counts.events += 1
                self.told("events", self.counts.events)
                try:
                    event = decode(record)
                except Undecodable:
                    self.counts.undecodable += 1
                    continue
                if isinstance(event, InstanceReceived) and event.meta.tenant == self.tenant:
                    announcing.add(event.object.key, name, record.offset)
                    on_both |= {event.instance.digest} & self.spooled
        self.counts.spool_and_log = len(on_both)
        self.counts.on_spool = len(self.spooled - on_both)
        return announcing.sorted()

    def _of_store(self, store: str, announced: Announced) -> Iterator[Difference]:
        for listed in self.store.listed(store, f"{self.tenant}/"):
            self.counts.objects += 1
            self.told(f"objects in {store}", self.counts.objects)
            kind = kind_of(self.tenant, listed.key)
            if isinstance(kind, Foreign):
                yield Difference("foreign", store, listed.key, listed.size, "nothing of ours has such a key")
            elif isinstance(kind, Original) and not announced.see(listed.key) and kind.digest not in self.spooled:
                yield from self._without_event(store, listed, kind.digest)

    def _without_event(self, store: str, listed: Listed, digest: str) -> Iterator[Difference]:
        if listed.modified > self.until:
            self.counts.in_flight += 1
        elif store != STORE:
            detail = "a copy of what no event speaks of"
            yield Difference("misplaced", store, listed.key, listed.size, detail)
        elif (found := self._settled(listed, digest)) is not None:
            yield Difference(found[0], store, listed.key, listed.size, found[1])

    def _settled(self, listed: Listed, digest: str) -> tuple[Kind, str] | None:
        """What is to be said of an original in hot without an event; None where it is gone by now."""
        try:
            found = looked_at(self.store, self.tenant, listed, digest)
        except Archived:
            return "unpublished", "in an archive: what it is can be seen when it was restored"
        except NoRoom as error:
            return "unpublished", str(error)
        if found is None:
            return None
        if isinstance(found, NotOurs):
            return "damaged" if found.damaged else "made" if found.made else "misplaced", found.reason
        if self.archive is None:
            return "unpublished", "whole, and no event speaks of it"
        if self.archive.outside_rules.rules:
            return "unpublished", _PERHAPS_OUTSIDE
        try:
            publish(self.archive, found, listed.modified)
        except Damaged:
            return "damaged", "its bytes changed while they were looked at"
        return "published", "its event is in the log now"

    def _lost(self, announced: Announced) -> Iterator[Difference]:
        for name, offset in announced.unseen():
            (record,) = self.log.read(name, offset, offset + 1)
            event = decode(record)
            if isinstance(event, InstanceReceived) and self._is_lost(event):
                ref, detail = (
                    event.object,
                    f"announced at {name.topic}/{name.partition} offset {offset}, and in no store",
                )
                yield Difference("lost", ref.store, ref.key, ref.size, detail)

    def _is_lost(self, event: InstanceReceived) -> bool:
        """Asked of each store by name: a copy may have moved from one yet to be listed into one that was already."""
        if event.instance.digest in self.spooled:
            return False
        return not any(self.store.exists(_in_store(event.object, store)) for store in self.store.names)


def _in_store(ref: ObjectRef, store: str) -> ObjectRef:
    return ObjectRef(tenant=ref.tenant, store=store, key=ref.key, length=ref.length, size=ref.size, sha256=ref.sha256)
