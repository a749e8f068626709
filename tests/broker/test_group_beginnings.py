"""Where a group begins is committed before it has a member, by somebody who is none."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from confluent_kafka.cimpl import NewTopic

from streams.config import Kafka
from streams.kafka_log import KafkaLog
from streams.log import Fenced, TopicPartition
from streams.wire import Message
from tests.new_topics import new_topics
from tests.running_stack import RunningStack
from tests.waiting import wait_until

pytestmark = pytest.mark.stack


@pytest.fixture
def config(stack: RunningStack) -> Kafka:
    return stack.config.section("kafka", Kafka)


@pytest.fixture
def name(config: Kafka) -> Iterator[str]:
    made = f"test-{uuid.uuid4().hex[:8]}"
    with new_topics(config, [NewTopic(made, 1, 1)]):
        yield made


def test_a_group_is_placed_read_from_there_and_never_moved_under_its_members(config: Kafka, name: str) -> None:
    log, place = KafkaLog(config), TopicPartition(name, 0)
    producer = log.producer()
    for number in range(5):
        producer.send(Message(name, b"k", str(number).encode())).result(120)
    assert producer.close(5.0) == 0
    assert log.committed(name, [place]) == {place: None}
    log.place(name, {place: 3})
    assert log.committed(name, [place]) == {place: 3}

    consumer = log.consumer(name, [name], lambda _: {}, lambda *_: None, co_partitioned=False)
    try:
        first = wait_until(lambda: consumer.poll(10, 0.2), "its records")
        assert first[0].value == b"3"
        consumer.commit({place: 4})
        with pytest.raises(Fenced):
            log.place(name, {place: 0})
    finally:
        consumer.close()
    assert log.committed(name, [place]) == {place: 4}
