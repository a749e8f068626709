"""A small archive for tests of tiering: studies in a hot store, members of the group, and a clock moved by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from confluent_kafka import murmur2

from consumers.tiering.__main__ import tiering
from consumers.tiering.config import Settings
from consumers.tiering.policy import Policy, load_policy
from consumers.tiering.state import Studies
from schemas import load_topics
from streams.clock import SystemClock
from streams.deciding import Deciding
from streams.events import (
    SUBJECTS,
    AccessRead,
    Event,
    HoldCommand,
    Meta,
    ObjectRef,
    ProtectedNote,
    Provenance,
    StudyRevision,
    TierCommand,
    TierMoved,
)
from streams.health import Health
from streams.identity import derived_key, event_id, original_key, partition_key
from streams.log import TopicPartition
from streams.memory_log import MemoryLog
from streams.memory_store import MemoryStore
from streams.revisions.step import manifest_of, set_digest
from streams.s3 import S3Store
from streams.step import NewObject, Stored
from streams.wire import Message, Record, SchemaIds, decode, encode
from tests.hooked_log import HookedLog, Hooks
from tests.waiting import wait_until
from tests.worlds import context_of

E = TypeVar("E", bound=Event)

PROVENANCE = Provenance(step="test", build="0", generation=0, config_digest="")
TENANT = "hospital"
PARTITIONS = 3
START = datetime(2026, 1, 1, 8, tzinfo=UTC)
POLICY = load_policy()
MOVED, HOLDS = "imaging.tier.moved", "imaging.hold.command"


def days(number: float) -> datetime:
    """So many days after the first study was received."""
    return START + timedelta(days=number)


@dataclass
class HandClock:
    """Time moves when the test says so; seconds that never go back go on by themselves, a little at each question."""

    day: float = 0.0
    seconds: float = 0.0

    def now(self) -> datetime:
        return days(self.day)

    def monotonic(self) -> float:
        self.seconds += 0.05
        return self.seconds + self.day * 86400


class WatchedStore(MemoryStore):
    """`before` and `after` are called with what is done ('create', 'read', 'exists', 'delete') and to which store."""

    def __init__(self) -> None:
        super().__init__()
        self.before: Callable[[str, str], None] = lambda *_: None
        self.after: Callable[[str, str], None] = lambda *_: None

    def create(self, new: NewObject) -> Stored:
        self.before("create", new.store)
        stored = super().create(new)
        self.after("create", new.store)
        return stored

    def read(self, ref: ObjectRef) -> bytes:
        self.before("read", ref.store)
        data = super().read(ref)
        self.after("read", ref.store)
        return data

    def exists(self, ref: ObjectRef) -> bool:
        self.before("exists", ref.store)
        return super().exists(ref)

    def delete(self, ref: ObjectRef) -> bool:
        self.before("delete", ref.store)
        done = super().delete(ref)
        self.after("delete", ref.store)
        return done


@dataclass
class Member:
    """One process of the service."""

    deciding: Deciding[Studies]
    log: HookedLog
    health: Health

    def turn(self, times: int = 1) -> None:
        for _ in range(times):
            self.deciding.turn(0.0)

    def kill(self) -> None:
        """Nothing of it is written from now on; what its threads do meanwhile, they do."""
        self.log.kill()
        self.deciding._acting.close()


def study_uid(study: int) -> str:
    return f"2.25.{1000 + study}"


def data_of(study: int, image: int) -> bytes:
    return f"{study}/{image}".encode() * 20


def digest_of(study: int, image: int) -> str:
    return hashlib.sha256(data_of(study, image)).hexdigest()


def key_of(study: int, image: int) -> str:
    return original_key(TENANT, study_uid(study), "2.25.1", f"2.25.{image + 1}", digest_of(study, image))


@dataclass
class World:
    log: MemoryLog | HookedLog
    store: WatchedStore | S3Store = field(default_factory=WatchedStore)
    clock: HandClock | SystemClock = field(default_factory=HandClock)
    policy: Policy = POLICY
    images: dict[int, set[int]] = field(default_factory=dict)
    said: int = 0

    def __post_init__(self) -> None:
        self.producer = self.log.producer()

    def member(self, checkpoint_every: int = 20_000, **settings: float) -> Member:
        log = HookedLog(self.log, "", Hooks())
        context = context_of("tiering", TENANT, log, self.store, self.clock)
        chosen = Settings(http_port=0, threads=2, studies_at_once=3, checkpoint_every=checkpoint_every)
        return Member(tiering(context, chosen, self.policy), log, context.health)

    # What happens.

    def receive(self, study: int, *images: int) -> None:
        """The images are in the hot store, and the study has a revision that lists them and those before."""
        held = self.images.setdefault(study, set())
        for image in images:
            self.store.create(NewObject(TENANT, "hot", key_of(study, image), data_of(study, image)))
        held.update(images)
        digests = [digest_of(study, image) for image in held]
        number = len([event for event in self.events(StudyRevision) if event.study_uid == study_uid(study)]) + 1
        name = f"{study_uid(study)}/{number}"
        manifest = NewObject(TENANT, "hot", derived_key(TENANT, f"manifest-{name}"), manifest_of(digests))
        revision = StudyRevision(
            meta=self.meta(name),
            provenance=PROVENANCE,
            study_uid=study_uid(study),
            revision=number,
            instance_count=len(held),
            set_digest=set_digest(digests),
            manifest=self.store.create(manifest).ref,
            covers={},
            first_received_at=START,
            last_received_at=self.clock.now(),
        )
        self.write(revision)

    def read(self, study: int) -> None:
        at = self.clock.now()
        self.write(
            AccessRead(
                meta=self.meta(f"read-{study}"),
                provenance=PROVENANCE,
                study_uid=study_uid(study),
                reads=1,
                first_at=at,
                last_at=at,
                reader="viewer",
            )
        )

    def hold(self, study: int, name: str = "court", *, placed: bool = True) -> None:
        ref = ObjectRef(tenant=TENANT, store="hot", key="why", length=1, size=1, sha256="0" * 64)
        self.write(
            HoldCommand(
                meta=self.meta(f"hold-{study}"),
                provenance=PROVENANCE,
                study_uid=study_uid(study),
                hold_id=name,
                action="placed" if placed else "released",
                actor="somebody",
                why=ProtectedNote(block_id="0" * 64, object=ref),
            )
        )

    def command(self, now: datetime, study: int | None = None) -> None:
        """To every partition, as `radstream tier run` does."""
        uid = None if study is None else study_uid(study)
        event = TierCommand(
            meta=self.meta("command"), provenance=PROVENANCE, now=now, simulated=True, actor="somebody", study_uid=uid
        )
        message = encode(event, SchemaIds(), source="test")
        for number in range(PARTITIONS):
            self.producer.send(Message(message.topic, key_for(number), message.value, message.headers)).result()

    def restore(self, study: int) -> None:
        """As a reader of the gateway asks."""
        event = TierCommand(
            meta=self.meta(f"restore-{study}"),
            provenance=PROVENANCE,
            now=self.clock.now(),
            simulated=False,
            actor="reader",
            study_uid=study_uid(study),
            ask="restore",
        )
        self.write(event)

    def meta(self, subject: str) -> Meta:
        self.said += 1
        return Meta(
            event_id=event_id(TENANT, "test", subject, self.said, 0),
            tenant=TENANT,
            site="north",
            lane="routine",
            subject=subject,
            occurred_at=self.clock.now(),
        )

    def write(self, event: Event) -> None:
        self.producer.send(encode(event, SchemaIds(), source="test")).result()

    def put(self, store: str, key: str, data: bytes) -> None:
        self.store.create(NewObject(TENANT, store, key, data))

    def drop(self, store: str, key: str) -> None:
        """A copy is lost."""
        self.store._held.pop((store, key), None)

    def rot(self, store: str, key: str) -> None:
        """The disk gives other bytes back than it was given, under the same version."""
        held = self.store._held[store, key]
        self.store._held[store, key] = replace(held, data=bytes(len(held.data)))

    def rubbish(self, topic: str, study: int) -> None:
        """A record that is not what its headers say."""
        headers = (("schema_subject", topic.encode()), ("schema_version", b"1"))
        self.log.append(Message(topic, partition_key(TENANT, study_uid(study)), b"\0\0\0\0\0rubbish", headers))

    def dead_letters(self) -> int:
        dead = TopicPartition("imaging.deadletter.tiering", 0)
        return self.log.bounds([dead])[dead][1]

    # What came of it.

    def settle(self, *members: Member) -> None:
        """Until nobody has anything to do, and every command is done."""

        def still() -> bool:
            for _ in range(100):
                for member in members:
                    member.deciding.turn(0.002)  # its threads may have something soon
                if self.is_committed() and not any(member.deciding._acting.busy for member in members):
                    return True
            return False

        wait_until(still, "nothing to be done")

    def run(self, member: Member, day: float) -> None:
        """A command with a simulated clock, until it is done."""
        self.command(days(day))
        self.settle(member)

    def is_committed(self) -> bool:
        for member_topic in load_topics().read_by("tiering"):
            names = [TopicPartition(member_topic, number) for number in range(PARTITIONS)]
            committed = self.log.committed("tiering", names)
            if any((committed[name] or 0) < end for name, (_, end) in self.log.bounds(names).items()):
                return False
        return True

    def events(self, kind: type[E]) -> list[E]:
        """Every record of a topic, zombies' and second tries included."""
        names = [TopicPartition(SUBJECTS[kind], number) for number in range(PARTITIONS)]
        records = [
            decode(record)
            for name, (first, end) in self.log.bounds(names).items()
            for record in self.log.read(name, first, end)
        ]
        return [event for event in records if isinstance(event, kind)]

    def moves(self, study: int) -> list[TierMoved]:
        """The decisions that count: the first of each number, in the order of the log."""
        first: dict[int, TierMoved] = {}
        for event in self.events(TierMoved):
            if event.study_uid == study_uid(study):
                first.setdefault(event.seq, event)
        return list(first.values())

    def phases(self, study: int) -> list[str]:
        """For people: `backup planned`, `warm released`."""
        return [f"{event.target} {event.phase}" for event in self.moves(study)]

    def where(self, study: int, image: int = 0) -> set[str]:
        """The stores that have the bytes of an image, whole."""
        found = set()
        for name in self.store.names:
            data = self.store.find(TENANT, name, key_of(study, image))
            if data is not None and data.data == data_of(study, image):
                found.add(name)
        return found

    def check(self) -> None:
        """No number is missing, every image has the promised copies where the last decision says, and no bytes are
        anywhere but there."""
        for study, images in self.images.items():
            moves = self.moves(study)
            assert [event.seq for event in moves] == list(range(1, len(moves) + 1))
            items = {item.digest: item for item in moves[-1].items}
            for image in images:
                verified = {copy.store for copy in items[digest_of(study, image)].copies if copy.verified}
                assert verified <= self.where(study, image)
                assert len(verified) >= self.policy.copies


def moved(message: Message) -> TierMoved:
    """The decision in a record that is being written."""
    event = decode(Record(MOVED, "", 0, 0, 0, message.key, message.value, message.headers))
    assert isinstance(event, TierMoved)
    return event


def key_for(number: int) -> bytes:
    """A key of a partition number."""
    return next(key for key in (b"%d" % count for count in range(1000)) if murmur2(key, PARTITIONS) == number)


def new_world() -> World:
    log, topics = MemoryLog(), load_topics()
    for name, topic in topics.topics.items():
        for physical in topics.physical(name):
            log.create_topic(physical, PARTITIONS if topic.co_partitioned else 1)
    return World(log)
