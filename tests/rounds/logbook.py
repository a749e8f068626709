"""What the log says of received instances, read on and on, and the catalog's rows of them."""

from __future__ import annotations

from consumers.catalog.config import Settings as Catalog
from consumers.catalog.database import snapshot
from schemas import load_topics
from streams.config import Kafka
from streams.events import InstanceReceived
from streams.kafka_log import KafkaLog
from streams.log import TopicPartition
from streams.wire import decode
from tests.rounds.accounting import Row
from tests.running_stack import RunningStack
from tests.waiting import wait_until

_TOPIC = "imaging.instance.received"
_CATALOG_S_MAX = 300.0


class Logbook:
    """Asks broker and database themselves, past what the rounds put before them."""

    def __init__(self, stack: RunningStack) -> None:
        self._log = KafkaLog(stack.config.section("kafka", Kafka))
        self._dsn = stack.config.section("catalog", Catalog).dsn
        self._next = {
            TopicPartition(topic, number): 0
            for topic in load_topics().physical(_TOPIC)
            for number in range(self._log.partitions(topic))
        }
        self.events: list[InstanceReceived] = []

    def read_on(self) -> None:
        """Adds to `events` what came since."""
        for partition, (_, end) in self._log.bounds(list(self._next)).items():
            read = [decode(record) for record in self._log.read(partition, self._next[partition], end)]
            self.events += [event for event in read if isinstance(event, InstanceReceived)]
            self._next[partition] = end

    def rows(self) -> list[Row]:
        """Once the catalog has read everything."""
        wait_until(self._is_read, "the catalog to have read all of the log", _CATALOG_S_MAX)
        with snapshot(self._dsn) as cursor:
            return [Row(*found) for found in cursor.execute(b"SELECT digest, event_id::text FROM instances").fetchall()]

    def _is_read(self) -> bool:
        done = self._log.committed("catalog", list(self._next))
        return all((done[partition] or 0) >= end for partition, end in self._next.items())
