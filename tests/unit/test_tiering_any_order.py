"""Whatever the order of images, reads, holds, commands, restores and crashes: never a copy fewer than promised."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import cast

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.events import TierMoved
from streams.memory_group import MemoryConsumer
from tests.hooked_log import Crash
from tests.tiering_world import Member, World, days, key_of, new_world, study_uid

MEMBERS_MAX = 3

Action = tuple[str, int, int]


@dataclass
class Years:
    """The members that run, those that were expired and do not know, and what happens to them."""

    world: World = field(default_factory=new_world)
    members: list[Member] = field(default_factory=list)
    too_few: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.world.store.after = self.count
        self.world.store.archived = ("cold", "backup")

    def count(self, what: str, _: str) -> None:
        """After every deletion, every image that was ever backed up has its copies."""
        if what == "delete":
            for study, images in self.world.images.items():
                for image in images:
                    there = self.world.where(study, image)
                    if "backup" in there and len(there) < 2:
                        self.too_few.append(f"{study}/{image}")

    def does(self, what: str, a: int, b: int) -> None:
        getattr(self, what)(a, b)

    def receive(self, a: int, b: int) -> None:
        if b not in self.world.images.get(a % 3, ()):  # else revisions says nothing
            self.world.receive(a % 3, b)

    def read(self, a: int, _: int) -> None:
        self.world.read(a % 3)

    def hold(self, a: int, b: int) -> None:
        self.world.hold(a % 3, placed=b % 2 == 0)

    def command(self, a: int, b: int) -> None:
        self.world.command(days(self.world.clock.day + b * 20))

    def restore(self, a: int, _: int) -> None:
        self.world.restore(a % 3)

    def sleep(self, a: int, _: int) -> None:
        """What is archived of a study has to be asked for."""
        images = self.world.images.get(a % 3, ())
        self.world.store.asleep |= {(name, key_of(a % 3, image)) for name in ("cold", "backup") for image in images}

    def wake(self, _: int, __: int) -> None:
        self.world.store.asleep.clear()

    def wait(self, a: int, _: int) -> None:
        self.world.clock.day += a % 5 * 10

    def turn(self, a: int, b: int) -> None:
        if self.members:
            member = self.members[a % len(self.members)]
            try:
                for _ in range(1 + b % 8):
                    member.deciding.turn(0.002)
            except Crash:
                member.kill()
                self.members.remove(member)

    def join(self, a: int, _: int) -> None:
        if len(self.members) < MEMBERS_MAX:
            self.members.append(self.world.member(checkpoint_every=1 + a % 5))

    def kill(self, a: int, _: int) -> None:
        if self.members:
            self.members.pop(a % len(self.members)).kill()

    def expire(self, a: int, _: int) -> None:
        if self.members:
            consumer = self.members[a % len(self.members)].log.consumers[0].inner
            with contextlib.suppress(KeyError):
                self.world.log.expire("tiering", cast(MemoryConsumer, consumer))

    def crash(self, a: int, b: int) -> None:
        if self.members:
            hooks = self.members[a % len(self.members)].log.hooks

            def die(_: object) -> None:
                raise Crash

            setattr(hooks, ("before_send", "after_send", "before_commit")[b % 3], die)


ACTIONS = st.tuples(
    st.sampled_from(
        [
            "receive",
            "read",
            "hold",
            "command",
            "restore",
            "sleep",
            "wake",
            "wait",
            "turn",
            "turn",
            "turn",
            "turn",
            "join",
            "kill",
            "expire",
            "crash",
        ]
    ),
    st.integers(0, 7),
    st.integers(0, 7),
)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(ACTIONS, min_size=10, max_size=40))
def test_any_order_ends_with_every_promised_copy_where_the_policy_wants_it(years: list[Action]) -> None:
    run = Years()
    run.join(0, 0)
    for what, a, b in years:
        run.does(what, a, b)
    for member in run.members:
        member.kill()
    run.wake(0, 0)
    world = run.world
    for study in world.images:
        world.hold(study, placed=False)
    last = world.member()
    world.run(last, world.clock.day + 9 * 365)
    last.kill()
    assert run.too_few == []
    world.check()
    for study, images in world.images.items():
        for image in images:
            assert world.where(study, image) == {"cold", "backup"}
    assert not [event for event in world.events(TierMoved) if event.phase == "released" and event.holds]
    assert study_uid(0) == "2.25.1000"
