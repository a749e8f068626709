"""The projection: a batch of the log is one transaction, and the ledger in it says how far the tables are."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from consumers.catalog import elsewhere, identities, ledger, sequence, summarizing
from consumers.catalog.attributes import Blocks, Reader
from consumers.catalog.database import BadRows, Cursor, Writer, refusal
from consumers.catalog.ledger import Move
from consumers.catalog.rows import rows_of
from consumers.catalog.tables import Rows
from streams import metrics
from streams.events import Event, InstanceReceived
from streams.log import TopicPartition
from streams.step import Away, Input, TopicChanged

Batch = Sequence[Input[Event]]
Bury = Callable[[Input[Event], str], None]


class Catalog:
    """Implements `streams.step.Projection`. Used from one thread; several members share the partitions.

    `bury` takes a record whose rows PostgreSQL refuses, and the reason; when it returns, the record is kept elsewhere.
    """

    name = "catalog"

    def __init__(self, writer: Writer, blocks: Blocks, topic_id: Callable[[str], str], bury: Bury) -> None:
        self._writer = writer
        self._reader = Reader(blocks)
        self._topic_id = topic_id
        self._bury = bury
        self._topic_ids: dict[str, str] = {}
        self._left: dict[TopicPartition, int] = {}
        self._doubtful: dict[TopicPartition, int] = {}

    def positions(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Also forgets where this member left these partitions. Raises TopicChanged, Away, LogAway, LogRefused."""
        ids = {topic: self._topic_id(topic) for topic in {partition.topic for partition in partitions}}
        with self._writer.transaction() as cursor:
            offsets = ledger.known(ledger.read(cursor), ids, partitions)
        self._topic_ids.update(ids)
        for partition in partitions:
            self._left.pop(partition, None)
            self._doubtful.pop(partition, None)
        self._left.update(offsets)
        return offsets

    def apply(self, batch: Batch, ends: Mapping[TopicPartition, int]) -> None:
        """Raises LedgerMoved, TopicChanged, Away, and Stop (a gap in a sequence, tables of another build)."""
        started = time.monotonic()
        self._check_topics(batch)
        self._resolve_doubt()
        fresh: Batch = [item for item in batch if item.record.offset >= self._left.get(_partition(item), 0)]
        try:
            self._commit(fresh, ends)
        except BadRows:
            fresh = self._without_poison(fresh)
            self._commit(fresh, ends)
        metrics.CATALOG_BATCH_SECONDS.observe(time.monotonic() - started)
        _observe_way(fresh)

    def _commit(self, batch: Batch, ends: Mapping[TopicPartition, int]) -> None:
        rows = self._rows(batch)
        try:
            with self._writer.transaction() as cursor:
                ledger.advance(cursor, self._moves(batch, ends))
                _write(cursor, batch, rows)
                shared = elsewhere.shared(cursor, (item.event for item in batch))
        except Away:
            # The answer to the commit may be what was lost.
            self._doubtful = dict(ends)
            raise
        self._left.update(ends)
        metrics.SHARED_UIDS.inc(shared)

    def _resolve_doubt(self) -> None:
        """Where a commit was not answered, the ledger says whether it happened."""
        if not self._doubtful:
            return
        with self._writer.transaction() as cursor:
            places = ledger.read(cursor)
        for partition, end in self._doubtful.items():
            place = places.get(partition)
            if place is not None and (place.topic_id, place.next_offset) == (self._topic_ids[partition.topic], end):
                self._left[partition] = end
        self._doubtful = {}

    def _without_poison(self, batch: Batch) -> Batch:
        """The batch without the records whose rows are refused; those are buried. Nothing is committed in between."""
        try:
            with self._writer.transaction(rehearsal=True) as cursor:
                self._rows(batch).write(cursor)
        except BadRows as error:
            if len(batch) == 1:
                self._bury(batch[0], refusal(error))
                return []
            half = len(batch) // 2
            return [*self._without_poison(batch[:half]), *self._without_poison(batch[half:])]
        return batch

    def _check_topics(self, batch: Batch) -> None:
        for record in (item.record for item in batch):
            if record.topic_id != self._topic_ids.setdefault(record.topic, record.topic_id):
                raise TopicChanged(f"topic {record.topic} was recreated while it was read: now {record.topic_id}")

    def _rows(self, batch: Batch) -> Rows:
        rows = Rows()
        for item in batch:
            rows_of(item, self._reader, rows)
        return rows

    def _moves(self, batch: Batch, ends: Mapping[TopicPartition, int]) -> list[Move]:
        last = {_partition(item): item.event.meta.event_id for item in batch}
        return [
            Move(
                topic=partition.topic,
                partition=partition.partition,
                topic_id=self._topic_ids[partition.topic],
                expected=self._left.get(partition),
                next_offset=end,
                last_event_id=last.get(partition),
            )
            for partition, end in ends.items()
        ]


def _partition(item: Input[Event]) -> TopicPartition:
    return TopicPartition(item.record.topic, item.record.partition)


def _write(cursor: Cursor, batch: Batch, rows: Rows) -> None:
    changes = identities.touched(item.event for item in batch)
    identities.lock(cursor, changes)
    sequence.check(cursor, (item.event for item in batch))
    rows.write(cursor)
    identities.settle(cursor, changes)
    summarizing.note(cursor, (item.event for item in batch))


def _observe_way(batch: Batch) -> None:
    now = time.time()
    for item in batch:
        if isinstance(item.event, InstanceReceived):
            waited_s = now - item.event.meta.occurred_at.timestamp()
            metrics.END_TO_END_SECONDS.labels(item.event.meta.lane).observe(max(0.0, waited_s))
