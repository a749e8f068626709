"""A study that is quiet has a revision, a late image makes the next, and no crash, zombie or rebalance changes that."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from itertools import islice

import pytest

from streams.checkpoints import prefix
from streams.folding import Folding
from streams.held import HeldImages
from streams.identity import derived_key, event_id
from streams.log import LogAway, TopicPartition
from streams.memory_store import MemoryStore
from streams.objects import StoreAway, StoreRefused
from streams.revisions.step import Revisions, set_digest
from streams.step import NewObject, Stored
from streams.stop import Stop
from streams.wire import Message, Record, SchemaIds, encode
from tests.deciding_world import (
    PARTITIONS,
    QUIET_S,
    REVISION,
    START,
    TENANT,
    VALIDATED,
    CrashingStore,
    Member,
    World,
    digest_of,
    new_world,
    study_uid,
)
from tests.hooked_log import Crash


@pytest.fixture
def world() -> World:
    return new_world()


def test_a_quiet_study_has_revision_1_of_all_its_instances(world: World) -> None:
    member = world.member()
    world.say(1, 0, 1, 2)
    world.quiet(member)
    (revision,) = world.revisions(1)
    digests = [digest_of(1, image) for image in range(3)]
    assert (revision.revision, revision.instance_count) == (1, 3)
    assert world.manifest(revision) == set(digests)
    assert revision.set_digest == set_digest(digests)
    assert revision.meta.event_id == event_id(TENANT, "revisions", f"{study_uid(1)}/1", 0, 0)
    assert revision.manifest.key == derived_key(TENANT, revision.meta.event_id)
    assert (revision.first_received_at - START).total_seconds() == 0
    assert (revision.last_received_at - START).total_seconds() == 2
    assert list(revision.covers) == [world.log.topic_id(VALIDATED)]
    assert [ref.topic for ref in revision.provenance.inputs] == [VALIDATED]
    assert world.uncommitted() == 0


def test_nothing_is_decided_while_images_come(world: World) -> None:
    member = world.member()
    for image in range(5):
        world.say(1, image)
        member.turn(2)
        world.clock.seconds += QUIET_S - 1
        member.turn(2)
    assert world.records() == []
    assert world.uncommitted() == 5


def test_one_decision_of_a_study_is_under_way_at_a_time(world: World) -> None:
    member = world.member()
    world.say(1, 0)
    member.turn(3)
    world.clock.seconds += QUIET_S
    for _ in range(3):  # without a poll: nothing is read back
        member.deciding._acting.decide(member.deciding._states)
    assert len(world.records()) == 1


def test_a_late_image_makes_revision_2_with_the_union(world: World) -> None:
    member = world.member()
    world.say(1, 0, 1)
    world.quiet(member)
    world.say(1, 2)
    world.quiet(member)
    assert [event.instance_count for event in world.revisions(1)] == [2, 3]
    assert world.revisions(1)[1].provenance.inputs[-1].event_id == world.revisions(1)[0].meta.event_id
    world.check()


def test_an_instance_that_is_there_already_makes_no_revision(world: World) -> None:
    member = world.member()
    world.say(1, 0, 1)
    world.quiet(member)
    world.say(1, 0)
    world.say(1, 1, generation=2)
    world.quiet(member)
    assert len(world.records()) == 1
    assert world.uncommitted() == 0


def test_lanes_of_one_study_meet_in_one_revision_as_urgent_as_the_most_urgent(world: World) -> None:
    member = world.member()
    world.say(1, 0, lane="bulk")
    world.say(1, 1, lane="stat")
    world.say(2, 0, lane="bulk")
    world.quiet(member)
    assert [event.meta.lane for event in world.revisions(1) + world.revisions(2)] == ["stat", "bulk"]
    assert len(world.revisions(1)[0].covers) == 2
    world.check()


def after_put(world: World, member: Member) -> None:
    assert isinstance(world.store, CrashingStore)
    world.store.crash = True


def before_emit(world: World, member: Member) -> None:
    member.log.hooks.before_send = crash


def after_emit(world: World, member: Member) -> None:
    member.log.hooks.after_send = crash


def before_commit(world: World, member: Member) -> None:
    def of_the_input(offsets: dict[TopicPartition, int]) -> None:
        if any(name.topic == VALIDATED for name in offsets) and world.records():
            raise Crash

    member.log.hooks.before_commit = of_the_input


def crash(_: Message) -> None:
    raise Crash


@pytest.mark.parametrize("point", [after_put, before_emit, after_emit, before_commit])
@pytest.mark.parametrize("more", [False, True], ids=["the same images", "and more images"])
def test_a_crash_leaves_no_gap_and_no_second_effect(
    world: World, point: Callable[[World, Member], None], more: bool
) -> None:
    member = world.member()
    world.say(1, 0, 1)
    member.turn(3)
    point(world, member)
    with pytest.raises(Crash):
        world.quiet(member)
    member.kill()
    if more:
        world.say(1, 2)
    world.quiet(world.member())
    world.check()
    assert world.uncommitted() == 0
    same = {(event.meta.event_id, event.set_digest) for event in world.records()}
    assert len(same) == len({event.meta.event_id for event in world.records()})


def test_a_zombies_stale_decision_is_ignored(world: World) -> None:
    zombie = world.member()
    world.say(1, 0)
    zombie.turn(3)
    world.log.expire("revisions", zombie.log.consumers[0].inner)
    heir = world.member()
    world.say(1, 1)
    world.quiet(heir)
    world.say(1, 2)
    world.quiet(heir)
    zombie.deciding._acting.decide(zombie.deciding._states)  # its study fell quiet long ago
    assert [event.revision for event in world.records()] == [1, 2, 1]
    world.say(1, 3)
    world.quiet(heir)
    assert [event.revision for event in world.revisions(1)] == [1, 2, 3]
    world.check()


def test_a_zombie_that_is_first_counts_and_the_heir_goes_on_from_it(world: World) -> None:
    zombie = world.member()
    world.say(1, 0)
    zombie.turn(3)
    world.log.expire("revisions", zombie.log.consumers[0].inner)
    heir = world.member()
    world.say(1, 1)
    heir.turn(3)
    world.clock.seconds += QUIET_S
    zombie.deciding._acting.decide(zombie.deciding._states)
    world.quiet(heir)
    assert [event.instance_count for event in world.revisions(1)] == [1, 2]
    world.check()


def test_a_rebalance_moves_what_waits(world: World) -> None:
    first = world.member()
    for study in range(12):
        world.say(study, 0)
    first.turn(3)
    second = world.member()
    for _ in range(4):
        first.turn()
        second.turn()
    for study in range(12):
        world.say(study, 1)
    world.quiet(first, second)
    assert len(world.records()) == 12
    assert second.deciding._owned
    first.deciding.close()
    for study in range(12):
        world.say(study, 2)
    world.quiet(second)
    world.check()
    assert world.uncommitted() == 0


def folded(world: World, store: MemoryStore) -> list[tuple[int, dict[str, tuple[int, int]]]]:
    member = world.member()
    context = member.deciding._context
    whole: Folding[object, object] = Folding(
        type(context)(**{**vars(context), "store": store}),
        Revisions(store, HeldImages(context.log, context.clock), QUIET_S),
        5000,
    )
    states = [whole.load(number) for number in range(PARTITIONS)]
    member.kill()
    return [(state.position, state.decided) for state in states]


def test_a_checkpoint_gives_the_same_state_as_the_whole_output(world: World) -> None:
    member = world.member(checkpoint_every=2)
    for image in range(3):
        for study in range(8):
            world.say(study, image)
        world.quiet(member)
    held = [key for number in range(PARTITIONS) for key, _ in world.store.keys("hot", under(world, number))]
    assert held
    assert isinstance(world.store, MemoryStore)
    assert folded(world, world.store) == folded(world, MemoryStore())


def test_a_topic_id_with_slashes_makes_no_empty_name_in_a_key() -> None:
    assert prefix(TENANT, "revisions", 3, "s//v9c+DTzuz6XXD1Aa7Bw") == (
        "hospital/checkpoints/revisions/3/s__v9c-DTzuz6XXD1Aa7Bw/v1/"
    )


def test_a_checkpoint_that_cannot_be_read_is_passed_over(world: World) -> None:
    member = world.member()
    for study in range(8):
        world.say(study, 0)
    world.quiet(member)
    for number in range(PARTITIONS):
        name = f"{under(world, number)}{1:020d}-{'0' * 64}"
        world.store.create(NewObject(TENANT, "hot", name, b"not a checkpoint"))
    assert isinstance(world.store, MemoryStore)
    assert folded(world, world.store) == folded(world, MemoryStore())


def under(world: World, number: int) -> str:
    return prefix(TENANT, "revisions", number, world.log.topic_id(REVISION))


class AwayStore(MemoryStore):
    away = False

    def create(self, new: NewObject) -> Stored:
        if self.away:
            raise StoreAway("the store is away")
        return super().create(new)


def test_while_the_store_is_away_nothing_is_lost_and_the_service_says_so() -> None:
    world = new_world()
    world.store = store = AwayStore()
    member = world.member()
    world.say(1, 0)
    member.turn(3)
    store.away = True
    world.clock.seconds += QUIET_S
    member.turn()
    assert member.health.failing()["store"] == "the store does not answer; waiting for it"
    store.away = False
    world.quiet(member)
    assert "store" not in member.health.failing()
    world.check()


class RefusingStore(MemoryStore):
    """Refuses the first object below `under`, however often it comes."""

    under = ""
    refused = ""

    def create(self, new: NewObject) -> Stored:
        if self.under and self.under in new.key and self.refused in ("", new.key):
            self.refused = new.key
            raise StoreRefused("too large")
        return super().create(new)


def test_a_study_whose_list_the_store_refuses_waits_and_the_others_do_not() -> None:
    world = new_world()
    world.store = store = RefusingStore()
    store.under = "/derived/"
    member = world.member()
    world.say(1, 0)
    world.say(2, 0)
    world.quiet(member)
    assert sorted(len(world.revisions(study)) for study in (1, 2)) == [0, 1]
    assert "store" not in member.health.failing()
    store.under = ""
    world.quiet(member)
    world.check()
    assert world.uncommitted() == 0


def test_a_checkpoint_that_the_store_refuses_is_only_slower() -> None:
    world = new_world()
    world.store = store = RefusingStore()
    store.under = "/checkpoints/"
    member = world.member(checkpoint_every=1)
    world.say(1, 0)
    world.quiet(member)
    assert store.refused
    world.check()


def test_while_the_log_is_away_nothing_is_lost_and_the_service_says_so(world: World) -> None:
    member = world.member()
    world.say(1, 0)
    member.turn(3)
    world.log.away = True
    world.clock.seconds += QUIET_S
    member.turn(2)
    assert member.health.failing()["log"] == "the log does not answer; waiting for it"
    world.log.away = False
    world.quiet(member)
    assert "log" not in member.health.failing()
    world.check()


def test_a_record_that_cannot_be_understood_is_a_dead_letter_and_the_rest_go_on(world: World) -> None:
    member = world.member()
    good = encode(world.validated(1, 0, "routine", 1), SchemaIds(), source="test")
    world.log.append(Message(good.topic, good.key, b"\0\0\0\0\0rubbish", good.headers))
    world.say(1, 1)
    world.quiet(member)
    world.check()
    dead = TopicPartition("imaging.deadletter.revisions", 0)
    assert world.log.bounds([dead])[dead] == (0, 1)
    assert world.uncommitted() == 0


def test_a_decision_out_of_turn_stops_the_service(world: World) -> None:
    member = world.member()
    world.say(1, 0)
    world.quiet(member)
    (revision,) = world.records()
    ahead = type(revision)(**{**{name: getattr(revision, name) for name in revision.__struct_fields__}, "revision": 7})
    world.log.append(encode(ahead, SchemaIds(), source="somebody"))
    with pytest.raises(Stop, match=r"holds number 7 where 2 is the next; find out who else writes"):
        member.turn(2)


def test_memory_is_as_the_docstring_says(world: World) -> None:
    member = world.member()
    member.turn(3)
    world.say(1, *range(2000))
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    member.turn(3)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (after - before) / 2000 < 500


def test_a_member_that_cannot_load_its_state_still_serves_its_group(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that died: librdkafka refuses to seek until it was polled through the rebalance."""
    member = world.member()
    consumer = member.log.consumers[0]
    polls = 0
    seek = consumer.seek

    def counted(_: object) -> None:
        nonlocal polls
        polls += 1

    def refused_at_first(partition: TopicPartition, offset: int) -> None:
        if polls < 5:
            raise LogAway("seek: _STATE")
        seek(partition, offset)

    member.log.hooks.polled = counted
    monkeypatch.setattr(consumer, "seek", refused_at_first)
    world.say(1, 0, 1)
    member.turn(8)
    world.quiet(member)
    world.check()


