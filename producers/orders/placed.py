"""Which orders there are to cancel: the log says it, and this reads along."""

from __future__ import annotations

import threading
from typing import Final

import structlog
from confluent_kafka import murmur2

from schemas import load_topics
from streams.events import SUBJECTS, OrderCommand
from streams.identity import partition_key
from streams.log import Log, TopicPartition
from streams.wire import Record, Undecodable, UnknownSchema, decode

TOPIC: Final = SUBJECTS[OrderCommand]


class PlacedOrders:
    """Orders of a tenant, from wherever they came. Safe for several threads.

    An order's commands are in one partition. That is read from its beginning when an order of it is asked for first,
    then on from where it was. Memory: about 150 bytes for each order of what was read.

    What a newer build wrote, before this one was put back, is not read. An order of which there is such a command may
    have been placed by it.
    """

    def __init__(self, log: Log, tenant: str) -> None:
        self._log = log
        self._tenant = tenant
        self._lock = threading.Lock()
        self._placed: set[str] = set()
        self._not_read: set[bytes | None] = set()  # keys of records
        self._next: dict[TopicPartition, int] = {}

    def learn(self, event: OrderCommand) -> None:
        """To be told before an order is written: it may be long on its way, and come after its sender gave it up.

        Without the lock, under which the log is read: an order is not to wait for a cancellation.
        """
        if event.study_uid is not None:
            self._placed.add(event.order_id)

    def has(self, order_id: str) -> bool:
        """Whether an order was ever placed, or stated by a change, or may be. Raises LogAway, LogRefused."""
        with self._lock:
            key = partition_key(self._tenant, order_id)
            if order_id not in self._placed:
                self._read_on(self._partition_of(key))
            return order_id in self._placed or key in self._not_read

    def _partition_of(self, key: bytes) -> TopicPartition:
        (topic,) = load_topics().physical(TOPIC)
        return TopicPartition(topic, murmur2(key, self._log.partitions(topic)))

    def _read_on(self, name: TopicPartition) -> None:
        first, end = self._log.bounds([name])[name]
        start = max(self._next.get(name, 0), first)
        for record in self._log.read(name, start, end) if start < end else ():
            self._take(record)
        self._next[name] = end

    def _take(self, record: Record) -> None:
        try:
            event = decode(record)
        except Undecodable:
            return  # the catalog's dead letter
        except UnknownSchema as error:
            self._not_read.add(record.key)
            structlog.get_logger().warning(
                "command_not_read", reason=str(error), partition=record.partition, offset=record.offset
            )
            return
        if isinstance(event, OrderCommand) and event.meta.tenant == self._tenant:
            self.learn(event)
