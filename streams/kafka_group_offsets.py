"""What groups have committed, asked by somebody who is no member.

By a consumer that never subscribes, one for each group: librdkafka 2.16 ends the whole process where a broker goes away
while `AdminClient.list_consumer_group_offsets` waits for it (librdkafka issues 3663 and 4605; seen here three times out
of three, as a segmentation fault or a failed assertion).
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import confluent_kafka
from confluent_kafka import KafkaException

from streams.kafka_commits import Commits
from streams.kafka_consumer import ours, theirs
from streams.kafka_errors import of_exception, translated
from streams.kafka_renewed import Renewed
from streams.log import LogAway, TopicPartition

_CALL_S = 10.0
# A call says itself what went wrong; librdkafka would say it some twenty times a second for each group.
_SETTINGS = {"group.protocol": "consumer", "enable.auto.commit": False, "log_level": 0}


class GroupOffsets:
    """Keeps its consumers while they answer: connections cost more than the question. Safe for several threads."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._of: dict[str, Renewed[confluent_kafka.Consumer]] = {}

    def committed(self, group: str, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int | None]:
        """As `streams.log.Log.committed`."""
        what = f"committed offsets of group {group}"
        with self._asked(group) as client:
            try:
                found = client.committed([theirs(name) for name in partitions], timeout=_CALL_S)
            except KafkaException as error:
                raise of_exception(error, what) from None
            for name in found:
                if name.error is not None:
                    raise translated(name.error, what)
        return {ours(name): name.offset if name.offset >= 0 else None for name in found}

    def place(self, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        """As `streams.log.Log.place`. Who is no member may commit for a group that has none (KIP-848)."""
        wanted = [
            confluent_kafka.TopicPartition(name.topic, name.partition, offset) for name, offset in offsets.items()
        ]
        with self._asked(group) as client:
            Commits(client).commit(wanted, f"first offsets of group {group}")

    @contextmanager
    def _asked(self, group: str) -> Iterator[confluent_kafka.Consumer]:
        """The group's client, for one question. It is not closed, only left: closing waits for what it waits for."""
        kept = self._kept(group)
        client = kept.client
        try:
            yield client
        except LogAway as error:
            kept.renew(client, error)
            raise

    def _kept(self, group: str) -> Renewed[confluent_kafka.Consumer]:
        with self._lock:
            if group not in self._of:
                settings = {**self._settings, **_SETTINGS, "group.id": group}
                self._of[group] = Renewed(lambda: confluent_kafka.Consumer(settings), f"offsets of {group}")
            return self._of[group]