def starved(member: Member, monkeypatch: pytest.MonkeyPatch, records_max: int, only: int | None = None) -> list[int]:
    """Each read of the output, or of one partition of it, falls silent after so many records. Returns where it began,
    for all partitions."""
    starts: list[int] = []
    read = member.log.read

    def silent(name: TopicPartition, start: int, end: int) -> Iterator[Record]:
        if name.topic != REVISION:
            yield from read(name, start, end)
            return
        starts.append(start)
        slow = only in (None, name.partition)
        yield from islice(read(name, start, end), records_max if slow else None)
        if slow and end - start > records_max:
            raise LogAway(f"read of {name.topic}/{name.partition} at {start + records_max}: no answer")

    monkeypatch.setattr(member.log, "read", silent)
    return starts


def decided_studies(world: World, count: int) -> None:
    member = world.member()
    for study in range(count):
        world.say(study, 0)
    world.quiet(member)
    member.deciding.close()


def test_a_state_that_is_read_slowly_is_read_on_from_where_it_was(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    decided_studies(world, 20)
    member = world.member()
    starts = starved(member, monkeypatch, 1)
    member.turn(30)
    assert member.deciding._states.keys() == set(range(PARTITIONS))
    assert "log" not in member.health.failing()
    assert len(starts) <= 20 + PARTITIONS
    for study in range(20):
        world.say(study, 1)
    world.quiet(member)
    world.check()


def test_one_partition_that_cannot_be_read_costs_no_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    decided_studies(world, 20)
    member = world.member()
    starts = starved(member, monkeypatch, 0, only=PARTITIONS - 1)
    member.turn(10)
    assert member.deciding._states.keys() == set(range(PARTITIONS - 1))
    # Those that are there were read once.
    assert len(starts) == 10 + PARTITIONS - 1
    assert member.health.failing()["log"] == "the log does not answer; waiting for it"


def test_a_poll_without_an_answer_costs_no_state(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    decided_studies(world, 20)
    member = world.member()
    starts = starved(member, monkeypatch, 100)
    member.turn(3)
    world.log.away = True
    member.turn(5)
    world.log.away = False
    member.turn(5)
    assert len(starts) == PARTITIONS
    for study in range(20):
        world.say(study, 1)
    world.quiet(member)
    world.check()


def test_what_was_read_of_a_topic_that_was_created_again_is_forgotten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    decided_studies(world, 20)
    member = world.member()
    starts = starved(member, monkeypatch, 1)
    member.turn(3)
    before = list(starts)
    assert before[-1] > 0
    monkeypatch.setattr(member.log, "topic_id", lambda _: "another")
    member.turn()
    assert starts[len(before)] == 0


def test_an_image_that_is_held_late_makes_a_revision_without_it(world: World) -> None:
    member = world.member()
    world.say(1, 0, 1, 2)
    world.quiet(member)
    world.hold(1, 1)
    world.quiet(member)
    first, second = world.revisions(1)
    assert world.manifest(second) == {digest_of(1, 0), digest_of(1, 2)}
    assert (second.instance_count, second.removals) == (2, {"2.25.1": 2})
    assert (first.last_received_at, first.removals) == (second.last_received_at, {})
    # Said again, by each assessment that follows, it changes nothing.
    world.hold(1, 1)
    world.say(1, 1, generation=2)
    world.quiet(member)
    assert len(world.records()) == 2
    assert world.uncommitted() == 0


def test_a_released_image_comes_back_and_what_was_said_without_it_is_known_to_be(world: World) -> None:
    member = world.member()
    world.say(1, 0, 1)
    world.quiet(member)
    world.hold(1, 1)
    world.quiet(member)
    world.release(1, 1)
    world.quiet(member)
    assert [event.instance_count for event in world.revisions(1)] == [2, 1, 2]
    assert world.revisions(1)[-1].removals == {"2.25.1": 2}
    # The assessment of what it is in now holds it again, which a person's word stands above.
    world.hold(1, 1)
    world.quiet(member)
    assert len(world.records()) == 3


def test_who_releases_a_file_that_was_cut_off_does_not_bring_back_another_patients_image(world: World) -> None:
    member = world.member()
    world.say(1, 0, 1)
    world.quiet(member)
    world.hold(1, 1)
    world.release(1, 1, code="truncated")
    world.quiet(member)
    world.check()
    assert world.manifest(world.revisions(1)[-1]) == {digest_of(1, 0)}


def test_a_rejected_image_is_taken_out_and_a_release_that_stands_for_it_after_that_brings_it_back(
    world: World,
) -> None:
    member = world.member()
    world.say(1, 0, 1)
    world.quiet(member)
    world.reject(1, 0, 1)
    world.quiet(member)
    assert [event.instance_count for event in world.revisions(1)] == [2, 0]
    world.release(1, 1)
    world.quiet(member)
    assert world.manifest(world.revisions(1)[-1]) == {digest_of(1, 1)}


def test_an_image_that_is_held_before_its_study_was_quiet_is_in_no_revision(world: World) -> None:
    member = world.member()
    world.say(1, 0, 1)
    world.say(2, 0)
    world.hold(1, 1)
    world.hold(2, 0)
    world.quiet(member)
    assert [event.instance_count for event in world.records()] == [1]
    assert world.uncommitted() == 0
