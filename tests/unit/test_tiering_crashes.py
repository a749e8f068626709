"""A process may die at any point of a move, and another one goes on: no copy too few, no phase twice, no byte lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from consumers.tiering.phases import Phases
from streams.log import LogAway
from streams.objects import StoreAway, StoreRefused
from streams.wire import Message
from tests.hooked_log import Crash
from tests.tiering_world import HOLDS, MOVED, Member, World, days, moved, new_world, study_uid
from tests.waiting import wait_until

IMAGES = 3
PHASES = ["backup planned", "backup copied", "backup verified"]
PHASES += [f"warm {phase}" for phase in ("planned", "copied", "verified", "switched", "released")]


@pytest.fixture
def world() -> World:
    return new_world()


def dies(world: World, member: Member) -> None:
    """It does what it has to do until it dies of it."""
    with pytest.raises(Crash):
        world.settle(member)
    member.kill()


def turned(member: Member, reached: Callable[[], bool]) -> bool:
    """Whether it got there, by a few turns more: its threads do the rest."""
    member.turn(3)
    return reached()


def of_phase(phase: str) -> Callable[[Message], None]:
    def crash(message: Message) -> None:
        if message.topic == MOVED and f"{moved(message).target} {moved(message).phase}" == phase:
            raise Crash

    return crash


def goes_on(world: World) -> None:
    world.settle(world.member())
    assert world.phases(1) == PHASES
    for image in range(IMAGES):
        assert world.where(1, image) == {"warm", "backup"}
    world.check()


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("when", ["before_send", "after_send"])
def test_a_crash_around_a_decision(world: World, when: str, phase: str) -> None:
    member = world.member()
    world.receive(1, *range(IMAGES))
    world.command(days(31))
    setattr(member.log.hooks, when, of_phase(phase))
    dies(world, member)
    goes_on(world)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("done", range(IMAGES))
@pytest.mark.parametrize(
    "what",
    [("create", "backup"), ("read", "backup"), ("create", "warm"), ("read", "warm"), ("delete", "hot")],
    ids=lambda what: " ".join(what),
)
def test_a_crash_around_an_effect(world: World, what: tuple[str, str], done: int, when: str) -> None:
    member = world.member()
    world.receive(1, *range(IMAGES))
    world.command(days(31))
    left = [done]

    def crash(*seen: str) -> None:
        if seen == what:
            left[0] -= 1
            if left[0] < 0:
                raise Crash

    setattr(world.store, when, crash)
    dies(world, member)
    assert world.where(1, 0) >= {"backup"} or what[1] == "backup"
    world.store.before = world.store.after = lambda *_: None
    goes_on(world)


@pytest.mark.parametrize("seen", [1, 4, 9])
def test_a_crash_before_a_commit(world: World, seen: int) -> None:
    member = world.member(checkpoint_every=2)
    world.receive(1, *range(IMAGES))
    world.command(days(31))

    def crash(_: object) -> None:
        if len(world.moves(1)) >= min(seen, len(PHASES)):
            raise Crash

    member.log.hooks.before_commit = crash
    dies(world, member)
    goes_on(world)


@pytest.mark.parametrize("away", ["warm", "backup", "hot"])
def test_a_store_that_is_away_is_waited_for(world: World, away: str) -> None:
    member = world.member()
    world.receive(1, *range(IMAGES))
    tries: list[str] = []

    def fails(_: str, store: str) -> None:
        if store == away and len(tries) < 5:
            tries.append(store)
            raise StoreAway("the store is away")

    world.store.before = fails
    world.run(member, 31)
    assert len(tries) == 5
    assert "store" not in member.health.failing()
    goes_on(world)


def test_what_the_target_refuses_stays_where_it_is(world: World) -> None:
    member = world.member()
    world.receive(1, *range(IMAGES))

    def refuses(what: str, store: str) -> None:
        if (what, store) == ("create", "warm"):
            raise StoreRefused("too large")

    world.store.before = refuses
    world.run(member, 31)
    assert world.phases(1) == [*PHASES[:4], "warm abandoned"]
    for image in range(IMAGES):
        assert world.where(1, image) == {"hot", "backup"}
    assert not member.health.failing().keys() - {"started"}


def test_while_the_store_is_away_the_service_says_so(world: World) -> None:
    member = world.member()
    world.receive(1, 0)

    def fails(*_: str) -> None:
        raise StoreAway("the store is away")

    def failing() -> str | None:
        member.turn()
        return member.health.failing().get("store")

    world.store.before = fails
    wait_until(failing, "the service to say so")
    assert member.health.failing()["store"] == "the store does not answer; waiting for it"


def test_while_the_log_is_away_nothing_is_lost(world: World) -> None:
    member = world.member()
    world.receive(1, *range(IMAGES))
    world.command(days(31))

    def away_for_a_while(message: Message) -> None:
        if moved(message).phase == "copied" and world.phases(1).count("warm planned"):
            world.log.away = True

    member.log.hooks.before_send = away_for_a_while
    wait_until(lambda: turned(member, lambda: world.log.away), "the log to be away")
    member.turn(3)
    assert member.health.failing()["log"] == "the log does not answer; waiting for it"
    member.log.hooks.before_send = lambda _: None
    world.log.away = False
    world.settle(member)
    assert world.where(1) == {"warm", "backup"}
    world.check()


def test_a_zombie_that_deletes_late_deletes_nothing_that_is_needed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paused for a month in the middle of a release, after its member has lost the partition."""
    zombie = world.member()
    world.receive(1, *range(IMAGES))
    world.settle(zombie)
    reached, goes = threading.Event(), threading.Event()
    do = Phases.__call__

    def paused(self: Phases, task: object) -> object:
        if task.work == "release" and not reached.is_set():  # type: ignore[attr-defined]
            reached.set()
            goes.wait(120)
            task.unwanted.clear()  # type: ignore[attr-defined]
        return do(self, task)

    monkeypatch.setattr(Phases, "__call__", paused)
    world.command(days(31))
    wait_until(lambda: turned(zombie, reached.is_set), "the release")
    world.log.expire("tiering", zombie.log.consumers[0].inner)
    heir = world.member()
    world.settle(heir)
    assert world.phases(1) == PHASES
    world.run(heir, 8 * 365)
    goes.set()
    for _ in range(20):
        zombie.deciding._acting.decide(zombie.deciding._states)
        threading.Event().wait(0.01)
    zombie.kill()
    world.run(heir, 8 * 365)
    for image in range(IMAGES):
        assert world.where(1, image) == {"cold", "backup"}
    world.check()


