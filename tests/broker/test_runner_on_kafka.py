"""The runner's conformance suite on the real broker."""

from __future__ import annotations

import os
import signal
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import confluent_kafka
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from schemas import load_subjects
from streams.config import Kafka
from streams.config import Registry as Settings
from streams.kafka_consumer import KafkaConsumer
from streams.kafka_log import KafkaLog
from streams.log import Log, TopicPartition
from streams.registry import Registry, RegistryAway
from streams.schema_ids import read_ids
from tests.frozen import freeze
from tests.new_topics import create, delete
from tests.runner_bench import GROUP, RECEIVED, VALIDATED, Bench, Member
from tests.runner_suite import RunnerSuite
from tests.running_stack import RunningStack
from tests.waiting import wait_until

pytestmark = pytest.mark.stack


class KafkaBench(Bench):
    def __init__(self, stack: RunningStack) -> None:
        config = stack.config.section("kafka", Kafka)
        assert config.schema_ids is not None
        self.ids = read_ids(config.schema_ids)
        self._stack = stack
        self._config = config
        self._broker = stack.pid("kafka")
        self._admin = AdminClient({"bootstrap.servers": config.bootstrap})
        self._topics: list[str] = []
        super().__init__()

    def inner(self) -> Log:
        return KafkaLog(self._config)

    def make_topics(self) -> None:
        super().make_topics()
        self._make([NewTopic(name, 3, 1) for name in self._topics])

    def make_topic(self, name: str, partitions: int) -> None:
        self._topics.append(name)
        if self.members:
            self._make([NewTopic(name, partitions, 1)])

    def _make(self, topics: list[NewTopic]) -> None:
        create(self._admin, KafkaLog(self._config), topics)

    def delete_topic(self, name: str) -> None:
        self._topics.remove(name)
        delete(self._admin, [name])

    def trim(self, name: TopicPartition, first: int) -> None:
        asked = [confluent_kafka.TopicPartition(name.topic, name.partition, first)]
        for future in self._admin.delete_records(asked).values():
            future.result(120)

    def expel(self, member: Member) -> None:
        """Leaves the group in the member's name. librdkafka's own thread keeps a stalled member alive for ever."""
        for consumer in member.log.consumers:
            assert isinstance(consumer.inner, KafkaConsumer)
            leave_group(self._config.bootstrap, self.prefix + GROUP, consumer.inner._consumer.memberid())

    @contextmanager
    def away(self) -> Iterator[None]:
        freeze(self._broker)
        try:
            yield
        finally:
            os.kill(self._broker, signal.SIGCONT)

    def until_noticed(self) -> None:
        member = self.members[-1]
        wait_until(lambda: "step" in member.context.health.failing(), "the runner noticing")

    @contextmanager
    def registry_down(self) -> Iterator[None]:
        """Killed; and when it is back, it has the ids that were written meanwhile."""
        subjects = [load_subjects()[name] for name in (RECEIVED, VALIDATED)]
        self._stack.kill("registry")
        with Registry(self._stack.config.section("registry", Settings).url) as registry:
            try:
                with pytest.raises(RegistryAway):
                    registry.compatibility()
                yield
                with pytest.raises(RegistryAway):
                    registry.compatibility()
            finally:
                self._stack.up(("registry",))
            for subject in subjects:
                found = registry.find(subject.latest)
                assert found is not None
                assert found.id == self.ids.of(subject.latest)

    def close(self) -> None:
        super().close()
        delete(self._admin, self._topics)


def leave_group(bootstrap: str, group: str, member: str) -> None:
    """ConsumerGroupHeartbeat, key 68 version 0, with the epoch -1 of a member that leaves (KIP-848)."""

    def text(value: str) -> bytes:
        return bytes([len(value) + 1]) + value.encode()

    header = struct.pack(">hhih", 68, 0, 1, -1) + b"\0"
    nothing = b"\0"
    body = text(group) + text(member) + struct.pack(">i", -1) + nothing * 2 + struct.pack(">i", -1) + nothing * 4
    host, _, port = bootstrap.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(struct.pack(">i", len(header + body)) + header + body)
        answer = connection.recv(4096)
    (error,) = struct.unpack_from(">h", answer, 4 + 4 + 1 + 4)
    assert error == 0, f"the broker answered {error} to a member that leaves"


@pytest.fixture
def bench(stack: RunningStack) -> Iterator[Bench]:
    made = KafkaBench(stack)
    yield made
    made.close()


class TestRunnerOnKafka(RunnerSuite):
    pass
