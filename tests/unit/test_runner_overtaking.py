"""Decisions have one topic for all lanes: within it, what is urgent is begun first, and a study keeps its order."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from schemas import Lane, load_topics
from streams.clock import Clock
from streams.config import Config, Site
from streams.events import SUBJECTS, InferenceResult, Meta, ModelRef, ObjectRef, Provenance, StudyRevision, Timings
from streams.generation import StepIdentity, of_facts
from streams.log import TopicPartition
from streams.memory_log import MemoryLog
from streams.memory_store import MemoryStore
from streams.runner import Runner
from streams.runner_settings import RunnerSettings
from streams.service import Context
from streams.step import Done, Input, Outcome, RetryLater
from streams.wire import SchemaIds, decode, encode
from tests.hooked_log import HookedLog, Hooks
from tests.waiting import wait_until

GROUP = "ai"
REVISIONS, RESULTS, RETRY = SUBJECTS[StudyRevision], SUBJECTS[InferenceResult], f"imaging.retry.{GROUP}"
ONE_AT_A_TIME = RunnerSettings(threads=1, batch_max=1, deadline_s=5.0, park_wait_s=0.0)
WHEN = datetime(2026, 11, 2, tzinfo=UTC)
FACTS = Provenance(step="test", build="0", generation=0, config_digest="")

Seen = list[tuple[str, int]]


class Slowly:
    """Works on one revision after another, as the test lets it. The first of `parked` has to wait once."""

    name = GROUP

    def __init__(self, parked: str) -> None:
        self.begun: Seen = []
        self.go_on = threading.Semaphore(0)
        self._parked = {parked}

    def __call__(self, batch: Sequence[Input[StudyRevision]], clock: Clock) -> Sequence[Outcome]:
        return [self._one(item.event) for item in batch]

    def _one(self, event: StudyRevision) -> Outcome:
        self.begun.append((event.study_uid, event.revision))
        assert self.go_on.acquire(timeout=30)
        if event.study_uid in self._parked:
            self._parked.clear()
            return RetryLater("later", "subject", attempts_max=3)
        return Done.emit(result(event))


class World:
    """One partition of each topic, one runner with one thread."""

    def __init__(self, parked: str = "") -> None:
        self._log = MemoryLog()
        topics = (*load_topics().read_by(GROUP), f"imaging.deadletter.{GROUP}", *load_topics().physical(RESULTS))
        for topic in topics:
            self._log.create_topic(topic, 1)
        self.read: Counter[str] = Counter()
        log = HookedLog(self._log, "", Hooks(polled=lambda found: self.read.update(record.topic for record in found)))
        self.step = Slowly(parked)
        site = Site(tenant="t", site="s")
        self._context = Context(GROUP, Config(Path(), "", {}), site, log, MemoryStore(), SchemaIds())
        runner = Runner(self._context, self.step, StepIdentity(GROUP, "0", 1, "c" * 64), ONE_AT_A_TIME)
        self._thread = threading.Thread(target=runner.run, daemon=True)

    def send(self, study: str, number: int, lane: Lane = "routine") -> None:
        event = revision(study, number, lane)
        self._log.producer().send(encode(event, SchemaIds(), source="test")).result(10)

    def start(self) -> None:
        """Until the first revision is begun; what is sent after that waits."""
        self._thread.start()
        wait_until(lambda: self.step.begun, "the first being begun")

    def let(self, begun: int) -> Seen:
        """One after another ends, until so many are begun."""
        self.step.go_on.release(begun - len(self.step.begun))
        wait_until(lambda: len(self.step.begun) == begun, f"{begun} being begun")
        return self.step.begun

    def emitted(self) -> Seen:
        """By lane, the most urgent first: each has its own topic."""
        names = [TopicPartition(topic, 0) for topic in load_topics().physical(RESULTS)]
        records = [record for name, part in self._log.bounds(names).items() for record in self._log.read(name, *part)]
        events = [event for event in map(decode, records) if isinstance(event, InferenceResult)]
        return [(event.study_uid, event.revision or 0) for event in events]

    def committed(self) -> int | None:
        name = TopicPartition(REVISIONS, 0)
        return self._log.committed(GROUP, [name])[name]

    def stop(self) -> None:
        self._context.stopping.set()
        self.step.go_on.release(50)
        self._thread.join(60)
        assert not self._thread.is_alive()


def _meta(event_id: str, lane: Lane, subject: str) -> Meta:
    return Meta(event_id=event_id, tenant="t", site="s", lane=lane, subject=subject, occurred_at=WHEN)


def revision(study: str, number: int, lane: Lane) -> StudyRevision:
    subject = f"{study}/{number}"
    return StudyRevision(
        meta=_meta(of_facts("revisions").event_id("t", subject, 0), lane, subject),
        provenance=FACTS,
        study_uid=study,
        revision=number,
        instance_count=1,
        set_digest="0" * 64,
        manifest=ObjectRef(tenant="t", store="hot", key="t/derived/x", length=2, size=2, sha256="0" * 64),
        covers={},
        first_received_at=WHEN,
        last_received_at=WHEN,
    )


def result(of: StudyRevision) -> InferenceResult:
    return InferenceResult(
        meta=_meta(of_facts("ai.test").event_id("t", of.meta.subject, 0), of.meta.lane, of.meta.subject),
        provenance=FACTS,
        study_uid=of.study_uid,
        revision=of.revision,
        input_digest="0" * 64,
        input_count=1,
        outcome="analysed",
        model=ModelRef(name="m", version="1", digest="", card_digest="", backend="code"),
        timings=Timings(waited_ms=0, read_ms=0, prepared_ms=0, inferred_ms=0, described_ms=0),
    )


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.stop()


def test_stat_is_begun_and_said_before_what_waits_in_its_partition(world: World) -> None:
    for study in ("1.1", "1.2", "1.3"):
        world.send(study, 1)
    world.start()
    world.send("1.4", 1, "stat")
    wait_until(lambda: world.read[REVISIONS] == 4, "all being read")
    assert world.let(3) == [("1.1", 1), ("1.4", 1), ("1.2", 1)]
    wait_until(lambda: world.emitted() == [("1.4", 1), ("1.1", 1)], "its result, while others wait")
    wait_until(lambda: world.committed() == 1, "a commit that leaves open what is before it")


def test_a_study_keeps_its_order_whatever_is_begun_first(world: World) -> None:
    for study, number, lane in (("1.1", 1, "routine"), ("1.2", 1, "routine"), ("1.2", 2, "stat")):
        world.send(study, number, lane)
    world.start()
    assert world.let(3) == [("1.2", 2), ("1.1", 1), ("1.2", 1)]
    wait_until(lambda: world.committed() == 1, "the first being done")
    assert world.emitted() == [("1.1", 1)], "the second revision waits for the first"
    world.step.go_on.release()
    wait_until(lambda: world.committed() == 3, "all being done")
    assert sorted(world.emitted()) == [("1.1", 1), ("1.2", 1), ("1.2", 2)]


def test_what_was_parked_is_as_urgent_as_it_was() -> None:
    world = World(parked="1.9")
    world.send("1.9", 1, "stat")
    world.start()
    for study in ("1.1", "1.2"):
        world.send(study, 1)
    wait_until(lambda: world.read[REVISIONS] == 3, "all being read")
    world.let(2)
    wait_until(lambda: world.read[RETRY] == 1, "the urgent one being back")
    assert world.let(3) == [("1.9", 1), ("1.1", 1), ("1.9", 1)]
    world.stop()
