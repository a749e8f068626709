"""A small hospital for tests of study revisions: studies, members of the group, and a clock that is moved by hand."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from schemas import Lane, load_topics
from streams.clock import SystemClock
from streams.deciding import Deciding
from streams.decisions import Entities
from streams.emitting import when_quiet
from streams.events import Event, InstanceValidated, StudyRevision
from streams.health import Health
from streams.held import CONTRADICTS, DECISION, HeldImages
from streams.log import TopicPartition
from streams.memory_log import MemoryLog
from streams.memory_store import MemoryStore
from streams.objects import ObjectStore
from streams.revisions.step import Revisions, Seen
from streams.step import NewObject, Stored
from streams.wire import SchemaIds, decode, encode
from tests import held_images
from tests.hooked_log import Crash, HookedLog, Hooks
from tests.instance_events import instance_of, meta_of, provenance_of, received_of, ref_of, validated_of
from tests.worlds import context_of

TENANT = "hospital"
PARTITIONS = 3
QUIET_S = 10.0
START = datetime(2026, 11, 2, 8, tzinfo=UTC)
VALIDATED, REVISION = "imaging.instance.validated", "imaging.study.revision"


@dataclass
class HandClock:
    """Time moves when the test says so."""

    seconds: float = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class CrashingStore(MemoryStore):
    """Dies after an object was created, where it is told to."""

    crash: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    def create(self, new: NewObject) -> Stored:
        stored = super().create(new)
        if self.crash and "/derived/" in new.key:
            self.crash = False
            raise Crash
        return stored


def digest_of(study: int, image: int) -> str:
    return hashlib.sha256(f"{study}/{image}".encode()).hexdigest()


def study_uid(study: int) -> str:
    return f"2.25.{1000 + study}"


@dataclass
class Member:
    """One process of the service."""

    deciding: Deciding[Entities[Seen]]
    log: HookedLog
    health: Health

    def turn(self, times: int = 1) -> None:
        for _ in range(times):
            self.deciding.turn(0.0)

    def kill(self) -> None:
        self.log.kill()


@dataclass
class World:
    log: MemoryLog | HookedLog
    store: ObjectStore = field(default_factory=CrashingStore)
    clock: HandClock | SystemClock = field(default_factory=HandClock)
    quiet_s: float = QUIET_S
    said: dict[int, set[str]] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    decided: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.producer = self.log.producer()

    def member(self, checkpoint_every: int = 5000) -> Member:
        log = HookedLog(self.log, "", Hooks())
        context = context_of("revisions", TENANT, log, self.store, self.clock)
        step = Revisions(self.store, HeldImages(log, self.clock), self.quiet_s)
        return Member(when_quiet(context, step, checkpoint_every=checkpoint_every), log, context.health)

    def say(self, study: int, *images: int, lane: Lane = "routine", generation: int = 1) -> None:
        events = [self.validated(study, image, lane, generation) for image in images]
        self.said.setdefault(study, set()).update(event.instance.digest for event in events)
        self._write(*events)

    def validated(self, study: int, image: int, lane: Lane = "routine", generation: int = 1) -> InstanceValidated:
        digest = digest_of(study, image)
        uids = (study_uid(study), "2.25.1", f"2.25.{image + 1}")
        at = START + timedelta(seconds=image)
        meta = meta_of(digest, "validate", tenant=TENANT, lane=lane, generation=generation, at=at)
        received = received_of(meta, instance_of(uids, digest), ref_of(digest, 1, digest, tenant=TENANT))
        return validated_of(received, meta, provenance_of("validate", generation))

    def hold(self, study: int, *images: int) -> None:
        """The assessment of the study says so."""
        for image in images:
            self._write(held_images.held(self.validated(study, image)))
        self.away.update(digest_of(study, image) for image in images if digest_of(study, image) not in self.decided)

    def reject(self, study: int, *images: int) -> None:
        """A person does, of what was held, and validate says so."""
        for valid in (self.validated(study, image) for image in images):
            rejected = held_images.held(valid, "rejected", DECISION, 0)
            self._write(held_images.decision(valid, "rejected"), rejected)
        self._decided(study, images, away=True)

    def release(self, study: int, *images: int, code: str = CONTRADICTS) -> None:
        """A person does, for this reason, and validate lets it flow."""
        for valid in (self.validated(study, image) for image in images):
            self._write(held_images.decision(valid, "released", code), held_images.let_go(valid))
        self._decided(study, images, away=code != CONTRADICTS)
        self.said.setdefault(study, set()).update(digest_of(study, image) for image in images)

    def _decided(self, study: int, images: Iterable[int], *, away: bool) -> None:
        digests = {digest_of(study, image) for image in images}
        self.decided.update(digests)
        self.away = self.away | digests if away else self.away - digests

    def _write(self, *events: Event) -> None:
        for sent in [self.producer.send(encode(event, SchemaIds(), source="test")) for event in events]:
            sent.result()

    def quiet(self, *members: Member) -> None:
        """Everything that was said is read, then nobody says anything for as long as a study must be quiet."""
        for _ in range(4):
            for member in members:
                member.turn(3)
            self.clock.seconds += QUIET_S
            for member in members:
                member.turn(3)

    def records(self) -> list[StudyRevision]:
        """Every record of the output, zombies' and second tries included."""
        names = [TopicPartition(REVISION, number) for number in range(PARTITIONS)]
        events = [
            decode(record)
            for name, (first, end) in self.log.bounds(names).items()
            for record in self.log.read(name, first, end)
        ]
        return [event for event in events if isinstance(event, StudyRevision)]

    def revisions(self, study: int) -> list[StudyRevision]:
        """The decisions that count: the first of each number, in the order of the log."""
        first: dict[int, StudyRevision] = {}
        for event in self.records():
            if event.study_uid == study_uid(study):
                first.setdefault(event.revision, event)
        return list(first.values())

    def manifest(self, revision: StudyRevision) -> set[str]:
        return set(json.loads(self.store.read(revision.manifest)))

    def uncommitted(self) -> int:
        """How many inputs the group would read again."""
        topics = load_topics().physical(VALIDATED)
        names = [TopicPartition(topic, number) for topic in topics for number in range(PARTITIONS)]
        committed = self.log.committed("revisions", names)
        return sum(end - (committed[name] or 0) for name, (_, end) in self.log.bounds(names).items())

    def check(self, studies: Iterable[int] | None = None) -> None:
        """Revisions have no gap, and the last one holds every instance that was said and is not held."""
        for study in self.said if studies is None else studies:
            revisions = self.revisions(study)
            assert [event.revision for event in revisions] == list(range(1, len(revisions) + 1))
            expected = self.said[study] - self.away
            assert (self.manifest(revisions[-1]) if revisions else set()) == expected
            for before, after in itertools.pairwise(revisions):
                assert self.manifest(before) != self.manifest(after)
                if after.revision not in after.removals.values():
                    assert self.manifest(before) < self.manifest(after)


def new_world() -> World:
    log, topics = MemoryLog(), load_topics()
    for name, topic in topics.topics.items():
        for physical in topics.physical(name):
            log.create_topic(physical, PARTITIONS if topic.co_partitioned else 1)
    return World(log)
