"""The service: a node that is down, silent or in trouble keeps nobody else waiting, and rules begin with today."""

from __future__ import annotations

import threading
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from consumers.forward.__main__ import main
from consumers.forward.config import Settings
from streams.clock import SystemClock
from streams.config import Config, Site
from streams.events import Event, ForwardResult, HoldCommand, InstanceValidated
from streams.health import Health
from streams.log import TopicPartition
from streams.memory_log import MemoryLog
from streams.memory_store import MemoryStore
from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN
from streams.protected import ProtectedBlocks
from streams.protected_keys import FileKeys, create_key_file
from streams.routes.section import groups_of
from streams.runner_settings import RunnerSettings
from streams.service import Context
from streams.wire import SchemaIds, decode, encode
from tests import images
from tests.event_streams import new_log
from tests.hooked_log import everything
from tests.nodes import Node, node, silent
from tests.ports import free_port
from tests.received import validated
from tests.waiting import wait_until

PIXELS = np.zeros((1, 4, 4), np.uint16)
QUICK = RunnerSettings(deadline_s=5.0, world_wait_s=0.05, world_wait_s_max=0.2, park_wait_s=0.05, dead_letters_max=3)
RESULTS, HOLDS = "imaging.forward.result", "imaging.hold.command"


@dataclass
class World:
    """A site: its log and store outlive the service, which can be started again and again."""

    folder: Path
    log: MemoryLog = field(default_factory=lambda: new_log(3))
    store: MemoryStore = field(default_factory=MemoryStore)
    sent: int = 0

    def __post_init__(self) -> None:
        create_key_file(self.folder / "site-keys")
        self.rules("")

    @property
    def config(self) -> Config:
        text = f'[routes]\nfile = "routes.toml"\n[protected]\nkey_file = "{self.folder / "site-keys"}"\n'
        return Config(self.folder / "radstream.toml", text, tomllib.loads(text))

    @property
    def blocks(self) -> ProtectedBlocks:
        return ProtectedBlocks(self.store, FileKeys(self.folder / "site-keys"), "t")

    def rules(self, text: str, **ports: int) -> None:
        """Who is late is sent an image again: the one named `hung` is soon, and the others never."""
        nodes = (
            f'[destinations.{name}]\nae_title = "NODE"\nhost = "127.0.0.1"\nport = {port}\n'
            f"answer_s = {1.0 if name == 'hung' else 30.0}\n"
            for name, port in ports.items()
        )
        (self.folder / "routes.toml").write_text("".join(nodes) + text)

    @contextmanager
    def service(self, settings: RunnerSettings = QUICK) -> Iterator[Context]:
        health = Health(SystemClock())
        context = Context(
            "forward", self.config, Site(tenant="t", site="s"), self.log, self.store, SchemaIds(), health=health
        )
        thread = threading.Thread(target=main, args=(context, Settings(http_port=0, runner=settings)), daemon=True)
        thread.start()
        try:
            wait_until(lambda: "started" not in health.failing(), "the start")
            assert all(self.begun(group) for group in self.groups())
            yield context
        finally:
            context.stopping.set()
            thread.join(60)
            assert not thread.is_alive()

    def groups(self) -> list[str]:
        return [group for group in groups_of(self.config) if group.partition(".")[0] == "forward"]

    def begun(self, group: str) -> bool:
        return all(offset is not None for offset in self.log.committed(group, self._partitions()).values())

    def lag(self, group: str) -> int:
        committed = self.log.committed(group, self._partitions())
        return sum(end - (committed[name] or 0) for name, (_, end) in self.log.bounds(self._partitions()).items())

    def _partitions(self) -> list[TopicPartition]:
        return [TopicPartition("imaging.instance.validated", number) for number in range(3)]

    def arrive(self, studies: int = 1, count: int = 1, **attributes: object) -> list[InstanceValidated]:
        """Images of several studies, by turns."""
        made = []
        for _ in range(count):
            for study in range(studies):
                self.sent += 1
                uids = {"StudyInstanceUID": f"1.2.{study + 1}", "SOPInstanceUID": f"1.2.{study + 1}.{self.sent}"}
                event = validated(self.store, images.native(PIXELS, **uids, **attributes)).event
                instance = structs.replace(event.instance, sop_class_uid=images.CT)
                made.append(structs.replace(event, instance=instance))
        self.write(made)
        return made

    def write(self, events: Iterable[Event]) -> None:
        producer = self.log.producer()
        for event in events:
            producer.send(encode(event, SchemaIds(), source="test")).result()

    def results(self, target: str) -> list[ForwardResult]:
        found = [decode(record) for record in everything(self.log, RESULTS)]
        return [one for one in found if isinstance(one, ForwardResult) and one.target == target]

    def holds(self) -> list[HoldCommand]:
        return [one for record in everything(self.log, HOLDS) if isinstance(one := decode(record), HoldCommand)]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def uids(events: Iterable[InstanceValidated], study: str = "") -> list[str]:
    return [one.instance.sop_instance_uid for one in events if not study or one.instance.study_uid == study]


