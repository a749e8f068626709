"""Study revisions on the real broker and store: assignment, rewinding, rebalance and crashes as Kafka does them."""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
from confluent_kafka.cimpl import NewTopic

from schemas import load_topics
from streams.clock import SystemClock
from streams.config import Kafka, Store
from streams.events import SUBJECTS, QuarantineCommand
from streams.kafka_log import KafkaLog
from streams.log import TopicPartition
from streams.s3 import S3Store
from tests.deciding_world import PARTITIONS, VALIDATED, Member, World
from tests.hooked_log import Crash, HookedLog
from tests.new_topics import new_topics
from tests.running_stack import RunningStack
from tests.waiting import wait_until

pytestmark = pytest.mark.stack

QUIET_S = 1.0


@pytest.fixture
def world(stack: RunningStack) -> Iterator[World]:
    """Topics and a group of its own on the stack's broker."""
    config = stack.config.section("kafka", Kafka)
    prefix, topics = f"test-{uuid.uuid4().hex[:8]}-", load_topics()
    # What people decided is read beside the group.
    decided = topics.physical(SUBJECTS[QuarantineCommand])
    names = {*topics.read_by("revisions"), *decided, "imaging.deadletter.revisions"}
    with new_topics(config, [NewTopic(prefix + name, PARTITIONS, 1) for name in names]):
        log = HookedLog(KafkaLog(config), prefix)
        yield World(log, S3Store(stack.config.section("store", Store)), SystemClock(), QUIET_S)
        log.kill()


@contextmanager
def running(world: World) -> Iterator[Member]:
    """A member in a thread, until the block ends or a hook lets it crash."""
    member = world.member(checkpoint_every=2)
    ends = threading.Event()
    errors: list[BaseException] = []

    def turns() -> None:
        try:
            while not ends.is_set():
                member.deciding.turn(0.1)
            member.deciding.close()
        except Crash:
            member.kill()
        except BaseException as error:  # noqa: BLE001 - shown by the test's thread
            errors.append(error)

    thread = threading.Thread(target=turns)
    thread.start()
    try:
        yield member
    finally:
        ends.set()
        thread.join()
    if errors:
        raise errors[0]


def studies(count: int = 6) -> list[int]:
    """New ones each time: manifests of other runs are in the store for ever."""
    first = random.getrandbits(80)
    return list(range(first, first + count))


def decided(world: World, *numbers: int, times: int = 1) -> None:
    """Waits until every study has at least that many revisions and the last holds all that was said."""

    def all_in_the_last() -> bool:
        last = [(world.said[number], revisions) for number in numbers if (revisions := world.revisions(number))]
        return len(last) == len(numbers) and all(
            len(revisions) >= times and world.manifest(revisions[-1]) == said for said, revisions in last
        )

    wait_until(all_in_the_last, "revisions with every image")
    wait_until(lambda: world.uncommitted() == 0, "the commit of all inputs")
    world.check(numbers)


def test_quiet_studies_late_images_and_a_restart(world: World) -> None:
    numbers = studies()
    with running(world):
        for number in numbers:
            world.say(number, 0, 1)
            world.say(number, 2, lane="stat")
        decided(world, *numbers)
    for number in numbers:
        world.say(number, 3, lane="bulk")
    with running(world):
        decided(world, *numbers, times=2)
        for number in numbers:
            world.say(number, 4)
        decided(world, *numbers, times=3)


def test_a_second_member_takes_over_what_waits_and_one_that_crashes_is_made_up_for(world: World) -> None:
    numbers = studies(12)
    with running(world) as first:
        for number in numbers[:6]:
            world.say(number, 0)
        with running(world) as second:
            wait_until(lambda: first.deciding._states and second.deciding._states, "both having work")
            for number in numbers:
                world.say(number, 1, 2)
            decided(world, *numbers)
            first.log.hooks.polled = crash
            for number in numbers:
                world.say(number, 3)
            decided(world, *numbers, times=2)


@pytest.mark.parametrize("point", ["before_send", "after_send", "before_commit"])
def test_a_crash_around_a_decision(world: World, point: str) -> None:
    number, other = studies(2)
    crashed = threading.Event()

    def once(what: object) -> None:
        if not isinstance(what, Mapping) or any(name.topic.startswith(VALIDATED) for name in what):
            crashed.set()
            raise Crash

    with running(world) as member:
        setattr(member.log.hooks, point, once)
        world.say(number, 0, 1)
        wait_until(crashed.is_set, "the crash")
    world.say(number, 2)
    world.say(other, 0)
    with running(world):
        decided(world, number, other)


def crash(_: object) -> None:
    raise Crash


def test_records_are_read_from_where_they_were_committed_not_from_where_they_were_prefetched(world: World) -> None:
    """What the client fetched before the state was folded is thrown away, and read again."""
    (number,) = studies(1)
    for image in range(0, 3000, 500):
        world.say(number, *range(image, image + 500))
    with running(world):
        decided(world, number)
    (partition,) = {
        name
        for name, (_, end) in world.log.bounds([TopicPartition(VALIDATED, n) for n in range(PARTITIONS)]).items()
        if end
    }
    assert world.log.committed("revisions", [partition]) == {partition: 3000}