def test_a_hold_that_comes_while_bytes_are_deleted_keeps_what_is_left(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumers.tiering.copies.CHUNK_OBJECTS", 1)
    member = world.member()
    world.receive(1, *range(IMAGES))
    world.settle(member)
    first, held = threading.Event(), threading.Event()

    def one_then_wait(what: str, store: str) -> None:
        if (what, store) == ("delete", "hot"):
            first.set()
            held.wait(60)

    world.store.after = one_then_wait
    world.command(days(31))
    wait_until(lambda: turned(member, first.is_set), "the first object to be deleted")
    world.hold(1)
    member.turn(5)
    held.set()
    world.settle(member)
    assert world.phases(1)[-1] == "warm abandoned"
    assert [world.where(1, image) for image in range(IMAGES)].count({"hot", "warm", "backup"}) == IMAGES - 1
    verified = {item.digest: {copy.store for copy in item.copies} for item in world.moves(1)[-1].items}
    assert sorted(map(len, verified.values())) == [2, 3, 3], "the decision says what is there"
    world.check()


def test_a_log_that_is_away_while_bytes_are_deleted_keeps_what_is_left(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can know whether a hold is placed meanwhile, by those who still reach the log."""
    monkeypatch.setattr("consumers.tiering.copies.CHUNK_OBJECTS", 1)
    member = world.member()
    world.receive(1, *range(IMAGES))
    world.settle(member)
    first, away = threading.Event(), threading.Event()

    def one_then_wait(what: str, store: str) -> None:
        if (what, store) == ("delete", "hot"):
            first.set()
            away.wait(60)

    def fails(*_: object) -> None:
        raise LogAway("away")

    world.store.after = one_then_wait
    world.command(days(31))
    wait_until(lambda: turned(member, first.is_set), "the first object to be deleted")
    world.hold(1)
    with monkeypatch.context() as patched:
        patched.setattr(member.log.consumers[0], "poll", fails)
        member.turn()
        away.set()
        time.sleep(0.2)
    world.settle(member)
    assert world.phases(1)[-1] == "warm abandoned"
    assert [world.where(1, image) for image in range(IMAGES)].count({"hot", "warm", "backup"}) == IMAGES - 1


def test_a_hold_that_is_in_the_log_is_known_before_anything_is_deleted(world: World) -> None:
    """The hold was written while the member had not yet read it."""
    member = world.member()
    world.receive(1, 0)
    world.settle(member)
    deleted: list[str] = []
    world.store.before = lambda what, store: deleted.append(store) if what == "delete" else None

    def hold_late(message: Message) -> None:
        if moved(message).phase == "switched":
            world.hold(1)

    member.log.hooks.before_send = hold_late
    world.run(member, 31)
    assert deleted == []
    assert world.where(1) == {"hot", "warm", "backup"}
    assert (HOLDS, study_uid(1)) == ("imaging.hold.command", "2.25.1001")
