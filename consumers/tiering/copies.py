"""The bytes: looked for, copied, read back, deleted. Threads do it; nothing here knows of decisions or of the log."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import structlog
from msgspec import structs

from streams import metrics
from streams.events import ObjectRef, TierCopy, TierItem
from streams.fetching import ORDER
from streams.identity import original_key
from streams.objects import Absent, Archived, Damaged, Listed, NotRestorable, ObjectStore, StoreRefused
from streams.reading_large import fetch, verify
from streams.step import NewObject

# Between two looks whether the work is still wanted: so many objects, and so many bytes in memory.
CHUNK_OBJECTS, CHUNK_BYTES = 64, 256 << 20


R = TypeVar("R")


class Unwanted(Exception):
    """Somebody else has the study now, it is held, or the service ends: what was begun is left as it is."""


class Copies:
    """The copies of one study's instances. `unwanted` ends the work between two chunks. Used from one thread."""

    def __init__(
        self, store: ObjectStore, pool: ThreadPoolExecutor, tenant: str, study_uid: str, unwanted: threading.Event
    ) -> None:
        self._store, self._pool, self._unwanted = store, pool, unwanted
        self._tenant, self._study_uid = tenant, study_uid

    def found(self, digests: Set[str], known: Iterable[TierItem], into: str) -> tuple[TierItem, ...]:
        """An item for each digest, with the copies that are known and those that lie in the store `into`, where new
        instances come. One that is in neither is looked for in every store; one that is nowhere has no copies. What is
        known goes on being moved, also where a later revision is without it: it is held, and its bytes are kept.

        Raises StoreAway.
        """
        items = {item.digest: item for item in known}
        digests = digests | items.keys()
        self._add_listed(items, digests, into)
        for name in self._store.names:
            if name != into and not digests <= items.keys():
                self._add_listed(items, digests - items.keys(), name)
        return tuple(items.get(digest) or _nowhere(digest) for digest in sorted(digests))

    def _add_listed(self, items: dict[str, TierItem], digests: Set[str], name: str) -> None:
        for listed in self._store.listed(name, f"{self._tenant}/studies/{self._study_uid}/"):
            series_uid, sop_instance_uid, digest = _parts(listed)
            if digest in digests:
                item = items.get(digest) or TierItem(
                    series_uid=series_uid,
                    sop_instance_uid=sop_instance_uid,
                    digest=digest,
                    size=listed.size,
                    copies=(),
                )
                items[digest] = _seen(item, name, listed.version_id)

    def copied(self, items: Sequence[TierItem], source: str | None, target: str) -> tuple[TierItem, ...]:
        """The items with a copy in the target, where one could be made: of the source, else of any other copy.

        A copy that was read is verified by it; one that is gone is left out. What the target refuses has no copy there.
        Raises NoRoom, StoreAway, Unwanted.
        """
        return self._each(items, lambda item: self._copied(item, source, target))

    def _copied(self, item: TierItem, source: str | None, target: str) -> TierItem:
        kept = copy_in(item, target)
        if kept is not None and kept.verified and self._store.exists(self._ref(item, kept)):
            return item  # It was restored from there; what it is worth is looked at before the source is released.
        for copy in sorted(item.copies, key=lambda copy: (copy.store != source, _place(copy.store))):
            if copy.store == target:
                continue
            ref = self._ref(item, copy)
            try:
                data = fetch(self._store, ref)
            except Archived:
                continue
            except Absent:
                item = without(item, copy.store)
                continue
            except Damaged:
                item = with_copy(item, structs.replace(copy, verified=False))
                continue
            item = with_copy(item, structs.replace(copy, verified=True))
            try:
                stored = self._store.create(NewObject(self._tenant, target, ref.key, memoryview(data), item.digest))
            except StoreRefused as error:
                structlog.get_logger().error("copy_refused", store=target, reason=str(error))
                return item
            metrics.TIER_COPIES.labels(target, "created" if stored.created else "already_there").inc()
            if stored.created:
                metrics.TIER_COPIED_BYTES.labels(target).inc(item.size)
            if stored.ref.sha256 != item.digest:
                return item  # Other bytes have the key: nothing is overwritten.
            return with_copy(item, TierCopy(store=target, version_id=stored.ref.version_id, verified=False))
        return item

    def asked(self, items: Sequence[TierItem]) -> tuple[tuple[TierItem, ...], int]:
        """The items without the copies that are gone, and how many of them have to be waited for.

        Each is asked for in the fastest store that has it whole; what cannot be restored anywhere is not waited for.
        Raises StoreAway, Unwanted.
        """
        asked = self._each(items, self._asked)
        return tuple(item for item, _ in asked), sum(is_awaited for _, is_awaited in asked)

    def _asked(self, item: TierItem) -> tuple[TierItem, bool]:
        for copy in sorted(item.copies, key=lambda copy: (not copy.verified, _place(copy.store))):
            try:
                return item, not self._store.restore(self._ref(item, copy))
            except Absent:
                item = without(item, copy.store)
            except NotRestorable as error:
                structlog.get_logger().error("not_restorable", store=copy.store, reason=str(error))
        return item, False

    def verified(self, items: Sequence[TierItem], target: str) -> tuple[TierItem, ...]:
        """The items, with their copies in the target read back. Raises StoreAway, Unwanted."""
        return self._each(items, lambda item: self._verified(item, target))

    def _verified(self, item: TierItem, target: str) -> TierItem:
        copy = copy_in(item, target)
        if copy is None:
            return item
        try:
            verify(self._store, self._ref(item, copy))
        except Archived:
            return item  # As verified as it was when it went there: what can be seen is that this version is there.
        except Absent:
            return without(item, target)
        except Damaged:
            return with_copy(item, structs.replace(copy, verified=False))
        return with_copy(item, structs.replace(copy, verified=True))

    def released(
        self, items: Sequence[TierItem], source: str, releasable: Callable[[TierItem], bool]
    ) -> tuple[TierItem, ...]:
        """The items without their copies in the source, but for those that must or do stay.

        Of each item every other copy is read back at that moment, by its exact version, whenever it was verified
        before: what has rotted since is no copy. Raises StoreAway, Unwanted.
        """
        return self._each(items, lambda item: self._released(item, source, releasable))

    def _released(self, item: TierItem, source: str, releasable: Callable[[TierItem], bool]) -> TierItem:
        copy = copy_in(item, source)
        for other in item.copies:
            if other.store != source:
                item = self._verified(item, other.store)
        if copy is None:
            return item
        if not self._store.exists(self._ref(item, copy)):
            return without(item, source)
        # Without a version nobody can say which bytes a deletion would meet.
        if copy.version_id is None or not releasable(item) or not self._store.delete(self._ref(item, copy)):
            return item
        metrics.TIER_RELEASED.labels(source).inc()
        return without(item, source)

    def there(self, items: Sequence[TierItem]) -> tuple[TierItem, ...]:
        """The items without the copies that are gone. Raises StoreAway, Unwanted."""
        return self._each(items, self._there)

    def _there(self, item: TierItem) -> TierItem:
        gone = [copy.store for copy in item.copies if not self._store.exists(self._ref(item, copy))]
        return without(item, *gone)

    def _ref(self, item: TierItem, copy: TierCopy) -> ObjectRef:
        key = original_key(self._tenant, self._study_uid, item.series_uid, item.sop_instance_uid, item.digest)
        return ObjectRef(
            tenant=self._tenant,
            store=copy.store,
            key=key,
            version_id=copy.version_id,
            length=item.size,
            size=item.size,
            sha256=item.digest,
        )

    def _each(self, items: Sequence[TierItem], work: Callable[[TierItem], R]) -> tuple[R, ...]:
        done: list[R] = []
        for chunk in chunks(items):
            if self._unwanted.is_set():
                raise Unwanted
            done.extend(self._pool.map(work, chunk))
        return tuple(done)


