"""The projection: a batch of the log is one transaction, and the ledger in it says how far the tables are."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from consumers.catalog import ledger, sequence
from consumers.catalog.attributes import Blocks, Reader
from consumers.catalog.database import Cursor, Writer
from consumers.catalog.ledger import Move
from consumers.catalog.rows import rows_of
from consumers.catalog.tables import Rows
from streams import metrics
from streams.events import Event, InstanceReceived, StudyRevision
from streams.log import TopicPartition
from streams.step import Input, TopicChanged

Batch = Sequence[Input[Event]]


class Catalog:
    """Implements `streams.step.Projection`. Used from one thread; several members share the partitions."""

    name = "catalog"

    def __init__(self, writer: Writer, blocks: Blocks, topic_id: Callable[[str], str]) -> None:
        self._writer = writer
        self._reader = Reader(blocks)
        self._topic_id = topic_id
        self._topic_ids: dict[str, str] = {}
        self._left: dict[TopicPartition, int] = {}

    def positions(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Also forgets where this member left these partitions. Raises TopicChanged, Away, LogAway, LogRefused."""
        ids = {topic: self._topic_id(topic) for topic in {partition.topic for partition in partitions}}
        with self._writer.transaction() as cursor:
            offsets = ledger.known(ledger.read(cursor), ids, partitions)
        self._topic_ids.update(ids)
        for partition in partitions:
            self._left.pop(partition, None)
        self._left.update(offsets)
        return offsets

    def apply(self, batch: Batch, ends: Mapping[TopicPartition, int]) -> None:
        """Raises LedgerMoved, TopicChanged, Away, Stop (a gap in a sequence), and BadRows."""
        started = time.monotonic()
        self._check_topics(batch)
        fresh = [item for item in batch if item.record.offset >= self._left.get(_partition(item), 0)]
        rows = self._rows(fresh)
        with self._writer.transaction() as cursor:
            ledger.advance(cursor, self._moves(fresh, ends))
            self._write(cursor, fresh, rows)
        self._left.update(ends)
        metrics.CATALOG_BATCH_SECONDS.observe(time.monotonic() - started)
        _observe_way(fresh)

    def _check_topics(self, batch: Batch) -> None:
        for record in (item.record for item in batch):
            if record.topic_id != self._topic_ids.setdefault(record.topic, record.topic_id):
                raise TopicChanged(f"topic {record.topic} was recreated while it was read: now {record.topic_id}")

    def _rows(self, batch: Batch) -> Rows:
        rows = Rows()
        for item in batch:
            rows_of(item, self._reader, rows)
        return rows

    def _write(self, cursor: Cursor, batch: Batch, rows: Rows) -> None:
        sequence.check(cursor, (item.event for item in batch if isinstance(item.event, StudyRevision)))
        rows.write(cursor)

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


def _observe_way(batch: Batch) -> None:
    now = time.time()
    for item in batch:
        if isinstance(item.event, InstanceReceived):
            waited_s = now - item.event.meta.occurred_at.timestamp()
            metrics.END_TO_END_SECONDS.labels(item.event.meta.lane).observe(max(0.0, waited_s))
