"""A broker that hangs for a while: who commits and leaves meanwhile is not held, and nothing unread is committed."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from confluent_kafka.cimpl import NewTopic

from streams import kafka_commits, kafka_consumer
from streams.config import Kafka
from streams.kafka_log import KafkaLog
from streams.log import Consumer, Log, LogAway, TopicPartition
from streams.wire import Message, Record
from tests.frozen import freeze
from tests.new_topics import new_topics
from tests.running_stack import RunningStack
from tests.waiting import wait_until

pytestmark = pytest.mark.stack

RECORDS = 10


@pytest.fixture
def config(stack: RunningStack) -> Kafka:
    return stack.config.section("kafka", Kafka)


@pytest.fixture
def log(config: Kafka) -> KafkaLog:
    return KafkaLog(config)


@pytest.fixture
def name(config: Kafka, log: KafkaLog) -> Iterator[TopicPartition]:
    topic = f"test-{uuid.uuid4().hex[:8]}"
    with new_topics(config, [NewTopic(topic, 1, 1)]):
        producer = log.producer()
        for future in [producer.send(Message(topic, b"k", b"%d" % number)) for number in range(RECORDS)]:
            future.result(30)
        producer.close(5.0)
        yield TopicPartition(topic, 0)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each wait is short, so that a broker that hangs outlasts all of them."""
    monkeypatch.setattr(kafka_commits, "_ANSWER_S_MAX", 0.5)
    monkeypatch.setattr(kafka_consumer, "_LEAVE_S_MAX", 0.5)


@contextmanager
def frozen(stack: RunningStack) -> Iterator[None]:
    broker = stack.pid("kafka")
    freeze(broker)
    try:
        yield
    finally:
        os.kill(broker, signal.SIGCONT)


def member(log: Log, name: TopicPartition) -> Consumer:
    """Its group is named as the topic."""
    return log.consumer(name.topic, [name.topic], lambda _: {}, lambda *_: None, co_partitioned=False)


def read(consumer: Consumer, count: int) -> list[int]:
    records: list[Record] = []

    def all_there() -> bool:
        records.extend(polled(consumer, count - len(records)))
        return len(records) == count

    wait_until(all_there, "the records")
    return [record.offset for record in records]


def polled(consumer: Consumer, count: int) -> Sequence[Record]:
    try:
        return consumer.poll(count, 0.2)
    except LogAway:
        return ()


def test_who_commits_and_leaves_while_the_broker_hangs_is_not_held(
    stack: RunningStack, log: KafkaLog, name: TopicPartition
) -> None:
    first = member(log, name)
    assert read(first, 4) == [0, 1, 2, 3]
    first.commit({name: 2})
    with frozen(stack):
        with pytest.raises(LogAway, match="no answer"):
            first.commit({name: 4})
        first.close()
    second = member(log, name)
    # What had no answer may be committed, or not: what was not read never is.
    (start, *_) = read(second, 1)
    assert start in (2, 4)
    second.close()


def test_a_member_goes_on_once_the_broker_does(stack: RunningStack, log: KafkaLog, name: TopicPartition) -> None:
    one = member(log, name)
    assert read(one, 4) == [0, 1, 2, 3]
    with frozen(stack), pytest.raises(LogAway, match="no answer"):
        one.commit({name: 2})

    def committed() -> bool:
        polled(one, RECORDS)
        try:
            one.commit({name: 4})
        except LogAway:
            return False
        return True

    wait_until(committed, "a commit")
    assert log.committed(name.topic, [name]) == {name: 4}
    one.close()
