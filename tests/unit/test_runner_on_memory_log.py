"""The runner's conformance suite on the fake log."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from msgspec import structs

from streams.log import Delivery, Log, TopicPartition
from streams.memory_log import MemoryLog
from streams.stop import Stop
from streams.wire import Message, SchemaIds
from tests.hooked_log import Hooks
from tests.logged import lines
from tests.runner_bench import GROUP, PARTITIONS, QUICK, RECEIVED, VALIDATED, Bench, Member, arrivals
from tests.runner_suite import RunnerSuite, StoreThatIsAway, kept
from tests.waiting import wait_until


class MemoryBench(Bench):
    ids = SchemaIds({(name, 1): number for number, name in enumerate((RECEIVED, VALIDATED), start=1)})

    def __init__(self, log: MemoryLog | None = None) -> None:
        self._log = log or MemoryLog()
        super().__init__()

    def inner(self) -> Log:
        return self._log

    def make_topic(self, name: str, partitions: int) -> None:
        self._log.create_topic(name, partitions)

    def delete_topic(self, name: str) -> None:
        self._log.delete_topic(name)

    def trim(self, name: TopicPartition, first: int) -> None:
        self._log.trim(name, first)

    def lose(self, lost: Delivery) -> None:
        """As a damaged segment does."""
        held = self._log.partition(TopicPartition(lost.topic, lost.partition))
        held.records = [record for record in held.records if record.offset != lost.offset]

    def expel(self, member: Member) -> None:
        for consumer in member.log.consumers:
            self._log.expire(self.prefix + GROUP, consumer.inner)

    @contextmanager
    def away(self) -> Iterator[None]:
        self._log.away = True
        try:
            yield
        finally:
            self._log.away = False

    def until_noticed(self) -> None:
        member = self.members[-1]
        wait_until(lambda: "log" in member.context.health.failing(), "the runner noticing")

    def away_for_one_record(self) -> Hooks:
        """The first that is sent fails, the next would not."""
        first = [True]

        def before_send(_: Message) -> None:
            self._log.away, first[0] = first[0], False

        def after_send(_: Message) -> None:
            self._log.away = False

        return Hooks(before_send, after_send)

    @contextmanager
    def registry_down(self) -> Iterator[None]:
        """The fake log is of one process and has no registry: what it can show is that nobody asks for one."""
        with pytest.MonkeyPatch.context() as cut:
            cut.setattr(socket, "socket", _no_socket)
            yield


def _no_socket(*_: object, **__: object) -> socket.socket:
    raise AssertionError("a connection was wanted while records flowed")


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = MemoryBench()
    yield made
    made.close()


class TestRunnerOnMemoryLog(RunnerSuite):
    pass


def test_what_is_ready_beside_a_record_that_failed_waits_for_it(bench: MemoryBench) -> None:
    events = arrivals(1, 10)
    bench.send(events)
    bench.member(settings=structs.replace(QUICK, threads=1, batch_max=10), hooks=bench.away_for_one_record())
    bench.until_done()
    bench.check(events)


def test_a_record_that_the_log_leaves_out_stops_the_runner(bench: MemoryBench) -> None:
    sent = bench.send(arrivals(1, 3))
    bench.lose(sent[1])
    error = bench.member().ended()
    assert isinstance(error, Stop)
    assert "offset 2 came where 1 is the next" in error.reason
    name = TopicPartition(RECEIVED, sent[0].partition)
    assert bench.log.committed(GROUP, [name])[name] in (None, 0, 1)


def test_a_partition_that_waits_says_so_less_and_less_often(bench: MemoryBench, written: io.StringIO) -> None:
    store = StoreThatIsAway(kept(bench))
    store.away.set()
    bench.send(arrivals(6, 1))
    bench.member(store=store)

    def said() -> dict[int, list[int]]:
        waits = [line for line in lines(written) if line["event"] == "partition_waits"]
        return {number: [one["times"] for one in waits if one["partition"] == number] for number in range(PARTITIONS)}

    wait_until(lambda: any(times and times[-1] >= 8 for times in said().values()), "a partition that waited often")
    store.away.clear()
    bench.until_done()
    assert all(times == [1 << number for number in range(len(times))] for times in said().values())
