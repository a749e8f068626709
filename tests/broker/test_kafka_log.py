"""The log on the real broker: what the runners' suite does not ask."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from radstream.checks import broker as checks
from radstream.checks import destinations
from streams.config import ConfigError, Kafka
from streams.kafka_log import KafkaLog
from streams.log import LogRefused, OffsetOutOfRange, TopicPartition
from streams.wire import Message
from tests.new_topics import new_topics
from tests.partitions import MURMUR2, java_partition
from tests.running_stack import RunningStack
from tests.waiting import wait_until

pytestmark = pytest.mark.stack


@pytest.fixture
def config(stack: RunningStack) -> Kafka:
    return stack.config.section("kafka", Kafka)


@pytest.fixture
def topic(config: Kafka) -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex[:8]}"
    with new_topics(config, [NewTopic(name, 6, 1)]):
        yield name


def test_keys_go_where_java_puts_them_and_order_is_kept(config: Kafka, topic: str) -> None:
    log = KafkaLog(config)
    producer = log.producer()
    sent = [producer.send(Message(topic, key, key, (("h", b"1"), ("h", b"2")))) for key in MURMUR2 for _ in range(3)]
    places = [future.result(120) for future in sent]
    assert producer.close(5.0) == 0
    keys = [key for key in MURMUR2 for _ in range(3)]
    assert [place.partition for place in places] == [java_partition(key, 6) for key in keys]
    names = [TopicPartition(topic, number) for number in range(6)]
    for name, (first, end) in log.bounds(names).items():
        records = list(log.read(name, first, end))
        assert [record.offset for record in records] == list(range(end))
        assert [record.value for record in records] == [
            key for key, place in zip(keys, places, strict=True) if place.partition == name.partition
        ]
        assert all(record.headers == (("h", b"1"), ("h", b"2")) for record in records)
        assert all(record.topic_id == log.topic_id(topic) for record in records)


def test_how_long_a_group_is_remembered_is_read_from_the_broker(config: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    """The doctor says nothing where that is for ever, and would where it were not."""
    client = AdminClient({"bootstrap.servers": config.bootstrap})
    (broker,) = client.describe_cluster().result(120).nodes
    assert list(checks.memory(client, broker.id)) == []
    monkeypatch.setattr(checks, "_REMEMBERED_MIN", 2**31)
    (found,) = checks.memory(client, broker.id)
    assert "is 2147483647" in found.found


def test_a_group_that_the_rules_do_not_have_any_more_is_seen(config: Kafka, topic: str) -> None:
    client, group = AdminClient({"bootstrap.servers": config.bootstrap}), f"forward.{topic}"
    KafkaLog(config).place(group, {TopicPartition(topic, 0): 0})
    try:
        assert group in {one.name for one in destinations.gone(client, frozenset({"forward"}))}
        assert group not in {one.name for one in destinations.gone(client, frozenset({group}))}
    finally:
        client.delete_consumer_groups([group])[group].result(120)


def test_a_part_is_read_and_what_is_not_there_is_out_of_range(config: Kafka, topic: str) -> None:
    log = KafkaLog(config)
    producer = log.producer()
    for number in range(10):
        producer.send(Message(topic, b"21", str(number).encode())).result(120)
    producer.close(5.0)
    name = TopicPartition(topic, java_partition(b"21", 6))
    assert [record.offset for record in log.read(name, 3, 7)] == [3, 4, 5, 6]
    assert list(log.read(name, 5, 5)) == []
    with pytest.raises(OffsetOutOfRange):
        list(log.read(name, 50, 60))


def test_what_does_not_exist_is_refused(config: Kafka) -> None:
    log = KafkaLog(config)
    for ask in (log.partitions, log.topic_id):
        with pytest.raises(LogRefused):
            ask("no.such.topic")
    assert log.committed("no-such-group", [TopicPartition("x", 0)]) == {TopicPartition("x", 0): None}


def test_a_record_that_is_too_large_is_refused_and_the_rest_go_through(config: Kafka, topic: str) -> None:
    producer = KafkaLog(config).producer()
    wait_until(lambda: producer.send(Message(topic, b"k", b"small")).result(120), "a first record")
    large = producer.send(Message(topic, b"k", b"x" * 20_000_000))
    small = producer.send(Message(topic, b"k", b"small"))
    assert isinstance(large.exception(30), LogRefused)
    assert small.result(120).topic == topic
    assert producer.close(5.0) == 0


def test_a_property_that_librdkafka_does_not_know_is_a_configuration_error(config: Kafka) -> None:
    with pytest.raises(ConfigError, match=r"\[kafka\]"):
        KafkaLog(Kafka(bootstrap=config.bootstrap, properties={"no.such.property": "1"}))
