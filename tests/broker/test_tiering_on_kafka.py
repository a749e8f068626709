"""Tiering on the real broker and the real store: assignment, rewinding, crashes, and moves of real bytes."""

from __future__ import annotations

import secrets
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka.cimpl import NewTopic

from schemas import load_topics
from streams.clock import SystemClock
from streams.config import Kafka, Store
from streams.kafka_log import KafkaLog
from streams.s3 import S3Store
from streams.wire import Message
from tests.hooked_log import Crash, HookedLog
from tests.new_topics import new_topics
from tests.running_stack import RunningStack
from tests.tiering_world import MOVED, PARTITIONS, Member, World, days
from tests.waiting import wait_until

pytestmark = pytest.mark.stack

STUDIES = 4


@pytest.fixture
def world(stack: RunningStack) -> Iterator[World]:
    """Topics, a group and studies of its own on the stack's broker and store."""
    config = stack.config.section("kafka", Kafka)
    prefix, topics = f"test-{uuid.uuid4().hex[:8]}-", load_topics()
    made = {name: topics.topics[topics.logical(name)].config for name in topics.read_by("tiering")}
    made["imaging.deadletter.tiering"] = {}
    wanted = [NewTopic(prefix + name, PARTITIONS, 1, config=settings) for name, settings in made.items()]
    with new_topics(config, wanted):
        log = HookedLog(KafkaLog(config), prefix)
        yield World(log, S3Store(stack.config.section("store", Store)), SystemClock())
        log.kill()


@contextmanager
def running(world: World) -> Iterator[Member]:
    """A member in a thread, until the block ends or a hook lets it crash."""
    member = world.member(checkpoint_every=7)
    ends = threading.Event()
    errors: list[BaseException] = []

    def turns() -> None:
        try:
            while not ends.is_set():
                member.deciding.turn(0.05)
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


@pytest.fixture
def studies() -> range:
    """New ones each time: what other runs stored is there for ever."""
    first = secrets.randbits(80)
    return range(first, first + STUDIES)


def done(world: World) -> None:
    wait_until(world.is_committed, "every command to be done")


def test_a_walk_with_a_crash_and_a_restart(world: World, studies: range) -> None:
    crashed = threading.Event()

    def crash(message: Message) -> None:
        if message.topic == MOVED and sum(len(world.moves(study)) for study in studies) > 3 * STUDIES + 4:
            crashed.set()
            raise Crash

    with running(world) as member:
        for study in studies:
            world.receive(study, 0, 1, 2)
        done(world)
        member.log.hooks.after_send = crash
        world.command(days(400))
        wait_until(crashed.is_set, "the crash")
    with running(world):
        done(world)
        for study in studies:
            assert {frozenset(world.where(study, image)) for image in range(3)} == {frozenset({"warm", "backup"})}
        world.hold(studies[1])
        world.command(days(4000))
        done(world)
    assert [sorted(world.where(study)) for study in studies] == [
        ["backup", "warm"] if study == studies[1] else ["backup", "cold"] for study in studies
    ]
    world.check()


def test_two_members_share_the_partitions_and_one_leaves(world: World, studies: range) -> None:
    with running(world):
        with running(world):
            for study in studies:
                world.receive(study, 0)
            done(world)
        world.command(days(400))
        done(world)
        for study in studies:
            assert world.where(study) == {"backup", "warm"}
    world.check()
