"""What groups have committed, asked by somebody who is no member.

By a consumer that never subscribes, one for each group: librdkafka 2.16 ends the whole process where a broker goes away
while `AdminClient.list_consumer_group_offsets` waits for it (librdkafka issues 3663 and 4605; seen here three times out
of three, as a segmentation fault or a failed assertion).
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from typing import Any

import confluent_kafka
from confluent_kafka import KafkaException

from streams.kafka_consumer import ours, theirs
from streams.kafka_errors import of_exception, translated
from streams.log import TopicPartition

_CALL_S = 10.0
# A call says itself what went wrong; librdkafka would say it some twenty times a second for each group.
_SETTINGS = {"group.protocol": "consumer", "enable.auto.commit": False, "log_level": 0}


class GroupOffsets:
    """Keeps its consumers: connections cost more than the question. Safe for several threads."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._of: dict[str, confluent_kafka.Consumer] = {}

    def committed(self, group: str, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int | None]:
        """As `streams.log.Log.committed`."""
        what = f"committed offsets of group {group}"
        try:
            found = self._consumer(group).committed([theirs(name) for name in partitions], timeout=_CALL_S)
        except KafkaException as error:
            raise of_exception(error, what) from None
        for name in found:
            if name.error is not None:
                raise translated(name.error, what)
        return {ours(name): name.offset if name.offset >= 0 else None for name in found}

    def place(self, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        """As `streams.log.Log.place`. Who is no member may commit for a group that has none (KIP-848)."""
        what = f"first offsets of group {group}"
        try:
            found = self._consumer(group).commit(
                offsets=[
                    confluent_kafka.TopicPartition(name.topic, name.partition, offset)
                    for name, offset in offsets.items()
                ],
                asynchronous=False,
            )
        except KafkaException as error:
            raise of_exception(error, what) from None
        for name in found or ():
            if name.error is not None:
                raise translated(name.error, what)

    def _consumer(self, group: str) -> confluent_kafka.Consumer:
        with self._lock:
            if group not in self._of:
                self._of[group] = confluent_kafka.Consumer({**self._settings, **_SETTINGS, "group.id": group})
            return self._of[group]
