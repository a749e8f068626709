"""What is archived comes back when a command asks for it, once however often, and goes down again by itself."""

from __future__ import annotations

import pytest

from consumers.tiering.state import Studies
from consumers.tiering.study import Study
from streams.events import StudyRevision
from streams.identity import derived_key
from streams.log import TopicPartition
from streams.memory_log import MemoryLog
from streams.memory_store import MemoryStore
from streams.wire import Message, Record
from tests.hooked_log import Crash
from tests.tiering_world import MOVED, TENANT, Member, World, key_of, moved, new_world, study_uid

RESTORED = [f"hot {phase}" for phase in ("planned", "copied", "verified", "switched")]
BACK = [f"cold {phase}" for phase in ("planned", "copied", "verified", "switched", "released")]


@pytest.fixture
def world() -> World:
    world = new_world()
    store_of(world).archived = ("cold", "backup")
    return world


@pytest.fixture
def member(world: World) -> Member:
    """Study 1 of two images is in the cold store since long ago."""
    member = world.member()
    world.receive(1, 0, 1)
    world.run(member, 8 * 365)
    assert world.where(1) == {"cold", "backup"}
    world.clock.day = 3000
    return member


def store_of(world: World) -> MemoryStore:
    assert isinstance(world.store, MemoryStore)
    return world.store


def sleep(world: World) -> None:
    """Nothing of study 1 can be read before it was restored."""
    store_of(world).asleep = {(store, key_of(1, image)) for store in ("cold", "backup") for image in (0, 1)}


def since(world: World, phases: list[str]) -> list[str]:
    return world.phases(1)[len(phases) :]


def letters(world: World) -> list[Record]:
    dead = TopicPartition("imaging.deadletter.tiering", 0)
    return list(world.log.read(dead, *world.log.bounds([dead])[dead]))


def test_a_hundred_readers_start_one_restore(world: World, member: Member) -> None:
    before = world.phases(1)
    for _ in range(100):
        world.restore(1)
    world.settle(member)
    assert since(world, before) == RESTORED
    assert world.where(1, 0) == world.where(1, 1) == {"hot", "cold", "backup"}
    last = world.moves(1)[-1]
    assert (last.why, last.source, last.serving) == ("recall", None, "hot")
    assert "imaging.tier.command" in {ref.topic for ref in last.provenance.inputs}
    world.check()


def test_what_was_restored_stays_for_its_days_and_goes_back_without_another_copy(world: World, member: Member) -> None:
    world.restore(1)
    world.settle(member)
    before = world.phases(1)
    world.clock.day = 3006
    world.settle(member)
    assert since(world, before) == []
    world.clock.day = 3008
    world.settle(member)
    assert since(world, before) == BACK
    assert world.where(1) == {"cold", "backup"}
    world.check()


def test_what_was_restored_and_read_stays_as_any_study_that_is_read(world: World, member: Member) -> None:
    world.restore(1)
    world.settle(member)
    world.clock.day = 3001
    world.read(1)
    world.settle(member)
    world.clock.day = 3029
    world.settle(member)
    assert world.where(1) == {"hot", "cold", "backup"}
    world.clock.day = 3032
    world.settle(member)
    assert world.where(1) == {"cold", "backup"}


def test_an_archive_that_takes_hours_is_asked_once_and_looked_after(world: World, member: Member) -> None:
    sleep(world)
    world.restore(1)
    world.settle(member)
    assert world.phases(1)[-1] == "hot planned"
    asked = store_of(world).asked
    assert sorted(asked) == sorted(("cold", key_of(1, image)) for image in (0, 1))
    world.restore(1)
    world.clock.day += 0.1
    world.settle(member)
    assert len(asked) == 2
    store_of(world).asleep.clear()
    world.clock.day += 0.1
    world.settle(member)
    assert world.phases(1)[-4:] == RESTORED
    world.check()


