"""The tier command reaches every partition once, and what tiering does with it is followed to its end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from radstream.errors import Failure
from radstream.tier_command import COMMANDS, GROUP, Following, Progress, command, messages
from streams.config import Config, load
from streams.events import TierCommand
from streams.log import TopicPartition
from streams.memory_log import MemoryLog
from streams.wire import Record, decode
from tests.event_streams import Hospital, new_log, write
from tests.tiering_events import backed_up, grown_cold, moved

THEN = datetime(2036, 1, 1, tzinfo=UTC)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    path = tmp_path / "radstream.toml"
    path.write_text('[site]\ntenant = "general"\nsite = "north"\n[kafka]\nbootstrap = "none"\n')
    return load(path)


@contextmanager
def tiering(log: MemoryLog, hospital: Hospital, partitions: set[int]) -> Iterator[None]:
    """Answers the command in some partitions, as the service does: it moves, and then commits past the command."""
    names = [TopicPartition(COMMANDS, number) for number in partitions]
    ended = threading.Event()

    def answer() -> None:
        consumer = log.consumer(GROUP, [COMMANDS], lambda _: {}, lambda *_: None, co_partitioned=True)
        consumer.poll(1, 0)
        while not ended.wait(0.01):
            if all(end for _, end in log.bounds(names).values()):
                images = hospital.study("P1", "DOE")
                write(log, [*backed_up(hospital, images), *grown_cold(hospital, images)])
                consumer.commit(dict.fromkeys(names, 1))
                break
        consumer.close()

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def commands(log: MemoryLog) -> dict[int, list[Record]]:
    names = [TopicPartition(COMMANDS, number) for number in range(log.partitions(COMMANDS))]
    return {name.partition: list(log.read(name, *bounds)) for name, bounds in log.bounds(names).items()}


def test_the_command_is_one_event_with_a_record_in_every_partition(config: Config) -> None:
    log, hospital = new_log(), Hospital()
    event = command(config, THEN, None, simulated=True)
    with tiering(log, hospital, set(range(6))):
        found = Following(log).run(config, event, lambda _: None)
    records = commands(log)
    assert [len(found) for found in records.values()] == [1] * 6
    decoded = [decode(found[0]) for found in records.values()]
    assert decoded == [event] * 6
    assert (found.now, found.simulated, found.studies, found.objects, found.verified) == (THEN, True, 1, 12, 12)
    assert [(move.why, move.source, move.target, move.phase) for move in found.moves] == [
        ("backup", None, "backup", "verified"),
        ("age", "hot", "warm", "released"),
    ]


def test_one_study_is_asked_of_its_partition_alone(config: Config) -> None:
    log, hospital = new_log(), Hospital()
    event = command(config, THEN, "1.2.3", simulated=True)
    (number,) = messages(config, event, 6)
    with tiering(log, hospital, {number}):
        Following(log).run(config, event, lambda _: None)
    assert [number for number, found in commands(log).items() if found] == [number]
    (record,) = commands(log)[number]
    told = decode(record)
    assert isinstance(told, TierCommand)
    assert (told.study_uid, record.key) == ("1.2.3", b"general|1.2.3")


def test_tiering_that_does_nothing_is_named_after_a_while(config: Config) -> None:
    with pytest.raises(Failure, match=r"6 partitions have not come to the command.*radstream lag tiering"):
        Following(new_log()).run(config, command(config, THEN, None, simulated=True), lambda _: None, 0.3)


def test_a_move_that_is_abandoned_is_counted_apart() -> None:
    hospital, found = Hospital(), Progress()
    images = hospital.study("P1", "DOE")
    for event in backed_up(hospital, images):
        found.add(event)
    found.add(moved(hospital, images, 4, "planned", ["hot", "backup"], move=2, source="hot", target="warm"))
    assert found.moving == {images[0].instance.study_uid}
    found.add(moved(hospital, images, 5, "abandoned", ["hot", "backup"], move=2, source="hot", target="warm"))
    assert (len(found.moves), len(found.done), found.objects, found.moving) == (2, 1, 6, set())
