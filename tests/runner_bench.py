"""What the runner's conformance suite stands on: events, a step, runners in threads, and what can befall them."""

from __future__ import annotations

import hashlib
import itertools
import os
import threading
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from msgspec import structs

from schemas import Lane, load_topics
from streams.clock import Clock, SystemClock
from streams.config import Config, Site
from streams.events import InstanceReceived, InstanceValidated, Meta
from streams.generation import StepIdentity
from streams.identity import derived_key
from streams.log import Delivery, Log, TopicPartition
from streams.memory_store import MemoryStore
from streams.objects import ObjectStore
from streams.runner import Runner
from streams.runner_settings import RunnerSettings
from streams.service import Context
from streams.step import Done, Input, NewObject, Outcome, Stored
from streams.wire import Message, SchemaIds, decode, encode
from tests.hooked_log import HookedLog, Hooks, everything
from tests.instance_events import ROUTER, instance_of, meta_of, received_of, ref_of, validated_of
from tests.waiting import DEADLINE_S, wait_until

TENANT = "general"
GROUP = "validate"
CLOCK = SystemClock()
RECEIVED, VALIDATED, QUARANTINED = (f"imaging.instance.{name}" for name in ("received", "validated", "quarantined"))
RETRY, DEAD_LETTERS = f"imaging.retry.{GROUP}", f"imaging.deadletter.{GROUP}"
IDENTITY = StepIdentity(GROUP, "0.1.0", 1, "c" * 64)
PARTITIONS = 3
# Short waits: what is tested is what happens, not how long it takes.
QUICK = RunnerSettings(
    threads=4, batch_max=4, deadline_s=60.0, world_wait_s=0.05, world_wait_s_max=0.5, park_wait_s=0.05
)
# Gives up soon on an acknowledgement.
IMPATIENT = structs.replace(QUICK, acknowledged_s=2.0)

Decide = Callable[[Input[InstanceReceived]], Outcome | None]


class Verdict:
    """A step whose objects differ from run to run, as those of an encoder may. `decide` may decide otherwise."""

    name = GROUP

    def __init__(self, decide: Decide = lambda _: None) -> None:
        self._decide = decide

    def __call__(self, batch: Sequence[Input[InstanceReceived]], clock: Clock) -> Sequence[Outcome]:
        return [self._decide(item) or done(item) for item in batch]


def done(item: Input[InstanceReceived]) -> Done:
    event, made = item.event, verdict_id(item.event)

    def events(stored: tuple[Stored, ...]) -> list[InstanceValidated]:
        meta = _meta(event.meta.subject, GROUP, event.meta.lane, IDENTITY.generation)
        assert meta.event_id == made
        return [structs.replace(validated_of(event, meta, IDENTITY.provenance(item)), object=stored[0].ref)]

    return Done((NewObject(TENANT, "hot", derived_key(TENANT, made), os.urandom(16)),), events)


def verdict_id(event: InstanceReceived) -> str:
    return IDENTITY.event_id(TENANT, event.meta.subject, 0)


def arrivals(studies: int = 6, images: int = 10, lane: Lane = "routine") -> list[InstanceReceived]:
    """Images of several studies, one study after another by turns."""
    names = [f"2.25.{uuid.uuid4().int}" for _ in range(studies)]
    return [_arrival(study, f"{study}.{number}", lane) for number, study in itertools.product(range(images), names)]


def _arrival(study: str, instance: str, lane: Lane) -> InstanceReceived:
    digest = hashlib.sha256(instance.encode()).hexdigest()
    uids = (study, study + ".1", instance)
    ref = ref_of(f"{TENANT}/{digest}", 1, digest, tenant=TENANT)
    return received_of(_meta(digest, ROUTER, lane), instance_of(uids, digest), ref)


def _meta(subject: str, step: str, lane: Lane, generation: int = 0) -> Meta:
    return meta_of(subject, step, tenant=TENANT, site="north", lane=lane, generation=generation, at=CLOCK.now())


@dataclass
class Member:
    """A runner in a thread, as a process would be. `error` is what ended it."""

    context: Context
    log: HookedLog
    runner: Runner
    error: BaseException | None = None
    thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.runner.run()
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            self.error = error
            print(f"the runner ended with {error!r}")  # noqa: T201

    def ended(self) -> BaseException | None:
        """Waits until it has ended, by itself or because it was told to; why, or None."""
        self.thread.join(DEADLINE_S)
        assert not self.thread.is_alive(), f"the runner did not end in {DEADLINE_S:g} s"
        return self.error

    def stop(self) -> None:
        """SIGTERM."""
        self.context.stopping.set()
        assert self.ended() is None

    def crash(self) -> None:
        """The process is gone, and the group notices."""
        self.log.kill()