def test_a_late_image_has_its_backup_while_an_archive_takes_its_time(world: World, member: Member) -> None:
    sleep(world)
    world.restore(1)
    world.settle(member)
    world.receive(1, 2)
    world.settle(member)
    assert world.where(1, 2) == {"hot", "backup"}
    assert world.where(1, 0) == {"cold", "backup"}
    member.kill()
    member = world.member()
    world.settle(member)
    store_of(world).asleep.clear()
    world.clock.day += 0.1
    world.settle(member)
    assert world.phases(1)[-4:] == RESTORED
    assert all(world.where(1, image) >= {"hot", "backup"} for image in (0, 1, 2))
    last = world.moves(1)[-1]
    assert "imaging.tier.command" in {ref.topic for ref in last.provenance.inputs}
    world.check()


def test_a_late_image_that_cannot_be_listed_is_not_looked_into_all_the_time(world: World, member: Member) -> None:
    sleep(world)
    world.restore(1)
    world.settle(member)
    before = world.phases(1)
    world.receive(1, 2)
    store_of(world).delete(world.events(StudyRevision)[-1].manifest)
    world.settle(member)
    assert since(world, before) == []
    store_of(world).asleep.clear()
    world.clock.day += 0.1
    world.settle(member)
    assert since(world, before) == RESTORED[1:]
    assert world.where(1, 0) == {"hot", "cold", "backup"}


def test_an_archive_that_does_not_deliver_is_given_up_and_that_is_said(world: World, member: Member) -> None:
    sleep(world)
    world.restore(1)
    world.settle(member)
    world.clock.day += 2.1
    world.settle(member)
    assert world.phases(1)[-1] == "hot abandoned"
    assert len(letters(world)) == 1
    assert world.where(1) == {"cold", "backup"}


def test_what_goes_back_into_an_archive_is_not_read_there(world: World, member: Member) -> None:
    world.restore(1)
    world.settle(member)
    sleep(world)
    world.clock.day = 3010
    world.settle(member)
    assert world.where(1) == {"cold", "backup"}
    assert store_of(world).asked == []


def test_another_command_is_not_kept_waiting_by_a_restore(world: World, member: Member) -> None:
    world.receive(2, 0)
    world.settle(member)
    sleep(world)
    world.restore(1)
    world.settle(member)
    world.run(member, 3031)
    assert world.where(2) == {"warm", "backup"}


def test_a_study_that_can_be_read_is_left_where_it_is(world: World) -> None:
    member = world.member()
    world.receive(1, 0)
    world.settle(member)
    before = world.phases(1)
    world.restore(1)
    world.restore(7)
    world.settle(member)
    assert since(world, before) == []
    assert world.dead_letters() == 0


def test_of_a_study_of_which_some_is_there_the_rest_is_restored(world: World, member: Member) -> None:
    world.receive(1, 2)
    world.settle(member)
    world.restore(1)
    world.settle(member)
    assert all(world.where(1, image) >= {"hot", "backup"} for image in (0, 1, 2))
    assert world.moves(1)[-1].serving == "hot"
    world.check()


def test_a_copy_that_is_damaged_is_restored_from_the_other_one(world: World, member: Member) -> None:
    world.rot("cold", key_of(1, 0))
    world.restore(1)
    world.settle(member)
    assert world.where(1, 0) == {"hot", "backup"}
    assert world.phases(1)[-4:] == RESTORED


def test_a_restore_that_fails_is_said_and_is_a_dead_letter(world: World, member: Member) -> None:
    for store in ("cold", "backup"):
        world.rot(store, key_of(1, 0))
    world.restore(1)
    world.settle(member)
    last = [event for event in world.moves(1) if event.why == "recall"][-1]
    assert (last.phase, last.serving) == ("abandoned", "cold")
    assert world.where(1, 1) == {"hot", "cold", "backup"}, "what could be restored stays"
    (letter,) = letters(world)
    assert letter.header("origin_topic") == "imaging.tier.command"
    world.restore(1)
    world.settle(member)
    failed = [event for event in world.moves(1) if (event.why, event.phase) == ("recall", "abandoned")]
    assert len(failed) == 2, "who asks again is served again"


