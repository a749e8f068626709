"""Lag as a library: rates, the time to catch up, lanes, modalities, and how little it asks for."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping

import msgspec
import pytest
from prometheus_client import REGISTRY

from radstream.lag_look import hurting_first
from schemas import Lane, load_topics
from streams.events import Technical
from streams.gauges import Board
from streams.lagging.figures import Lag, LaneLag
from streams.lagging.meter import Meter
from streams.lagging.pace import Counted, Pace, Rates, catch_up_s
from streams.lagging.publishing import publish
from streams.lagging.sampling import SAMPLE, term
from streams.log import TopicPartition
from streams.memory_log import MemoryLog
from streams.wire import Record, SchemaIds, encode
from tests.deciding_world import HandClock, World, new_world

PLACE = ("derive", "routine")


class CountingLog(MemoryLog):
    """Notes what is asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def heads(self, positions: Mapping[TopicPartition, int], records_max: int) -> Mapping[TopicPartition, list[Record]]:
        self.asked.append(f"heads of {len(positions)}")
        return super().heads(positions, records_max)

    def bounds(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, tuple[int, int]]:
        self.asked.append("bounds")
        return super().bounds(partitions)

    def committed(self, group: str, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int | None]:
        self.asked.append("committed")
        return super().committed(group, partitions)


@pytest.fixture
def world() -> World:
    return new_world()


def say(world: World, study: int, image: int, modality: str | None, lane: Lane = "routine") -> None:
    event = world.validated(study, image, lane, 1)
    event = msgspec.structs.replace(event, technical=Technical(modality=modality))
    world.producer.send(encode(event, SchemaIds(), source="test")).result()


def lanes_of(found: Lag) -> dict[tuple[str, str], LaneLag]:
    return {(one.group, one.lane): one for group in found.groups for one in group.lanes}


def test_rates_are_those_of_the_window_and_not_of_ever() -> None:
    pace = Pace(window_s=10)
    assert pace.rates(PLACE) is None
    pace.tell(0, {PLACE: Counted(0, 0)})
    assert pace.rates(PLACE) is None
    pace.tell(5, {PLACE: Counted(50, 10)})
    assert pace.rates(PLACE) == Rates(10, 2)
    pace.tell(10, {PLACE: Counted(50, 20)})
    pace.tell(15, {PLACE: Counted(50, 30)})
    assert pace.rates(PLACE) == Rates(0, 2)


def test_a_slow_watcher_has_rates_all_the_same() -> None:
    pace = Pace(window_s=10)
    for at_s, settled in ((0, 0), (100, 50), (200, 150)):
        pace.tell(at_s, {PLACE: Counted(0, settled)})
    assert pace.rates(PLACE) == Rates(0, 1)


def test_a_group_that_was_set_back_has_settled_nothing() -> None:
    pace = Pace()
    pace.tell(0, {PLACE: Counted(100, 100)})
    pace.tell(10, {PLACE: Counted(120, 0)})
    assert pace.rates(PLACE) == Rates(2, 0)


@pytest.mark.parametrize(
    ("lag", "rates", "seconds"),
    [
        (0, None, 0.0),
        (0, Rates(5, 0), 0.0),
        (100, None, None),
        (100, Rates(0, 10), 10.0),
        (100, Rates(5, 10), 20.0),
        (100, Rates(10, 10), None),
        (100, Rates(10, 5), None),
        (100, Rates(0, 0), None),
    ],
)
def test_the_time_to_catch_up(lag: int, rates: Rates | None, seconds: float | None) -> None:
    assert catch_up_s(lag, rates) == seconds


def test_each_lane_is_on_its_own(world: World) -> None:
    world.say(1, 0, 1, lane="stat")
    world.say(2, 0, lane="bulk")
    found = lanes_of(Meter(world.log, ["derive"], HandClock()).read())
    assert {lane: one.lag for (_, lane), one in found.items()} == {"stat": 2, "routine": 0, "bulk": 1, "-": 0}
    assert [lane for _, lane in found] == ["stat", "routine", "bulk", "-"]
    assert found["derive", "routine"].oldest_age_s is None


def test_every_topic_a_group_reads_is_in_one_of_its_lanes(world: World) -> None:
    for group in Meter(world.log, load_topics().groups, HandClock()).read().groups:
        counted = sum(1 for topic in load_topics().read_by(group.group) for _ in range(world.log.partitions(topic)))
        assert len(group.partitions) == counted
        assert {one.lane for one in group.partitions} == {one.lane for one in group.lanes}


def test_modalities_are_those_of_the_records_that_wait_and_the_sample_says_its_size(world: World) -> None:
    for image in range(SAMPLE + 5):
        say(world, 1, image, "MR" if image == 3 else "CT")
    say(world, 1, 100, "US", "stat")
    say(world, 1, 101, None, "stat")
    found = lanes_of(Meter(world.log, ["derive"], HandClock()).read())
    routine, stat = found["derive", "routine"], found["derive", "stat"]
    assert (routine.lag, routine.sampled) == (SAMPLE + 5, SAMPLE)
    assert {one.modality: one.sampled for one in routine.modalities} == {"CT": SAMPLE - 1, "MR": 1}
    assert {one.modality for one in stat.modalities} == {"US", "unknown"}


