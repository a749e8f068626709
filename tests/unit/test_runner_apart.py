"""What takes long and nobody waits for has a thread of its own: an image is not held up by studies that are read."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from schemas import load_topics
from streams.clock import Clock
from streams.config import Config, Site
from streams.events import SUBJECTS, Event, StudyRevision
from streams.generation import StepIdentity
from streams.log import TopicPartition
from streams.memory_log import MemoryLog
from streams.memory_store import MemoryStore
from streams.runner import Runner
from streams.runner_settings import RunnerSettings
from streams.service import Context
from streams.step import Done, Input, Outcome
from streams.wire import SchemaIds, encode
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


def test_an_image_does_not_wait_for_studies_that_are_read() -> None:
    log, step, hospital = MemoryLog(), Reading(), Hospital()
    for topic in (*load_topics().read_by(GROUP), f"imaging.deadletter.{GROUP}"):
        log.create_topic(topic, 6)
    context = Context(GROUP, Config(Path(), "", {}), Site(tenant="t", site="s"), log, MemoryStore(), SchemaIds())
    identity = StepIdentity(GROUP, "0", 1, "c" * 64)
    runner = Runner(context, step, identity, RunnerSettings(threads=2, deadline_s=5.0), apart=(REVISIONS,))
    producer = log.producer()
    for number in range(STUDIES):
        producer.send(encode(revision(f"1.{number}", 1, "stat"), SchemaIds(), source="test")).result(10)
    thread = threading.Thread(target=runner.run, daemon=True)
    thread.start()
    try:
        wait_until(lambda: step.studies, "the first study being read")
        for _ in range(3):
            image = hospital.received(hospital.uid(), hospital.uid(), {})
            producer.send(encode(image, SchemaIds(), source="test")).result(10)
        wait_until(lambda: step.images == 3, "the images being done while studies are read")
        assert (step.studies, step.most) == (1, 1)
        step.go_on.set()
        wait_until(lambda: step.studies == STUDIES and sum(_committed(log).values()) == STUDIES, "all being read")
        assert step.most == 1
    finally:
        step.go_on.set()
        context.stopping.set()
        thread.join(30)
    assert not thread.is_alive()


def _committed(log: MemoryLog) -> dict[TopicPartition, int]:
    names = [TopicPartition(REVISIONS, number) for number in range(6)]
    return {name: offset or 0 for name, offset in log.committed(GROUP, names).items()}