def chunks(items: Iterable[TierItem]) -> Iterator[list[TierItem]]:
    """Pieces of work, bounded by count and by bytes; an object that is larger has a piece of its own."""
    chunk: list[TierItem] = []
    size = 0
    for item in items:
        if chunk and (len(chunk) == CHUNK_OBJECTS or size + item.size > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(item)
        size += item.size
    if chunk:
        yield chunk


def copy_in(item: TierItem, store: str) -> TierCopy | None:
    return next((copy for copy in item.copies if copy.store == store), None)


def with_copy(item: TierItem, copy: TierCopy) -> TierItem:
    """In the order of the stores' names, so that equal states are equal."""
    others = [other for other in item.copies if other.store != copy.store]
    return structs.replace(item, copies=tuple(sorted((*others, copy), key=lambda one: one.store)))


def without(item: TierItem, *stores: str) -> TierItem:
    return structs.replace(item, copies=tuple(copy for copy in item.copies if copy.store not in stores))


def merged(items: Iterable[TierItem], changed: Iterable[TierItem]) -> tuple[TierItem, ...]:
    """The items, with those that have changed in their places."""
    new: Mapping[str, TierItem] = {item.digest: item for item in changed}
    return tuple(new.get(item.digest, item) for item in items)


def _place(store: str) -> int:
    """The fastest store first."""
    return ORDER.index(store) if store in ORDER else len(ORDER)


def _seen(item: TierItem, store: str, version_id: str | None) -> TierItem:
    """With a copy that was listed; one that is known by this version is as verified as it was."""
    copy = copy_in(item, store)
    if copy is not None and copy.version_id == version_id:
        return item
    return with_copy(item, TierCopy(store=store, version_id=version_id, verified=False))


def _parts(listed: Listed) -> tuple[str, str, str]:
    """Series, SOP instance and digest in a key (`streams.identity.original_key`)."""
    *_, series_uid, sop_instance_uid, file = listed.key.split("/")
    return series_uid, sop_instance_uid, file.removesuffix(".dcm")


def _nowhere(digest: str) -> TierItem:
    return TierItem(series_uid="", sop_instance_uid="", digest=digest, size=0, copies=())
