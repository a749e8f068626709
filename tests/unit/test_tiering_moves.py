"""A study goes down through hot, warm and cold, its bytes are deleted last, and never below what was promised."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams import reading_large
from streams.events import HoldCommand, TierMoved
from tests.large_objects import full
from tests.tiering_world import HOLDS, MOVED, TENANT, World, data_of, days, digest_of, key_of, new_world

BACKUP = ["backup planned", "backup copied", "backup verified"]
WARM = [f"warm {phase}" for phase in ("planned", "copied", "verified", "switched", "released")]
COLD = [f"cold {phase}" for phase in ("planned", "copied", "verified", "switched", "released")]


@pytest.fixture
def world() -> World:
    return new_world()


def test_a_new_study_is_backed_up_at_once(world: World) -> None:
    member = world.member()
    world.receive(1, 0, 1)
    world.settle(member)
    assert world.phases(1) == BACKUP
    assert world.where(1, 0) == world.where(1, 1) == {"hot", "backup"}
    (_, _, last) = world.moves(1)
    assert (last.why, last.source, last.serving, last.move) == ("backup", None, "hot", 1)
    assert all(copy.verified for item in last.items for copy in item.copies)
    assert last.provenance.config_digest == world.policy.digest
    world.check()


def test_a_study_with_an_image_that_there_is_no_disk_for_waits_alone(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_large, "LARGE_BYTES", len(data_of(1, 0)))
    world.store.objects_folder = full(tmp_path)
    member = world.member()
    world.receive(10, 0)
    for study in range(1, 4):
        world.receive(study, 0)
    world.settle(member)
    assert [world.where(study) for study in range(1, 4)] == [{"hot", "backup"}] * 3
    assert (world.phases(10), world.where(10)) == (["backup planned"], {"hot"})
    assert "store" not in member.health.failing()
    world.store.objects_folder = tmp_path / "large"
    world.clock.day += 0.01
    world.settle(member)
    assert world.phases(10) == BACKUP
    world.check()


def test_a_walk_through_hot_warm_and_cold_by_a_simulated_clock(world: World) -> None:
    member = world.member()
    for study in range(5):
        world.receive(study, 0, 1, 2)
    world.settle(member)
    world.run(member, 29)
    assert world.phases(0) == BACKUP
    world.run(member, 31)
    assert world.phases(0) == BACKUP + WARM
    assert world.where(0) == {"warm", "backup"}
    world.run(member, 8 * 365)
    for study in range(5):
        assert world.phases(study) == BACKUP + WARM + COLD
        assert world.where(study) == {"cold", "backup"}
        assert [event.decided_for for event in world.moves(study)][-1] == days(8 * 365)
    world.check()


def test_an_image_that_was_taken_out_of_its_study_goes_on_with_it(world: World) -> None:
    """It was held, or rejected: its bytes are kept, where those of the others are."""
    member = world.member()
    world.receive(1, 0, 1)
    world.settle(member)
    world.images[1].discard(1)
    world.receive(1)
    world.run(member, 31)
    assert world.where(1, 0) == world.where(1, 1) == {"warm", "backup"}
    assert {item.digest for item in world.moves(1)[-1].items} == {digest_of(1, 0), digest_of(1, 1)}


def test_real_time_does_what_a_command_does(world: World) -> None:
    member = world.member()
    world.receive(1, 0)
    world.settle(member)
    world.clock.day = 31
    world.settle(member)
    assert world.phases(1) == BACKUP + WARM
    world.check()


def test_a_command_of_a_long_time_ahead_skips_a_tier(world: World) -> None:
    member = world.member()
    world.receive(1, 0)
    world.run(member, 8 * 365)
    assert world.phases(1) == BACKUP + COLD
    world.check()


def test_a_command_may_be_about_one_study(world: World) -> None:
    member = world.member()
    world.receive(1, 0)
    world.receive(2, 0)
    world.settle(member)
    world.command(days(31), 1)
    world.settle(member)
    assert (world.where(1), world.where(2)) == ({"warm", "backup"}, {"hot", "backup"})


def test_a_simulated_date_is_not_acted_on_again_when_kafka_has_forgotten_the_group(world: World) -> None:
    member = world.member()
    world.receive(1, 0)
    world.run(member, 8 * 365)
    member.kill()
    world.receive(2, 0)
    world.clock.day = 8
    world.log._groups["tiering"].committed.clear()
    world.settle(world.member())
    assert (world.where(1), world.where(2)) == ({"cold", "backup"}, {"hot", "backup"})
    assert world.phases(2) == BACKUP


def test_a_read_keeps_a_study_hot_also_over_a_restart(world: World) -> None:
    member = world.member(checkpoint_every=1)
    world.receive(1, 0)
    world.settle(member)
    world.clock.day = 20
    world.read(1)
    world.settle(member)
    member.kill()
    member = world.member()
    world.run(member, 49)
    assert world.phases(1) == BACKUP
    world.run(member, 51)
    assert world.phases(1) == BACKUP + WARM
    assert world.moves(1)[-1].last_access_at == days(20)


def test_nothing_is_released_under_a_hold_and_all_goes_on_after_it(world: World) -> None:
    member = world.member(checkpoint_every=1)
    world.receive(1, 0)
    world.hold(1)
    world.run(member, 31)
    member.kill()
    member = world.member()
    world.run(member, 31)
    assert world.phases(1) == BACKUP
    assert world.where(1) == {"hot", "backup"}
    world.hold(1, placed=False)
    world.run(member, 31)
    assert world.phases(1) == BACKUP + WARM
    world.check()


def test_a_hold_that_was_released_is_not_placed_again_by_who_delivers_twice(world: World) -> None:
    member = world.member(checkpoint_every=1)
    world.receive(1, 0)
    world.hold(1)
    world.hold(1, placed=False)
    world.run(member, 1)
    member.kill()
    member = world.member()
    world.hold(1)
    world.run(member, 31)
    assert world.phases(1) == BACKUP + WARM


def test_a_hold_between_switched_and_released_keeps_every_copy(world: World) -> None:
    member = world.member()
    world.receive(1, 0)
    world.settle(member)

    def hold_after_the_switch(message: object) -> None:
        if world.phases(1)[-1:] == ["warm switched"] and not world.events(HoldCommand):
            world.hold(1)

    member.log.hooks.after_send = hold_after_the_switch
    world.run(member, 31)
    assert world.phases(1) == [*BACKUP, *WARM[:4], "warm abandoned"]
    assert world.moves(1)[-1].holds == ("court",)
    assert world.where(1) == {"hot", "warm", "backup"}
    world.hold(1, placed=False)
    world.run(member, 31)
    assert world.phases(1)[-5:] == WARM
    assert world.where(1) == {"warm", "backup"}
    world.check()


def test_a_late_image_after_a_move_starts_in_hot_and_what_is_warm_stays(world: World) -> None:
    member = world.member()
    world.receive(1, 0)
    world.run(member, 31)
    world.clock.day = 40
    world.receive(1, 1)
    world.settle(member)
    assert (world.where(1, 0), world.where(1, 1)) == ({"warm", "backup"}, {"hot", "backup"})
    assert len(world.moves(1)[-1].items) == 2
    world.run(member, 60)
    assert world.where(1, 1) == {"hot", "backup"}
    world.run(member, 71)
    assert (world.where(1, 0), world.where(1, 1)) == ({"warm", "backup"}, {"warm", "backup"})
    world.check()


def test_other_bytes_in_the_target_abandon_the_move_and_nothing_is_overwritten(world: World) -> None:
    member = world.member()
    world.receive(1, 0, 1)
    world.settle(member)
    world.put("warm", key_of(1, 1), b"other bytes")
    world.run(member, 31)
    assert world.phases(1) == [*BACKUP, "warm planned", "warm abandoned"]
    assert "hot" in world.where(1, 0) & world.where(1, 1)
    found = world.store.find(TENANT, "warm", key_of(1, 1))
    assert found is not None
    assert found.data == b"other bytes"
    world.run(member, 31)
    assert world.phases(1)[-2:] == ["warm planned", "warm abandoned"], "a person who asks again is served again"
    assert len(world.moves(1)) == 7
    world.store.delete(found.ref)
    world.run(member, 31)
    assert world.where(1, 0) == world.where(1, 1) == {"warm", "backup"}
    world.check()


def test_a_backup_copies_what_it_can_and_the_rest_keeps_the_study_where_it_is(world: World) -> None:
    member = world.member()
    world.put("backup", key_of(1, 1), b"other bytes")
    world.receive(1, 0, 1)
    world.run(member, 31)
    assert world.phases(1)[-1] == "backup verified"
    assert (world.where(1, 0), world.where(1, 1)) == ({"hot", "backup"}, {"hot"})
    assert not any(event.target == "warm" for event in world.moves(1))
    tried = len(world.moves(1))
    world.settle(member)
    assert len(world.moves(1)) == tried


def test_a_source_that_is_gone_is_copied_from_the_backup(world: World) -> None:
    member = world.member()
    world.receive(1, 0, 1)
    world.settle(member)
    world.drop("hot", key_of(1, 0))
    world.run(member, 31)
    assert world.where(1, 0) == world.where(1, 1) == {"warm", "backup"}
    world.check()


def test_a_copy_that_is_gone_at_the_moment_of_release_keeps_the_source(world: World) -> None:
    member = world.member()
    world.receive(1, 0, 1)
    world.settle(member)
    world.store.before = lambda what, _: world.drop("backup", key_of(1, 1)) if what == "exists" else None
    world.run(member, 31)
    assert "warm abandoned" in world.phases(1)
    assert "hot" in world.where(1, 1) or world.where(1, 1) >= {"warm", "backup"}
    world.store.before = lambda *_: None
    world.clock.day = 2
    world.run(member, 31)
    assert world.where(1, 1) == {"warm", "backup"}
    world.check()


def test_a_copy_that_rotted_since_it_was_verified_is_none_and_keeps_the_source(world: World) -> None:
    """The backup was read back on the first day; what counts is what it is when the source goes."""
    member = world.member()
    world.receive(1, 0, 1)
    world.settle(member)
    world.rot("backup", key_of(1, 1))
    world.run(member, 31)
    assert "hot" in world.where(1, 1)
    assert "warm abandoned" in world.phases(1)


def test_a_version_under_an_object_lock_stays(world: World) -> None:
    member = world.member()
    world.receive(1, 0)
    world.settle(member)
    world.store.locked.add(("hot", key_of(1, 0)))
    world.run(member, 31)
    assert world.phases(1)[-1] == "warm abandoned"
    assert world.where(1) == {"hot", "warm", "backup"}


def test_an_instance_that_is_nowhere_is_said_and_holds_nobody_else_back(world: World) -> None:
    member = world.member()
    world.receive(1, 0, 1)
    world.drop("hot", key_of(1, 1))
    world.settle(member)
    items = {item.digest: item for item in world.moves(1)[-1].items}
    assert items[digest_of(1, 1)].copies == ()
    assert world.where(1, 0) == {"hot", "backup"}


def test_a_study_of_too_many_instances_stays_and_is_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumers.tiering.policy.INSTANCES_MAX", 2)
    member = world.member()
    world.receive(1, 0, 1, 2)
    world.receive(2, 0)
    world.run(member, 31)
    assert world.phases(1) == []
    assert world.where(2) == {"warm", "backup"}


def test_a_record_that_cannot_be_understood_is_a_dead_letter_once(world: World) -> None:
    member = world.member()
    world.receive(1, 0)
    world.rubbish(HOLDS, 1)
    world.settle(member)
    member.kill()
    member = world.member()
    world.run(member, 31)
    assert world.dead_letters() == 1
    assert world.where(1) == {"warm", "backup"}


def test_of_two_decisions_with_one_number_the_first_counts(world: World) -> None:
    zombie = world.member()
    world.receive(1, 0)
    world.settle(zombie)
    world.log.expire("tiering", zombie.log.consumers[0].inner)
    heir = world.member()
    world.run(heir, 31)
    before = world.phases(1)
    last = world.events(TierMoved)[0]
    world.write(last)
    world.run(heir, 8 * 365)
    assert before == BACKUP + WARM
    assert world.phases(1) == BACKUP + WARM + COLD
    assert MOVED == "imaging.tier.moved"
    world.check()
