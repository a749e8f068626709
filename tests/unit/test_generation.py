"""A step's generation: the same number for the same code, configuration and models; another for any other."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from streams import generation, service
from streams.clock import SystemClock
from streams.config import Config, Site
from streams.generation import TOPIC, StepIdentity, claim, of_facts
from streams.log import Delivery, LogAway, TopicPartition
from streams.memory_log import MemoryLog, MemoryProducer
from streams.memory_store import MemoryStore
from streams.service import Context
from streams.sizes import CLIENT_BYTES_MAX
from streams.wire import Message, Record, SchemaIds
from tests.waiting import wait_until

HERE = Site(tenant="hospital", site="north")


def log() -> MemoryLog:
    made = MemoryLog()
    made.create_topic(TOPIC, 1)
    return made


def claimed(
    log: MemoryLog,
    step: str = "derive",
    code: int = 1,
    config: str = "c",
    models: tuple[str, ...] = (),
    site: Site = HERE,
) -> StepIdentity:
    return claim(
        log, SchemaIds(), site, SystemClock(), step=step, code_version=code, config_digest=config, models=models
    )


def test_the_first_is_1_and_a_restart_has_it_again() -> None:
    there = log()
    assert [claimed(there).generation for _ in range(3)] == [1, 1, 1]
    assert there.bounds([TopicPartition(TOPIC, 0)])[TopicPartition(TOPIC, 0)] == (0, 1)


def test_code_configuration_and_models_each_make_a_new_one_and_going_back_has_the_old() -> None:
    there = log()
    assert claimed(there).generation == 1
    assert claimed(there, code=2).generation == 2
    assert claimed(there, config="d").generation == 3
    assert claimed(there, models=("m",)).generation == 4
    assert claimed(there).generation == 1


def test_steps_and_tenants_count_for_themselves() -> None:
    there = log()
    assert claimed(there).generation == 1
    assert claimed(there, step="validate").generation == 1
    assert claimed(there, site=Site(tenant="clinic", site="south")).generation == 1


def test_many_at_once_get_one_number_for_each_digest() -> None:
    there = log()
    with ThreadPoolExecutor(16) as pool:
        got = list(pool.map(lambda n: claimed(there, code=n % 4), range(32)))
    by_code = {code: {identity.generation for identity in got[code::4]} for code in range(4)}
    assert all(len(numbers) == 1 for numbers in by_code.values())
    assert sorted(number for numbers in by_code.values() for number in numbers) == [1, 2, 3, 4]


def test_ids_differ_by_generation_and_facts_have_generation_0() -> None:
    there = log()
    first, second = claimed(there), claimed(there, code=2)
    assert first.event_id("hospital", "digest", 0) != second.event_id("hospital", "digest", 0)
    assert first.event_id("hospital", "digest", 0) == claimed(there).event_id("hospital", "digest", 0)
    assert of_facts("dicom_router").generation == 0


def context_on(log: MemoryLog) -> Context:
    return Context("derive", Config(Path(), "", {}), HERE, log, MemoryStore(), SchemaIds())


def awaited(context: Context) -> StepIdentity | None:
    return service.claimed(context, step="derive", code_version=1, config_digest="c")


class Leaderless(MemoryLog):
    """A broker that has just started: it answers, but for a moment nobody leads the partition."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.create_topic(TOPIC, 1)
        self.times = times
        self.context = context_on(self)
        self.said: list[str] = []

    def read(self, partition: TopicPartition, start: int, end: int) -> Iterator[Record]:
        self.said.append(self.context.health.failing().get("log", ""))
        if len(self.said) <= self.times:
            raise LogAway("NOT_LEADER_OR_FOLLOWER")
        return super().read(partition, start, end)


def test_a_service_waits_for_the_log_and_says_so_and_then_has_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_WAIT_S", 0.01)
    log = Leaderless(times=3)
    identity = awaited(log.context)
    assert identity is not None
    assert identity.generation == 1
    assert log.said[:4] == ["", *["the log does not answer; waiting for it"] * 3]
    assert "log" not in log.context.health.failing()


def test_a_service_that_is_to_stop_waits_no_longer() -> None:
    log = Leaderless(times=10**9)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(awaited, log.context)
        wait_until(lambda: log.said, "a first try")
        log.context.stopping.set()
        assert waiting.result(30) is None


class Unanswered(MemoryLog):
    """Takes a record and loses its answer."""

    def producer(
        self, *, linger_ms: int = 5, record_bytes_max: int = CLIENT_BYTES_MAX, patient: bool = False
    ) -> MemoryProducer:
        return Mute(self, record_bytes_max)


class Mute(MemoryProducer):
    def send(self, message: Message) -> Future[Delivery]:
        super().send(message)
        return Future()


def test_a_number_whose_acknowledgement_was_lost_is_found_when_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_WAIT_S", 0.01)
    monkeypatch.setattr(generation, "_ACKNOWLEDGED_S_MAX", 0.01)
    log = Unanswered()
    log.create_topic(TOPIC, 1)
    identity = awaited(context_on(log))
    assert identity is not None
    assert identity.generation == 1
    assert log.bounds([TopicPartition(TOPIC, 0)])[TopicPartition(TOPIC, 0)] == (0, 1)