def the_first_letter_is_not_taken(world: World, member: Member) -> None:
    """The log is away for that one record only."""
    assert isinstance(world.log, MemoryLog)
    log, left = world.log, [1]

    def before(message: Message) -> None:
        log.away = message.topic == "imaging.deadletter.tiering" and bool(left)
        if log.away:
            left.clear()

    def after(_: Message) -> None:
        log.away = False

    member.log.hooks.before_send, member.log.hooks.after_send = before, after


def test_a_restore_that_fails_waits_for_its_dead_letter(world: World, member: Member) -> None:
    """Else a decision would tell of the command, its offset would be committed, and nobody would hear of it."""
    for store in ("cold", "backup"):
        world.rot(store, key_of(1, 0))
    the_first_letter_is_not_taken(world, member)
    world.restore(1)
    world.settle(member)
    (letter,) = letters(world)
    assert letter.header("origin_topic") == "imaging.tier.command"
    assert [event.phase for event in world.moves(1) if event.why == "recall"][-1] == "abandoned"


def test_a_restore_of_which_nothing_can_be_decided_waits_for_its_dead_letter(world: World, member: Member) -> None:
    world.receive(1, 2)
    world.drop("hot", derived_key(TENANT, f"manifest-{study_uid(1)}/2"))
    the_first_letter_is_not_taken(world, member)
    world.restore(1)
    world.settle(member)
    (letter,) = letters(world)
    assert letter.header("reason") == "the restore failed: no_manifest"


def test_a_hold_does_not_keep_a_study_from_being_restored(world: World, member: Member) -> None:
    world.hold(1)
    world.restore(1)
    world.settle(member)
    assert world.phases(1)[-4:] == RESTORED
    world.clock.day = 3100
    world.settle(member)
    assert world.where(1) == {"hot", "cold", "backup"}, "nothing is released under a hold"


def goes_on(world: World, member: Member) -> None:
    """The member dies of what a hook raises, and another one ends what it began."""
    world.restore(1)
    with pytest.raises(Crash):
        world.settle(member)
    member.kill()
    world.store.before = world.store.after = lambda *_: None
    world.settle(world.member())
    assert world.phases(1)[-4:] == RESTORED
    phases = [event.phase for event in world.moves(1) if event.why == "recall"]
    assert phases == ["planned", "copied", "verified", "switched"]
    assert world.where(1, 0) == world.where(1, 1) == {"hot", "cold", "backup"}
    world.check()


@pytest.mark.parametrize("phase", ["planned", "copied", "verified", "switched"])
@pytest.mark.parametrize("when", ["before_send", "after_send"])
def test_a_crash_around_a_decision(world: World, member: Member, when: str, phase: str) -> None:
    def crash(message: Message) -> None:
        if message.topic == MOVED and moved(message).phase == phase:
            raise Crash

    setattr(member.log.hooks, when, crash)
    goes_on(world, member)


@pytest.mark.parametrize("what", [("read", "cold"), ("create", "hot"), ("read", "hot")], ids=" ".join)
def test_a_crash_after_the_first_of_two_copies(world: World, member: Member, what: tuple[str, str]) -> None:
    done = []

    def crash(*seen: str) -> None:
        if seen == what:
            done.append(seen)
            if len(done) == 1:
                raise Crash

    world.store.after = crash
    goes_on(world, member)


def test_what_somebody_waits_for_is_looked_at_first() -> None:
    state = Studies(0, {})
    for entity in ("a", "b", "c"):
        state.touch(entity)
    state.studies["d"] = Study(phase="planned", why="recall", target="hot")
    state.touch("d")
    state.touch("e")
    assert list(state.looks) == ["d", "a", "b", "c", "e"]


def test_an_old_command_that_kafka_gives_again_restores_nothing(world: World, member: Member) -> None:
    world.restore(1)
    world.settle(member)
    world.clock.day = 3010
    world.settle(member)
    member.kill()
    world.log._groups["tiering"].committed.clear()
    before = world.phases(1)
    world.settle(world.member())
    assert since(world, before) == []