def test_what_no_router_of_ours_lets_through_is_no_label() -> None:
    assert [term(word) for word in ("CT", "", None, "Doe^Jane", "1.2.840.10008", "CT ", "A" * 11)] == [
        "CT", "unknown", "unknown", "other", "other", "other", "other",
    ]  # fmt: skip


def test_rates_and_catching_up_come_with_the_second_measurement(world: World) -> None:
    clock = HandClock()
    member, meter = world.member(), Meter(world.log, ["revisions"], clock)
    world.say(1, 0, 1, 2, 3)
    first = lanes_of(meter.read())["revisions", "routine"]
    assert (first.lag, first.in_per_s, first.out_per_s, first.catch_up_s) == (4, None, None, None)
    clock.seconds += 10
    world.say(1, 4)
    second = lanes_of(meter.read())["revisions", "routine"]
    assert (second.lag, second.in_per_s, second.out_per_s, second.catch_up_s) == (5, 0.1, 0.0, None)
    world.quiet(member)
    clock.seconds += 10
    third = lanes_of(meter.read())["revisions", "routine"]
    assert (third.lag, third.in_per_s, third.out_per_s, third.catch_up_s) == (0, 0.05, 0.25, 0.0)


def test_it_asks_a_few_things_however_many_partitions() -> None:
    log = CountingLog()
    for name, topic in load_topics().topics.items():
        for physical in load_topics().physical(name):
            log.create_topic(physical, 48 if topic.co_partitioned else 1)
    world = World(log)
    for study in range(40):
        world.say(study, 0)
    meter = Meter(log, load_topics().groups, HandClock())
    meter.read()
    looks = [asked for asked in log.asked if asked.startswith("heads")]
    assert log.asked.count("bounds") == 1
    assert log.asked.count("committed") == len(load_topics().groups)
    assert len(looks) == 1
    # Nobody moved: what waits is known.
    meter.read()
    assert [asked for asked in log.asked if asked.startswith("heads")] == looks


def test_groups_at_different_places_of_one_partition_are_all_looked_at(world: World) -> None:
    world.say(1, 0)
    world.quiet(world.member())
    world.say(1, 1)
    found = lanes_of(Meter(world.log, ["revisions", "derive"], HandClock()).read())
    assert found["revisions", "routine"].sampled == 1
    assert found["derive", "routine"].sampled == 2
    assert found["revisions", "routine"].oldest_age_s is not None


def test_what_hurts_most_comes_first() -> None:
    def lane(group: str, lag: int, oldest: float | None, out: float = 0.0) -> LaneLag:
        return LaneLag(group, "routine", lag, oldest, 0, (), 0.0, out, None)

    listed = [lane("idle", 0, None), lane("busy", 0, None, 5), lane("many", 9, 2.0), lane("few", 1, 2.0)]
    listed.append(lane("old", 1, 60.0))
    assert [one.group for one in hurting_first(listed)] == ["old", "many", "few", "busy", "idle"]


@pytest.fixture
def samples() -> Callable[[], dict[tuple[str, ...], float]]:
    def read() -> dict[tuple[str, ...], float]:
        return {
            (one.name, *(one.labels[name] for name in sorted(one.labels))): one.value
            for family in REGISTRY.collect()
            for one in family.samples
            if one.name.startswith("radstream_group_")
        }

    return read


def test_metrics_say_what_is_known_and_forget_what_is_gone(
    world: World, samples: Callable[[], dict[tuple[str, ...], float]]
) -> None:
    clock, board = HandClock(), Board()
    member, meter = world.member(), Meter(world.log, ["revisions"], clock)
    say(world, 1, 0, "CT")
    publish(meter.read(), board)
    place = ("revisions", "routine")
    assert samples()["radstream_group_lag_records", *place] == 1
    assert ("radstream_group_oldest_of_modality_seconds", *place, "CT") in samples()
    assert ("radstream_group_catch_up_seconds", *place) not in samples()
    clock.seconds += 10
    publish(meter.read(), board)
    assert samples()["radstream_group_catch_up_seconds", *place] == math.inf
    world.quiet(member)
    clock.seconds += 10
    publish(meter.read(), board)
    assert samples()["radstream_group_lag_records", *place] == 0
    assert samples()["radstream_group_catch_up_seconds", *place] == 0
    assert ("radstream_group_oldest_seconds", *place) not in samples()
    assert ("radstream_group_oldest_of_modality_seconds", *place, "CT") not in samples()
    publish(Lag(clock.now(), 0, None, ()), board)
    assert samples() == {}


def test_no_label_is_a_uid(world: World) -> None:
    say(world, 7, 0, "1.2.840.10008.1")
    board = Board()
    publish(Meter(world.log, load_topics().groups, HandClock()).read(), board)
    labels = [one.labels for family in REGISTRY.collect() for one in family.samples if "_group_" in one.name]
    publish(Lag(HandClock().now(), 0, None, ()), board)
    assert {name for one in labels for name in one} == {"group", "lane", "modality"}
    assert {one["group"] for one in labels} == set(load_topics().groups)
    assert {one["lane"] for one in labels} == {*load_topics().lanes, "-"}
    assert {one["modality"] for one in labels if "modality" in one} == {"other"}
