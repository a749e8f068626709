"""One redrive of a group's dead letters at a time: it is a consumer group of its own, `redrive.<group>`.

The group that gave the records up is left alone: its offsets are not touched. A redrive keeps no offsets either, since
filters leave holes that an offset cannot say; the marks beside the letters do.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from schemas import load_topics
from streams.deadletters import REDRIVE, dead_letter_topic
from streams.log import Log, TopicPartition

_JOINED_S_MAX = 30.0
_POLL_S = 0.1


class Busy(Exception):
    """Another redrive of the group is under way."""


@contextmanager
def alone(log: Log, group: str) -> Iterator[None]:
    """While it lasts no other process redrives the group. Raises Busy, LogAway, LogRefused."""
    topic, name = dead_letter_topic(group), f"{REDRIVE}.{load_topics().entry_of(group)}"
    if log.members(name):
        raise Busy(name)
    wanted = {TopicPartition(topic, number) for number in range(log.partitions(topic))}
    owned: set[TopicPartition] = set()

    def assigned(partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        owned.update(partitions)
        return {}

    def revoked(partitions: Sequence[TopicPartition], _lost: bool) -> None:
        owned.difference_update(partitions)

    consumer = log.consumer(name, [topic], assigned, revoked, co_partitioned=False)
    try:
        end = time.monotonic() + _JOINED_S_MAX
        while owned != wanted:
            if time.monotonic() > end:
                raise Busy(name)
            consumer.poll(1, _POLL_S)
        consumer.pause(wanted)
        yield
    finally:
        consumer.close()
