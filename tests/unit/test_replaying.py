"""A replay on the fake log: bounded, in a generation and a group of its own, resumed where it stopped."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from confluent_kafka import murmur2
from msgspec import structs

from radstream.errors import Failure
from radstream.replay_run import check_resumable
from schemas import load_topics
from streams import replaying
from streams.backoff import Backoff
from streams.clock import Clock, SystemClock
from streams.config import Config, Site
from streams.events import InstanceReceived, InstanceValidated
from streams.generation import StepIdentity, claim, digest_of, generations, write
from streams.identity import partition_key
from streams.log import Delivery, LogAway, TopicPartition
from streams.memory_group import MemoryConsumer
from streams.memory_log import MemoryLog, MemoryProducer
from streams.memory_store import MemoryStore
from streams.objects import Absent, StoreAway
from streams.replay_publishing import publish
from streams.replaying import Replaying
from streams.replays import TOPIC, KnownReplay, came_to, group_of, known, planned
from streams.runner_settings import RunnerSettings
from streams.service import Context
from streams.step import Done, Input, Outcome
from streams.stop import Stop
from streams.wire import Message, Record, SchemaIds, decode, encode
from tests.runner_bench import arrivals
from tests.waiting import wait_until

SITE = Site(tenant="general", site="north")
CLOCK = SystemClock()
RECEIVED, VALIDATED = "imaging.instance.received", "imaging.instance.validated"
SETTINGS = RunnerSettings(threads=3, batch_max=4, dead_letters_max=3)

Decide = Callable[[InstanceReceived], Outcome | None]


class Judge:
    """The step validate, as it may be."""

    name = "validate"

    def __init__(self, identity: StepIdentity, decide: Decide = lambda _: None) -> None:
        self._identity = identity
        self._decide = decide

    def __call__(self, batch: Sequence[Input[InstanceReceived]], clock: Clock) -> Sequence[Outcome]:
        return [self._decide(item.event) or self._done(item) for item in batch]

    def _done(self, item: Input[InstanceReceived]) -> Done:
        event = item.event
        name = self._identity.event_id(event.meta.tenant, event.meta.subject, 0)
        return Done.emit(
            InstanceValidated(
                meta=structs.replace(event.meta, event_id=name, occurred_at=CLOCK.now()),
                provenance=self._identity.provenance(item),
                instance=event.instance,
                object=event.object,
                technical=event.technical,
            )
        )


class World:
    def __init__(self) -> None:
        self.log = MemoryLog()
        topics = load_topics()
        for name, topic in topics.topics.items():
            for physical in topics.physical(name):
                self.log.create_topic(physical, 1 if topic.kind == "single" else 3)
        self.live = self.claimed()
        self.left: list[tuple[int, str]] = []

    def claimed(self, replay: object = None) -> StepIdentity:
        return claim(
            self.log, SchemaIds(), SITE, CLOCK, step="validate", code_version=1, config_digest="c", replay=replay
        )

    def send(self, events: Sequence[InstanceReceived]) -> None:
        producer = self.log.producer()
        for event in events:
            producer.send(encode(event, SchemaIds(), source="test")).result()

    def begin(self, name: str = "first", **scope: object) -> KnownReplay:
        self.claimed(planned(self.log, "general", "validate", name=name, **scope))
        return next(one for one in known(self.log, "general") if one.replay.name == name)

    def work(self, replay: KnownReplay, decide: Decide = lambda _: None, stop_after: int | None = None) -> bool:
        context = Context("replay", Config(Path(), "", {}), SITE, self.log, MemoryStore(), SchemaIds())
        identity = StepIdentity("validate", "0.1.0", replay.generation, "c")

        def told(done: int, left_behind: int) -> None:
            if stop_after is not None and done >= stop_after:
                context.stopping.set()

        def bury(record: Record, reason: str) -> None:
            self.left.append((record.offset, reason))

        return Replaying(context, Judge(identity, decide), identity, replay, SETTINGS, bury, told).run()

    def made(self, topic: str = TOPIC) -> list[InstanceValidated]:
        return [event for record in self.records(topic) if isinstance(event := decode(record), InstanceValidated)]

    def records(self, topic: str) -> list[Record]:
        names = [TopicPartition(topic, number) for number in range(self.log.partitions(topic))]
        return [one for name, (first, end) in self.log.bounds(names).items() for one in self.log.read(name, first, end)]


@pytest.fixture
def world() -> World:
    return World()


def subjects(events: Sequence[InstanceReceived] | Sequence[InstanceValidated]) -> list[str]:
    return sorted(event.meta.subject for event in events)


def test_studies_as_wholes_are_left_to_their_own_step(world: World) -> None:
    """The group reads their revisions too; a replay of validate is of instances."""
    world.send(arrivals())
    world.log.append(Message("imaging.study.revision", b"key", b"not read"))
    replay = world.begin()
    assert {name.rpartition("/")[0] for name in replay.replay.ends} == {RECEIVED}
    assert world.work(replay)
    assert world.left == []


def test_all_that_was_there_is_made_once_in_order_and_nothing_that_came_later(world: World) -> None:
    before, after = arrivals() + arrivals(2, 3, "stat"), arrivals(2, 2)
    world.send(before)
    replay = world.begin()
    world.send(after)
    assert world.work(replay)
    made = world.made()
    assert subjects(made) == subjects(before)
    assert {event.provenance.generation for event in made} == {2}
    assert {event.meta.lane for event in made} == {"bulk"}
    for study in {event.instance.study_uid for event in before}:
        expected = [event.meta.subject for event in before if event.instance.study_uid == study]
        assert [event.meta.subject for event in made if event.instance.study_uid == study] == expected
    assert world.made(VALIDATED) == [], "nobody who follows the live topics hears of it"
    assert world.left == []


def test_the_services_number_and_offsets_are_untouched_and_equal_replays_have_numbers_of_their_own(
    world: World,
) -> None:
    world.send(arrivals())
    replays = [world.begin("one"), world.begin("two")]
    assert [world.live.generation, *(replay.generation for replay in replays)] == [1, 2, 3]
    assert world.claimed().generation == 1
    assert world.begin("one").generation == 2
    for replay in replays:
        assert world.work(replay)
    names = [TopicPartition(RECEIVED, number) for number in range(3)]
    assert set(world.log.committed("validate", names).values()) == {None}
    assert sum(end or 0 for end in world.log.committed(group_of("validate", 2), names).values()) == 60
    assert world.log.members(group_of("validate", 2)) == 0


def test_one_study_reads_its_own_partition_and_makes_its_own_images(world: World) -> None:
    events = arrivals()
    world.send(events)
    wanted = events[0].instance.study_uid
    replay = world.begin(study_uid=wanted)
    assert len(replay.replay.ends) == 1
    assert world.work(replay)
    assert subjects(world.made()) == subjects([event for event in events if event.instance.study_uid == wanted])


def test_a_study_is_read_from_its_first_record_on_and_one_that_is_not_there_is_nothing(world: World) -> None:
    events = arrivals(30, 2)
    world.send(events)
    for study in {event.instance.study_uid for event in events}:
        first = next(one for one in world.records(RECEIVED) if one.key == partition_key("general", study))
        wanted = planned(world.log, "general", "validate", name="one", study_uid=study)
        assert wanted.starts == {f"{RECEIVED}/{first.partition}": first.offset}
    strangers = [f"1.2.{number}" for number in range(9)]
    assert {murmur2(partition_key("general", uid), 3) for uid in strangers} == {0, 1, 2}, "where others have records"
    for uid in strangers:
        assert planned(world.log, "general", "validate", name="nothing", study_uid=uid).ends == {}


def test_since_a_time_reads_what_was_written_from_then_on(world: World) -> None:
    old, new = arrivals(2, 4), arrivals(2, 5)
    world.send(old)
    newest_ms = max(record.timestamp_ms for record in world.records(RECEIVED))
    since = datetime.fromtimestamp(newest_ms / 1000, UTC) + timedelta(milliseconds=1)
    wait_until(lambda: datetime.now(UTC) >= since, "another millisecond")
    world.send(new)
    replay = world.begin(since=since)
    assert replay.total == 10
    assert world.work(replay)
    assert subjects(world.made()) == subjects(new)
    empty = world.begin("empty", since=datetime.now(UTC) + timedelta(hours=1))
    assert (empty.total, world.work(empty)) == (0, True)


def test_a_replay_that_was_stopped_goes_on_where_it_was(world: World) -> None:
    events = arrivals(6, 40)
    world.send(events)
    replay = world.begin()
    assert not world.work(replay, stop_after=50)
    first = len(world.made())
    assert 50 <= first < 240
    world.send(arrivals(2, 2))
    (again,) = known(world.log, "general")
    assert again == replay, "its ends are what they were"
    assert world.work(again)
    assert len(world.made()) == 240, "a clean stop makes no duplicates"
    assert subjects(world.made()) == subjects(events)


def test_what_a_killed_replay_had_made_has_the_same_ids_when_it_is_made_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = arrivals(6, 40)
    world.send(events)
    replay = world.begin()
    commits: list[int] = []

    class Killed(BaseException):
        pass

    def commit(self: MemoryConsumer, offsets: object) -> None:
        commits.append(1)
        if len(commits) == 2:
            raise Killed
        committed(self, offsets)

    committed = MemoryConsumer.commit
    monkeypatch.setattr(MemoryConsumer, "commit", commit)
    with pytest.raises(Killed):
        world.work(replay)
    assert world.work(replay)
    made = world.made()
    assert len(made) > 240, "the batch that was not committed is there twice"
    assert sorted({event.meta.event_id: event.meta.subject for event in made}.values()) == subjects(events)


def test_a_record_that_cannot_be_worked_through_is_told_and_left_and_too_many_stop_it(world: World) -> None:
    events = arrivals(1, 8)
    world.send(events)
    bad = {event.meta.subject for event in events[:3]}

    def decide(event: InstanceReceived) -> None:
        if event.meta.subject in bad:
            raise ValueError("DOE^JANE")

    assert world.work(world.begin("some"), decide)
    assert [offset for offset, _ in world.left] == [0, 1, 2]
    assert all(reason.startswith("ValueError at ") and "DOE" not in reason for _, reason in world.left)
    assert subjects(world.made()) == subjects(events[3:])
    bad.update(event.meta.subject for event in events)
    with pytest.raises(Stop, match="more than 3 records cannot be worked through"):
        world.work(world.begin("many"), decide)
    assert world.records("imaging.deadletter.validate") == [], "the live group's limit is its own"
    assert world.records("imaging.retry.validate") == []


def fails_once(monkeypatch: pytest.MonkeyPatch, topic: str, number: int) -> None:
    """Of what is written to a topic, so many-th: the log does not take it, and it takes the next."""
    monkeypatch.setattr(replaying, "_AGAIN", Backoff(0.01, 0.02))
    really, seen = MemoryProducer.send, Counter[str]()

    def send(self: MemoryProducer, message: Message) -> Future[Delivery]:
        seen[message.topic] += 1
        if (message.topic, seen[message.topic]) != (topic, number):
            return really(self, message)
        failed: Future[Delivery] = Future()
        failed.set_exception(LogAway("not this one"))
        return failed

    monkeypatch.setattr(MemoryProducer, "send", send)


def firsts(events: Sequence[InstanceValidated]) -> list[str]:
    """The subjects in the order in which they count."""
    return list({event.meta.event_id: event.meta.subject for event in events}.values())


def test_what_the_log_does_not_take_is_not_overtaken(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    events = arrivals(1, 8)
    world.send(events)
    fails_once(monkeypatch, TOPIC, 3)
    assert world.work(world.begin())
    assert firsts(world.made()) == [event.meta.subject for event in events]


def test_what_is_published_is_not_overtaken_either(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    events = arrivals(1, 8)
    world.send(events)
    replay = world.begin()
    assert world.work(replay)
    fails_once(monkeypatch, f"{VALIDATED}.bulk", 3)
    with pytest.raises(LogAway):
        publish(world.log, replay)
    assert publish(world.log, replay) == 8
    assert firsts(world.made(f"{VALIDATED}.bulk")) == [event.meta.subject for event in events]


def test_a_record_that_is_left_counts_once_where_its_batch_is_made_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = arrivals(1, 8)
    world.send(events)
    bad = {event.meta.subject for event in events[:3]}

    def decide(event: InstanceReceived) -> None:
        if event.meta.subject in bad:
            raise ValueError

    fails_once(monkeypatch, TOPIC, 2)
    assert world.work(world.begin(), decide)
    assert [offset for offset, _ in world.left] == [0, 1, 2]
    assert subjects(events[3:]) == sorted(set(firsts(world.made())))


def test_an_absent_object_is_waited_for_a_moment_and_then_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replaying, "_AGAIN", Backoff(0.01, 0.02))
    events = arrivals(1, 4)
    world.send(events)
    tries: list[str] = []

    def decide(event: InstanceReceived) -> Outcome | None:
        if event.meta.subject == events[1].meta.subject:
            tries.append(event.meta.subject)
            raise Absent("gone")
        return None

    assert world.work(world.begin(), decide)
    assert world.left == [(1, "no success in 3 tries: an object that the record refers to is not there")]
    assert len(tries) > 2


def test_while_the_store_is_away_it_waits_and_then_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replaying, "_AGAIN", Backoff(0.01, 0.02))
    events = arrivals(2, 3)
    world.send(events)
    away = threading.Event()
    asked: list[int] = []

    def decide(_: InstanceReceived) -> Outcome | None:
        asked.append(1)
        if len(asked) < 20:
            raise StoreAway("away")
        away.set()
        return None

    assert world.work(world.begin(), decide)
    assert away.is_set()
    assert subjects(world.made()) == subjects(events)
    assert world.left == []


def test_its_phases_are_said_once_and_a_switch_publishes_what_it_made_in_the_bulk_lane(world: World) -> None:
    events = arrivals(2, 3)
    world.send(events)
    first, second = world.begin("one"), world.begin("two")
    for replay in (first, second):
        assert world.work(replay)
    for _ in range(2):
        came_to(world.log, SchemaIds(), SITE, CLOCK, known(world.log, "general")[0], "completed")
    assert [(event.number, event.phase) for event in generations(world.log)] == [
        (1, "claimed"),
        (2, "claimed"),
        (3, "claimed"),
        (2, "completed"),
    ]
    assert publish(world.log, first) == 6
    published = world.records(f"{VALIDATED}.bulk")
    made = [one for one in world.made() if one.provenance.generation == 2]
    assert sorted(decode(record).meta.event_id for record in published) == sorted(one.meta.event_id for one in made)
    assert not any(name.startswith("replay_") for record in published for name, _ in record.headers)
    assert publish(world.log, replay=second) == 6


def test_a_replay_whose_number_somebody_else_got_first_is_known_by_its_next(world: World) -> None:
    """Its first claim stays in the log, and is of a number that is not its own."""
    world.send(arrivals())
    first, wanted = world.begin(), planned(world.log, "general", "validate", name="second")
    lost = structs.replace(first.claim, digest=digest_of("validate", 1, "c", replay=wanted), replay=wanted)
    write(world.log, SchemaIds(), SITE, lost)
    identity = world.claimed(wanted)
    assert identity.generation == first.generation + 1
    found = {one.replay.name: one.generation for one in known(world.log, "general")}
    assert found == {"first": first.generation, "second": identity.generation}


def test_a_replay_that_was_switched_to_is_not_resumed(world: World) -> None:
    """What it made then would be current at once, and in no topic where its readers look."""
    world.send(arrivals())
    replay = world.begin()
    world.work(replay, stop_after=1)
    check_resumable(replay)
    came_to(world.log, SchemaIds(), SITE, CLOCK, replay, "switched")
    (replay,) = known(world.log, "general")
    with pytest.raises(Failure, match="begin another replay"):
        check_resumable(replay)


def test_a_replay_waits_for_a_log_that_is_away(world: World) -> None:
    events = arrivals(2, 3)
    world.send(events)
    replay = world.begin()
    world.log.away = True
    timer = threading.Timer(0.3, lambda: setattr(world.log, "away", False))
    timer.start()
    assert world.work(replay)
    timer.join()
    assert subjects(world.made()) == subjects(events)