def assert_in_order(there: Node, events: list[InstanceValidated]) -> None:
    assert sorted(there.instances) == sorted(uids(events))
    for study in {one.instance.study_uid for one in events}:
        wanted = uids(events, study)
        assert [one for one in there.instances if one in wanted] == wanted


def test_a_silent_node_and_one_that_is_down_keep_a_third_from_nothing(world: World) -> None:
    with ExitStack() as nodes:
        good, hung = nodes.enter_context(node([EXPLICIT_VR_LITTLE_ENDIAN])), nodes.enter_context(silent())
        down = free_port()
        rule = '[[rules]]\nname = "all"\nforward = ["good", "hung", "down"]\n'
        world.rules(rule, good=good.port, hung=hung.port, down=down)
        with world.service() as context:
            events = world.arrive(studies=5, count=8)
            wait_until(lambda: len(world.results("good")) == 40, "everything at the good node")
            wait_until(lambda: world.lag("forward.good") == 0, "the good node's lag of zero")
            assert_in_order(good, events)
            wait_until(lambda: hung.associations, "the silent node to be tried")
            assert (world.lag("forward.hung"), world.lag("forward.down")) == (40, 40)
            # What waits for others is no fault of the service, and it says so.
            assert context.health.failing() == {}
            # And who comes back gets all of it, in order.
            back = nodes.enter_context(node([EXPLICIT_VR_LITTLE_ENDIAN], port=down))
            wait_until(lambda: world.lag("forward.down") == 0, "the lag of who came back")
            assert_in_order(back, events)
    assert world.results("hung") == []


def test_more_associations_keep_the_order_of_each_study(world: World) -> None:
    together = threading.Barrier(2)

    def answer(number: int) -> int:
        if number < 2:
            together.wait(30)
        return 0x0000

    with node([EXPLICIT_VR_LITTLE_ENDIAN], answer) as there:
        world.rules('[[rules]]\nname = "all"\nforward = ["node"]\n', node=there.port)
        text = (world.folder / "routes.toml").read_text()
        (world.folder / "routes.toml").write_text(text.replace("answer_s", "associations = 3\nanswer_s"))
        with world.service():
            events = world.arrive(studies=12, count=5)
            wait_until(lambda: world.lag("forward.node") == 0, "a lag of zero")
        assert_in_order(there, events)
        # Neither of the first two was answered before the other had come.
        assert there.associations > 1


def test_a_destination_gets_what_comes_from_its_first_day_on_and_then_all_of_it(world: World) -> None:
    world.rules("")
    with world.service():
        before = world.arrive(count=3)
        wait_until(lambda: world.lag("forward") == 0, "a lag of zero")
    with node([EXPLICIT_VR_LITTLE_ENDIAN]) as there:
        world.rules('[[rules]]\nname = "all"\nforward = ["node"]\n', node=there.port)
        with world.service():
            first = world.arrive(count=2)
            wait_until(lambda: len(there.instances) == 2, "what came since")
            wait_until(lambda: world.lag("forward.node") == 0, "its commit")
        second = world.arrive(count=2)
        with world.service():
            wait_until(lambda: len(there.instances) == 4, "what came while it was stopped")
    assert there.instances == uids([*first, *second])
    assert not set(there.instances) & set(uids(before))


