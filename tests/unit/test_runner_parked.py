"""A parked record that waits is never committed over: the retry topic is not done in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace

import pytest

from streams import runner_outcomes
from streams.backoff import Backoff
from streams.log import Delivery, TopicPartition
from streams.memory_log import MemoryLog, MemoryProducer
from streams.parking import parked
from streams.runner_settings import RunnerSettings
from streams.step import RetryLater
from streams.wire import Message, Record, SchemaIds, decode, encode
from tests.hooked_log import everything
from tests.runner_bench import CLOCK, DEAD_LETTERS, GROUP, RECEIVED, RETRY, VALIDATED, Member, arrivals
from tests.unit.test_runner_on_memory_log import MemoryBench
from tests.waiting import wait_until

# The partition that a second member is given.
PARTITION = 1
HASTY = RunnerSettings(threads=2, batch_max=1, deadline_s=0.3)


@pytest.fixture
def bench() -> Iterator[MemoryBench]:
    made = MemoryBench()
    yield made
    made.close()


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[Message]:
    """What the step wrote; none of it is acknowledged."""
    seen: list[Message] = []
    send = MemoryProducer.send

    def unacknowledged(producer: MemoryProducer, message: Message) -> Future[Delivery]:
        if not message.topic.endswith(VALIDATED):
            return send(producer, message)
        seen.append(message)
        return Future()

    monkeypatch.setattr(MemoryProducer, "send", unacknowledged)
    return seen


def started(bench: MemoryBench, written: list[Message]) -> Member:
    """A runner with two parked records of one partition: the first waits, the second is not acknowledged."""
    for wait_s in (120.0, 0.0):
        (delivery,) = bench.write([parked(_received(), GROUP, "absent", CLOCK.now(), attempt=1, wait_s=wait_s)])
        assert delivery.partition == PARTITION
    member = bench.member(settings=HASTY)
    wait_until(lambda: len(written) == 1, "the second record being written")
    return member


def _received() -> Record:
    """One of a study whose key is in that partition."""
    while True:
        message = encode(arrivals(1, 1)[0], SchemaIds(), source="test")
        probe = MemoryLog()
        probe.create_topic(message.topic, 3)
        delivery = probe.append(message)
        if delivery.partition == PARTITION:
            return Record(RECEIVED, "id", PARTITION, 0, 0, message.key, message.value, message.headers)


def committed(bench: MemoryBench) -> int | None:
    name = TopicPartition(RETRY, PARTITION)
    return bench.log.committed(GROUP, [name])[name]


def test_sigterm_does_not_commit_over_a_parked_record_that_waits(bench: MemoryBench, written: list[Message]) -> None:
    member = started(bench, written)
    member.stop()
    assert committed(bench) in (None, 0)


def test_a_revoke_does_not_commit_over_a_parked_record_that_waits(bench: MemoryBench, written: list[Message]) -> None:
    started(bench, written)
    taken: list[TopicPartition] = []

    def on_assign(names: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        taken.extend(names)
        return {}

    def is_taken() -> bool:
        other.poll(10, 0.05)
        return TopicPartition(RETRY, PARTITION) in taken

    other = bench.log.consumer(GROUP, [RETRY], on_assign, lambda *_: None, co_partitioned=False)
    wait_until(is_taken, "the other member having the partition")
    assert committed(bench) in (None, 0)
    other.close()


def test_what_has_not_got_its_turn_for_long_lets_others_of_its_partition_by(
    bench: MemoryBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_outcomes, "_TURN", Backoff(0.001, 0.002))
    behind, tries = _received(), Counter[str]()
    name = decode(behind).meta.subject

    def decide(item: object) -> RetryLater | None:
        subject = item.event.meta.subject  # type: ignore[attr-defined]
        tries[subject] += 1
        return None if subject == name else RetryLater("it is being told", "turn", 2**31)

    def write(record: Record) -> None:
        bench.write([parked(record, GROUP, "it is being told", CLOCK.now(), attempt=1, wait_s=0.0)])

    for _ in range(4):
        write(_received())
    member = bench.member(decide, RunnerSettings(threads=2, batch_max=1, deadline_s=0.3, in_flight_max=4))
    wait_until(lambda: len(tries) == 4 and min(tries.values()) > 1, "each having several turns")
    write(behind)
    wait_until(lambda: len(bench.verdicts()) == 1, "who is behind them")
    member.stop()
    assert everything(bench.log, DEAD_LETTERS) == []


@pytest.mark.parametrize("digits", ["9" * 16, "9" * 400, "9" * 5000, "\u0663"], ids=["16", "400", "5000", "not ASCII"])
@pytest.mark.parametrize("name", ["retry_not_before_ms", "retry_attempt", "origin_offset"])
def test_a_parked_record_with_an_impossible_number_is_a_dead_letter(bench: MemoryBench, name: str, digits: str) -> None:
    good = parked(_received(), GROUP, "absent", CLOCK.now(), attempt=1, wait_s=0.0)
    bench.write([replace(good, headers=(*good.headers, (name, digits.encode())))])
    member = bench.member()
    wait_until(lambda: everything(bench.log, DEAD_LETTERS) or member.error, "what becomes of it")
    member.stop()
    (dead,) = everything(bench.log, DEAD_LETTERS)
    assert name in (dead.header("reason") or "")
