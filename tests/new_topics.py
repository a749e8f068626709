"""Topics of a test's own on the stack's broker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.config import Kafka
from streams.kafka_log import KafkaLog
from streams.log import LogAway, LogRefused, TopicPartition
from tests.waiting import wait_until


@contextmanager
def new_topics(config: Kafka, topics: Sequence[NewTopic]) -> Iterator[None]:
    """They are deleted when the block ends."""
    admin = AdminClient({"bootstrap.servers": config.bootstrap})
    create(admin, KafkaLog(config), topics)
    try:
        yield
    finally:
        delete(admin, [topic.topic for topic in topics])


def create(admin: AdminClient, log: KafkaLog, topics: Sequence[NewTopic]) -> None:
    """Returns when all their partitions have leaders that answer: who just heard that a topic was made may be told, for
    a moment, that there is none."""
    for future in admin.create_topics(list(topics), operation_timeout=180, request_timeout=180).values():
        future.result(200)
    names = [TopicPartition(one.topic, number) for one in topics for number in range(one.num_partitions)]
    wait_until(lambda: _answer(log, names), "the new topics")


def delete(admin: AdminClient, topics: list[str]) -> None:
    for future in admin.delete_topics(topics, operation_timeout=180, request_timeout=180).values():
        future.result(200)


def _answer(log: KafkaLog, names: list[TopicPartition]) -> bool:
    with suppress(LogAway, LogRefused):
        return len(log.bounds(names)) == len(names)
    return False