def test_a_destination_that_stops_is_said_and_the_others_go_on(world: World) -> None:
    with node([EXPLICIT_VR_LITTLE_ENDIAN]) as good, node([EXPLICIT_VR_LITTLE_ENDIAN], lambda _: 0xA900) as bad:
        world.rules('[[rules]]\nname = "all"\nforward = ["good", "bad"]\n', good=good.port, bad=bad.port)
        with world.service() as context:
            world.arrive(count=6)
            wait_until(lambda: world.lag("forward.good") == 0, "the good node's lag of zero")
            stopped = wait_until(lambda: context.health.failing().get("forward.bad"), "the stop of the bad one")
            assert "more than 3 dead letters" in stopped
            world.arrive(count=2)
            wait_until(lambda: len(good.instances) == 8, "what came after the stop")
            assert context.health.alive
        letters = everything(world.log, "imaging.deadletter.forward")
        assert {record.header("origin_group") for record in letters} == {"forward.bad"}
        assert len(letters) == 3
        assert [one.outcome for one in world.results("bad")] == ["failed"] * 3
        # A restart does not forget how many there were, and counts nobody else's.
        with world.service() as context:
            wait_until(lambda: context.health.failing().get("forward.bad"), "the stop after a restart")
            assert "forward.good" not in context.health.failing()


def test_what_waits_by_itself_is_tried_again_by_its_own_group_alone(world: World) -> None:
    """Both groups read the topic of what waits; the object of one image is not there yet."""
    with node([EXPLICIT_VR_LITTLE_ENDIAN]) as one, node([EXPLICIT_VR_LITTLE_ENDIAN]) as two:
        world.rules('[[rules]]\nname = "all"\nforward = ["one", "two"]\n', one=one.port, two=two.port)
        away = MemoryStore()
        event = validated(away, images.native(PIXELS)).event
        event = structs.replace(event, instance=structs.replace(event.instance, sop_class_uid=images.CT))
        with world.service():
            world.write([event])
            parked = wait_until(lambda: everything(world.log, "imaging.retry.forward"), "what waits")
            validated(world.store, images.native(PIXELS))
            wait_until(lambda: one.instances and two.instances, "its arrival")
            wait_until(lambda: all(world.lag(group) == 0 for group in world.groups()), "a lag of zero")
        assert {record.header("origin_group") for record in parked} <= {"forward.one", "forward.two"}
        assert len(set(one.instances)) == len(set(two.instances)) == 1


def test_tags_and_holds_need_no_destination_and_one_hold_is_for_a_study(world: World) -> None:
    rules = '[[rules]]\nname = "trial"\nmatch.tags.PatientID = "A*"\ntag = ["trial-7", "paid"]\nhold = "for DOE^JANE"\n'
    world.rules(rules)
    with world.service():
        world.arrive(count=2, PatientID="B1")
        events = world.arrive(studies=2, count=3, PatientID="A1")
        wait_until(lambda: world.lag("forward") == 0, "a lag of zero")
    tagged = world.results("trial-7")
    assert sorted(one.instance.digest for one in tagged) == sorted(one.instance.digest for one in events)
    assert {one.rules for one in tagged} == {("trial",)}
    assert len({one.meta.event_id for one in (*tagged, *world.results("paid"))}) == 12
    placed = world.holds()
    assert sorted(one.study_uid for one in placed) == ["1.2.1", "1.2.2"]
    assert len({one.hold_id for one in placed}) == 2
    assert {(one.actor, world.blocks.read_note(one.why)) for one in placed} == {("rule trial", "for DOE^JANE")}
    log = b"".join(record.value or b"" for topic in (RESULTS, HOLDS) for record in everything(world.log, topic))
    assert b"DOE" not in log


def test_a_hold_that_is_placed_again_has_the_same_name_and_id(world: World) -> None:
    world.rules('[[rules]]\nname = "all"\nhold = "everything"\n')
    for _ in range(2):
        with world.service():
            world.arrive()
            wait_until(lambda: world.lag("forward") == 0, "a lag of zero")
    first, second = world.holds()
    assert (first.meta.event_id, first.hold_id, first.why) == (second.meta.event_id, second.hold_id, second.why)
