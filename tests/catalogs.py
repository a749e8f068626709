"""A catalog over a log in memory, driven as the runner drives it, for tests."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager

from consumers.catalog.checksum import Checksum, checksum
from consumers.catalog.database import Writer, connect
from consumers.catalog.step import Bury, Catalog
from streams.events import Event
from streams.log import TopicPartition
from streams.memory_log import MemoryLog
from streams.step import Input
from tests.event_streams import Hospital, inputs, partitions_of

Batch = list[Input[Event]]

# What is the same in two catalogs of one log, beside what the checksum covers.
ALIKE = (
    "SELECT * FROM studies ORDER BY 1, 2",
    "SELECT * FROM series ORDER BY 1, 2, 3",
    "SELECT * FROM patients ORDER BY 1, 2",
    "SELECT * FROM study_identities ORDER BY 1, 2, 3",
    "SELECT sop_instance_uid, digest, lane, received_at, standing, study_identity FROM instances ORDER BY 1, 2",
    "SELECT sop_instance_uid, digest FROM served_instances ORDER BY 1",
    "SELECT topic, partition, next_offset, last_event_id FROM ledger ORDER BY 1, 2",
)


def unexpected(item: Input[Event], reason: str) -> None:
    raise AssertionError(f"{item.record.topic} offset {item.record.offset}: {reason}")


@contextmanager
def catalog_of(
    dsn: str, log: MemoryLog, hospital: Hospital, schema: str = "catalog", bury: Bury = unexpected
) -> Iterator[Catalog]:
    with closing(Writer(dsn, schema)) as writer:
        yield Catalog(writer, hospital.blocks, log.topic_id, bury)


def projected(dsn: str, log: MemoryLog, hospital: Hospital) -> None:
    """Projects all that the log has."""
    with catalog_of(dsn, log, hospital) as catalog:
        project(catalog, log)


def project(catalog: Catalog, log: MemoryLog, shuffle: random.Random | None = None, size: int = 50) -> int:
    """Applies all that the ledger does not have; with `shuffle` in a random interleaving. Returns how many batches."""
    left = catalog.positions(partitions_of(log))
    count = 0
    for batch in batches(log, left, shuffle, size):
        catalog.apply(batch, ends_of(batch))
        count += 1
    return count


def batches(
    log: MemoryLog, left: Mapping[TopicPartition, int], shuffle: random.Random | None, size: int
) -> Iterator[Batch]:
    """Batches in which each partition is in order; partitions alternate at random, or come one after another."""
    queues = [
        [item for item in inputs(log, name) if item.record.offset >= left.get(name, 0)] for name in partitions_of(log)
    ]
    batch: Batch = []
    while queues := [queue for queue in queues if queue]:
        queue = shuffle.choice(queues) if shuffle else queues[0]
        taken = shuffle.randint(1, 4) if shuffle else size
        batch += queue[:taken]
        del queue[:taken]
        if len(batch) >= (shuffle.randint(1, size) if shuffle else size):
            yield batch
            batch = []
    if batch:
        yield batch


def ends_of(batch: Sequence[Input[Event]]) -> dict[TopicPartition, int]:
    return {TopicPartition(item.record.topic, item.record.partition): item.record.offset + 1 for item in batch}


def checksum_of(dsn: str, schema: str = "catalog") -> Checksum:
    with connect(dsn, schema) as connection, connection.cursor() as cursor:
        return checksum(cursor)


def rows(dsn: str, query: str, schema: str = "catalog") -> list[tuple[object, ...]]:
    with connect(dsn, schema) as connection:
        return connection.execute(query.encode()).fetchall()