class Bench(ABC):
    """Topics of one test on a log, and an object store. The conformance suite runs on two.

    `ids` are what a registry gave, as services read them from a file.
    """

    ids = SchemaIds()

    def __init__(self) -> None:
        self.prefix = f"test-{uuid.uuid4().hex[:8]}."
        self.store: ObjectStore = MemoryStore()
        self.members: list[Member] = []
        self.make_topics()
        self.log = HookedLog(self.inner(), self.prefix)
        self._producer = self.log.producer()

    @abstractmethod
    def inner(self) -> Log:
        """A log as one process has it."""

    @abstractmethod
    def make_topic(self, name: str, partitions: int) -> None: ...

    @abstractmethod
    def delete_topic(self, name: str) -> None: ...

    @abstractmethod
    def trim(self, name: TopicPartition, first: int) -> None:
        """Retention removes what is before `first`."""

    @abstractmethod
    def expel(self, member: Member) -> None:
        """The group takes a member for dead, which does not know. Returns when the group has done so."""

    @abstractmethod
    def away(self) -> AbstractContextManager[None]:
        """The log does not answer."""

    @abstractmethod
    def until_noticed(self) -> None:
        """The log has been away for so long that a record was not acknowledged in time."""

    @abstractmethod
    def registry_down(self) -> AbstractContextManager[None]:
        """Nobody answers for the schema registry. On a log that has none: nobody answers at all, by any socket."""

    def make_topics(self) -> None:
        topics = load_topics()
        for name in (*topics.groups[GROUP].reads, VALIDATED, QUARANTINED):
            for physical in topics.physical(name):
                self.make_topic(self.prefix + physical, PARTITIONS)
        for name in (RETRY, DEAD_LETTERS):
            self.make_topic(self.prefix + name, PARTITIONS)

    def close(self) -> None:
        for member in self.members:
            member.context.stopping.set()
        for member in self.members:
            member.thread.join(DEADLINE_S)
        self._producer.close(5.0)

    def member(
        self,
        decide: Decide = lambda _: None,
        settings: RunnerSettings = QUICK,
        hooks: Hooks | None = None,
        store: ObjectStore | None = None,
    ) -> Member:
        """Starts one."""
        log = HookedLog(self.inner(), self.prefix, hooks or Hooks())
        site = Site(tenant=TENANT, site="north")
        context = Context(GROUP, Config(Path(), "", {}), site, log, store or self.store, self.ids)
        member = Member(context, log, Runner(context, Verdict(decide), IDENTITY, settings))
        self.members.append(member)
        return member

    def send(self, events: Iterable[InstanceReceived]) -> list[Delivery]:
        return self.write(encode(event, self.ids, source="test") for event in events)

    def write(self, messages: Iterable[Message]) -> list[Delivery]:
        return [future.result(120.0) for future in [self._producer.send(message) for message in messages]]

    def partitions(self) -> list[TopicPartition]:
        """What the group reads."""
        return [
            TopicPartition(topic, number)
            for topic in load_topics().read_by(GROUP)
            for number in range(self.log.partitions(topic))
        ]

    def lag(self) -> int:
        bounds = self.log.bounds(self.partitions())
        committed = self.log.committed(GROUP, self.partitions())
        return sum(end - (committed[name] or first) for name, (first, end) in bounds.items())

    def until_done(self) -> None:
        wait_until(lambda: self.lag() == 0, "a lag of zero")

    def verdicts(self, lane: Lane = "routine") -> list[InstanceValidated]:
        """Every record with a verdict, duplicates included, in the order of each partition."""
        records = everything(self.log, load_topics().in_lane(VALIDATED, lane))
        return [event for record in records if isinstance(event := decode(record), InstanceValidated)]

    def check(self, events: Sequence[InstanceReceived], lane: Lane = "routine") -> None:
        """Each event had its effect, once, and in the order of its study."""
        found = self.verdicts(lane)
        first: dict[str, InstanceValidated] = {}
        for verdict in found:
            assert first.setdefault(verdict.meta.event_id, verdict).object == verdict.object, "a second effect"
        assert sorted(first) == sorted(verdict_id(event) for event in events)
        assert {key for key, _ in self.store.keys("hot")} >= {derived_key(TENANT, name) for name in first}
        for study in {event.instance.study_uid for event in events}:
            expected = [event.meta.subject for event in events if event.instance.study_uid == study]
            seen = [verdict.meta.subject for verdict in first.values() if verdict.instance.study_uid == study]
            assert seen == expected, "the order of a study was not kept"
