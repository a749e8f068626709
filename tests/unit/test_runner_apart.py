"""What takes long and nobody waits for has a thread of its own: an image is not held up by studies that are read."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from schemas import load_topics
from streams.clock import Clock
from streams.config import Config, Site
from streams.events import SUBJECTS, Event, InstanceReceived, StudyRevision
from streams.generation import StepIdentity
from streams.log import TopicPartition
from streams.memory_log import MemoryLog
from streams.memory_store import MemoryStore
from streams.parking import parked
from streams.runner import Runner
from streams.runner_settings import RunnerSettings
from streams.service import Context
from streams.step import Done, Input, Outcome
from streams.wire import Record, SchemaIds, encode
from tests.event_streams import Hospital
from tests.unit.test_runner_overtaking import revision
from tests.waiting import wait_until

GROUP = "validate"
REVISIONS = SUBJECTS[StudyRevision]
STUDIES = 6


class Reading:
    """Reads studies until the test lets it; an image is done at once."""

    name = GROUP

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.studies, self.images = 0, 0
        self.at_once, self.most = 0, 0
        self._lock = threading.Lock()

    def __call__(self, batch: Sequence[Input[Event]], clock: Clock) -> Sequence[Outcome]:
        return [self._one(item.event) for item in batch]

    def _one(self, event: Event) -> Outcome:
        if not isinstance(event, StudyRevision):
            self.images += 1
            return Done()
        with self._lock:
            self.studies, self.at_once = self.studies + 1, self.at_once + 1
            self.most = max(self.most, self.at_once)
        assert self.go_on.wait(timeout=30)
        with self._lock:
            self.at_once -= 1
        return Done()


class World:
    """Studies of urgent images in the log, and a runner with two threads that begins with them."""

    def __init__(self, studies: int = STUDIES) -> None:
        self.log, self.step, self._hospital = MemoryLog(), Reading(), Hospital()
        for topic in (*load_topics().read_by(GROUP), f"imaging.deadletter.{GROUP}"):
            self.log.create_topic(topic, 6)
        for number in range(studies):
            self._send(revision(f"1.{number}", 1, "stat"))
        site = Site(tenant="t", site="s")
        self._context = Context(GROUP, Config(Path(), "", {}), site, self.log, MemoryStore(), SchemaIds())
        settings = RunnerSettings(threads=2, deadline_s=600.0)
        runner = Runner(self._context, self.step, StepIdentity(GROUP, "0", 1, "c" * 64), settings, apart=(REVISIONS,))
        self._thread = threading.Thread(target=runner.run, daemon=True)

    def start(self) -> None:
        self._thread.start()
        wait_until(lambda: self.step.studies, "the first study being read")

    def images(self, count: int) -> None:
        for _ in range(count):
            self._send(self._hospital.received(self._hospital.uid(), self._hospital.uid(), {}))

    def image(self, study_uid: str) -> InstanceReceived:
        return self._hospital.received(study_uid, self._hospital.uid(), {})

    def park(self, event: Event) -> None:
        made = encode(event, SchemaIds(), source="test")
        record = Record(made.topic, self.log.topic_id(made.topic), 0, 0, 0, b"one key", made.value, made.headers)
        message = parked(record, GROUP, "absent", self._context.clock.now(), attempt=1, wait_s=0)
        self.log.producer().send(message).result(10)

    def _send(self, event: Event) -> None:
        self.log.producer().send(encode(event, SchemaIds(), source="test")).result(10)

    def stop(self) -> None:
        self._context.stopping.set()
        wait_until(lambda: not self._thread.is_alive(), "the end of the runner")


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    made.start()
    yield made
    made.step.go_on.set()
    made.stop()


def test_an_image_does_not_wait_for_studies_that_are_read(world: World) -> None:
    world.images(3)
    step = world.step
    wait_until(lambda: step.images == 3, "the images being done while studies are read")
    assert (step.studies, step.most) == (1, 1)
    step.go_on.set()
    wait_until(lambda: sum(_committed(world.log, REVISIONS).values()) == STUDIES, "all being read")
    assert (step.studies, step.most) == (STUDIES, 1)


def test_nor_does_one_that_was_parked_wait_for_more_urgent_studies_that_were(world: World) -> None:
    """Both are in the group's retry topic, where the most urgent is begun first: by each thread of its own kind."""
    step = world.step
    for number in range(2):
        world.park(revision("1.0", 2 + number, "stat"))
    world.park(world.image("1.0"))
    wait_until(lambda: step.images == 1, "the parked image being done while studies are read")
    assert step.studies == 1


def test_nor_does_a_change_of_members_wait_for_them(world: World) -> None:
    world.images(1)
    wait_until(lambda: world.step.images == 1, "the image being done while a study is read")
    world.stop()
    assert sum(_committed(world.log, SUBJECTS[InstanceReceived]).values()) == 1
    assert sum(_committed(world.log, REVISIONS).values()) == 0, "whoever comes next reads it again"


def test_nor_does_it_wait_for_one_that_was_parked() -> None:
    world = World(studies=0)
    for number in range(2):
        world.park(revision("1.0", 1 + number, "stat"))
    world.park(world.image("1.0"))
    world.start()
    wait_until(lambda: world.step.images == 1, "the parked image being done while a study is read")
    world.stop()
    assert sum(_committed(world.log, f"imaging.retry.{GROUP}").values()) == 0, "whoever comes next reads it again"
    world.step.go_on.set()


def _committed(log: MemoryLog, topic: str) -> dict[TopicPartition, int]:
    names = [TopicPartition(topic, number) for number in range(6)]
    return {name: offset or 0 for name, offset in log.committed(GROUP, names).items()}
