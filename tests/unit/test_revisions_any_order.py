"""Whatever the order of images, holds, releases, crashes, zombies and rebalances: no gap, and the last revision holds
every image that is not held."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import cast

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas import Lane
from streams.memory_group import MemoryConsumer
from tests.deciding_world import QUIET_S, CrashingStore, Member, World, new_world
from tests.hooked_log import Crash

LANES: list[Lane] = ["stat", "routine", "bulk"]
MEMBERS_MAX = 3

Action = tuple[str, int, int]


def crash(_: object) -> None:
    raise Crash


@dataclass
class Night:
    """The members that run, those that were expired and do not know, and what happens to them."""

    world: World = field(default_factory=new_world)
    members: list[Member] = field(default_factory=list)

    def does(self, what: str, a: int, b: int) -> None:
        getattr(self, what)(a, b)

    def say(self, a: int, b: int) -> None:
        self.world.say(a % 3, b, lane=LANES[b % 3])

    def hold(self, a: int, b: int) -> None:
        self.world.hold(a % 3, b)

    def reject(self, a: int, b: int) -> None:
        self.world.reject(a % 3, b)

    def release(self, a: int, b: int) -> None:
        self.world.release(a % 3, b)

    def turn(self, a: int, _: int) -> None:
        if self.members:
            member = self.members[a % len(self.members)]
            try:
                member.turn()
            except Crash:
                member.kill()
                self.members.remove(member)

    def wait(self, a: int, _: int) -> None:
        self.world.clock.seconds += QUIET_S * (a % 4) / 2

    def join(self, a: int, _: int) -> None:
        if len(self.members) < MEMBERS_MAX:
            self.members.append(self.world.member(checkpoint_every=1 + a % 3))

    def kill(self, a: int, _: int) -> None:
        if self.members:
            self.members.pop(a % len(self.members)).kill()

    def leave(self, a: int, _: int) -> None:
        if self.members:
            member = self.members.pop(a % len(self.members))
            with contextlib.suppress(Crash):
                member.deciding.close()
            member.kill()

    def expire(self, a: int, _: int) -> None:
        if self.members:
            consumer = self.members[a % len(self.members)].log.consumers[0].inner
            self.world.log.expire("revisions", cast(MemoryConsumer, consumer))

    def zombie_decides(self, a: int, _: int) -> None:
        """Without a poll in between: it may have lost everything by now."""
        if self.members:
            deciding = self.members[a % len(self.members)].deciding
            with contextlib.suppress(Crash):
                deciding._acting.decide(deciding._states)

    def crash_after_put(self, _: int, __: int) -> None:
        cast(CrashingStore, self.world.store).crash = True

    def crash_around_send(self, a: int, b: int) -> None:
        if self.members:
            hooks = self.members[a % len(self.members)].log.hooks
            setattr(hooks, ("before_send", "after_send")[b % 2], crash)

    def crash_before_commit(self, a: int, _: int) -> None:
        if self.members:
            self.members[a % len(self.members)].log.hooks.before_commit = crash

    def morning(self) -> None:
        """Nothing fails any more: one member is left and everything is read."""
        while self.members:
            self.kill(0, 0)
        cast(CrashingStore, self.world.store).crash = False
        self.world.quiet(self.world.member())


WHAT = ["say"] * 5 + ["turn"] * 6 + ["wait"] * 3 + ["join"] * 2 + ["zombie_decides"] * 2
WHAT += ["hold"] * 2 + ["reject", "release"]
WHAT += ["kill", "leave", "expire", "crash_after_put", "crash_around_send", "crash_before_commit"]
actions = st.lists(st.tuples(st.sampled_from(WHAT), st.integers(0, 11), st.integers(0, 11)), max_size=80)


@given(actions)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_order_ends_in_gapless_revisions_with_every_image_that_is_not_held(night: list[Action]) -> None:
    running = Night()
    for action in night:
        running.does(*action)
    running.morning()
    running.world.check()
    assert running.world.uncommitted() == 0
    # Two records of one event id are one event: whoever reads the first or the second sees the same instances.
    by_id: dict[str, set[str]] = {}
    for event in running.world.records():
        by_id.setdefault(event.meta.event_id, set()).add(event.set_digest)
    assert all(len(digests) == 1 for digests in by_id.values())
