"""The runner of projections, on the fake log: the ledger alone says what was read."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

from streams.config import Config, Site
from streams.events import Event
from streams.log import LogAway, LogRefused, OffsetOutOfRange, TopicPartition
from streams.memory_log import MemoryLog
from streams.memory_store import MemoryStore
from streams.projecting import ProjectingSettings, ProjectionRunner
from streams.projecting_moves import Moves
from streams.service import Context
from streams.step import Away, Input, LedgerMoved, TopicChanged
from streams.stop import Stop
from streams.wire import Record, SchemaIds, encode
from tests.deciding_world import HandClock
from tests.event_streams import new_log
from tests.runner_bench import RECEIVED, arrivals
from tests.waiting import wait_until

DEAD = "imaging.deadletter.catalog"
QUICK = ProjectingSettings(wait_s=0.02, wait_s_max=0.1, dead_letters_max=3)


class Table:
    """A projection into memory, with a ledger that is compared and set."""

    name = "catalog"

    def __init__(self) -> None:
        self.rows: list[str] = []
        self.ledger: dict[TopicPartition, int] = {}
        self.left: dict[TopicPartition, int] = {}
        self.sizes: list[int] = []
        self.away = threading.Event()
        self.asked_while_away = threading.Event()

    def positions(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        self._reach()
        self.left = self.left | dict.fromkeys(partitions, 0) | self.ledger
        return {name: self.ledger[name] for name in partitions if name in self.ledger}

    def apply(self, batch: Sequence[Input[Event]], ends: Mapping[TopicPartition, int]) -> None:
        self._reach()
        if any(self.ledger.get(name, 0) != self.left[name] for name in ends):
            raise LedgerMoved("the ledger is not where it was left")
        self.sizes.append(len(batch))
        self.ledger.update(ends)
        self.left.update(ends)
        # Last: where a test has seen the rows, nothing of what is here has yet to come.
        self.rows.extend(item.event.meta.event_id for item in batch)

    def _reach(self) -> None:
        if self.away.is_set():
            self.asked_while_away.set()
            raise Away


class Running:
    def __init__(self, log: MemoryLog, table: Table) -> None:
        site = Site(tenant="general", site="north")
        self.context = Context("catalog", Config(Path(), "", {}), site, log, MemoryStore(), SchemaIds())
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, args=(ProjectionRunner(self.context, table, QUICK),))
        self.thread.start()

    def _run(self, runner: ProjectionRunner) -> None:
        try:
            runner.run()
        except (Stop, TopicChanged, LogRefused, OffsetOutOfRange) as error:
            self.error = error

    def ended(self) -> BaseException | None:
        self.thread.join(60)
        assert not self.thread.is_alive()
        return self.error

    def stop(self) -> None:
        self.context.stopping.set()
        assert self.ended() is None


@pytest.fixture
def log() -> MemoryLog:
    return new_log()


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
def running(log: MemoryLog, table: Table) -> Iterator[Running]:
    started = Running(log, table)
    yield started
    started.context.stopping.set()
    started.thread.join(60)


def write(log: MemoryLog, events: Sequence[Event]) -> list[str]:
    producer = log.producer()
    for event in events:
        producer.send(encode(event, SchemaIds(), source="test")).result()
    return sorted(event.meta.event_id for event in events)


def test_every_record_is_applied_once_in_batches(log: MemoryLog, table: Table) -> None:
    expected = write(log, arrivals(6, 50))
    running = Running(log, table)
    wait_until(lambda: len(table.rows) == 300, "all rows")
    running.stop()
    assert sorted(table.rows) == expected
    assert len(table.sizes) < 30, "records of several partitions share a transaction"
    committed = log.committed("catalog", list(table.ledger))
    assert committed == table.ledger, "the group's offsets show how far it is"


def test_reading_starts_where_the_ledger_is_and_not_where_the_group_is(log: MemoryLog, table: Table) -> None:
    events = arrivals(1, 60)
    expected = write(log, events)
    first = Running(log, table)
    wait_until(lambda: len(table.rows) == 60, "all rows")
    first.stop()
    empty, half = Table(), Table()
    half.ledger = dict.fromkeys(table.ledger, 30)
    for projection, rows in ((empty, 60), (half, 30)):
        again = Running(log, projection)
        wait_until(lambda: len(projection.rows) == rows, "the rows that are missing")  # noqa: B023 - called at once
        again.stop()
    assert sorted(empty.rows) == expected
    assert half.rows == [event.meta.event_id for event in events[30:]]


def test_offsets_that_kafka_forgot_are_committed_again_from_the_ledger(log: MemoryLog, table: Table) -> None:
    """A power cut takes what was committed and not what the ledger says; lag is told by the former."""
    events = arrivals(1, 60)
    write(log, events)
    other = new_log()
    first = Running(log, table)
    wait_until(lambda: len(table.rows) == 60, "all rows")
    first.stop()
    write(other, events)
    again = Running(other, table)
    wait_until(lambda: other.committed("catalog", list(table.ledger)) == table.ledger, "the ledger's offsets")
    again.stop()
    assert len(table.rows) == 60


def test_while_the_database_is_away_the_same_batch_waits(log: MemoryLog, table: Table, running: Running) -> None:
    wait_until(lambda: not running.context.health.failing().keys() - {"started"}, "a start")
    table.away.set()
    expected = write(log, arrivals())
    assert table.asked_while_away.wait(30)
    wait_until(lambda: "database" in running.context.health.failing(), "readiness saying so")
    assert table.rows == []
    table.away.clear()
    wait_until(lambda: sorted(table.rows) == expected, "all rows")
    wait_until(lambda: "database" not in running.context.health.failing(), "readiness being back")


def test_nothing_is_said_to_be_away_that_is_back_though_nothing_comes(
    log: MemoryLog, table: Table, running: Running
) -> None:
    health = running.context.health
    wait_until(lambda: table.left, "its partitions")
    log.away = True
    wait_until(lambda: "log" in health.failing(), "the service saying that the log is away")
    log.away = False
    wait_until(lambda: "log" not in health.failing(), "the service taking it back")


@pytest.fixture
def away(table: Table) -> Table:
    """Its database does not answer before a projection starts."""
    table.away.set()
    return table


def test_a_database_that_came_late_is_not_said_to_be_away_though_nothing_comes(away: Table, running: Running) -> None:
    health = running.context.health
    wait_until(lambda: "database" in health.failing(), "the service saying that the database is away")
    away.away.clear()
    wait_until(lambda: "database" not in health.failing(), "the service taking it back")


@pytest.mark.parametrize("place", [1, 5], ids=["back", "ahead"])
def test_where_somebody_moved_the_ledger_reading_starts_again_from_there(
    log: MemoryLog, table: Table, running: Running, place: int
) -> None:
    events = arrivals(1, 6)
    names = [event.meta.event_id for event in events]
    write(log, events[:3])
    wait_until(lambda: len(table.rows) == 3, "the first rows")
    (name,) = table.ledger
    table.rows, table.ledger = names[:place], {name: place}
    write(log, events[3:])
    wait_until(lambda: table.ledger == {name: 6}, "all that the log holds")
    running.stop()
    assert table.rows == names, "each once, in order"
    assert log.committed("catalog", [name]) == {name: 6}


def test_a_database_that_is_away_when_the_ledger_moved_is_waited_for(
    log: MemoryLog, table: Table, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = arrivals(1, 6)
    names = [event.meta.event_id for event in events]
    write(log, events[:3])
    wait_until(lambda: len(table.rows) == 3, "the first rows")
    (name,) = table.ledger
    apply = table.apply

    def apply_and_go_away(*batch: Any) -> None:
        try:
            apply(*batch)
        except LedgerMoved:
            table.away.set()
            raise

    monkeypatch.setattr(table, "apply", apply_and_go_away)
    table.rows, table.ledger = names[:1], {name: 1}
    write(log, events[3:])
    assert table.asked_while_away.wait(30)
    table.away.clear()
    wait_until(lambda: table.rows == names, "each once, in order")


def test_a_ledger_that_moves_again_and_again_stops_the_projection(log: MemoryLog) -> None:
    class Contested(Table):
        def apply(self, batch: Sequence[Input[Event]], ends: Mapping[TopicPartition, int]) -> None:
            self.sizes.append(len(batch))
            raise LedgerMoved("the ledger is not where it was left")

    table = Contested()
    write(log, arrivals(1, 4))
    error = Running(log, table).ended()
    assert isinstance(error, Stop)
    assert "5 times in 60 s" in error.reason
    assert "start the service again" in error.reason
    assert len(table.sizes) == 5


def test_moves_far_apart_stop_nothing() -> None:
    clock = HandClock()
    moves = Moves("catalog", clock)
    for _ in range(20):
        clock.seconds += 15
        moves.count("it moved")
    with pytest.raises(Stop):
        moves.count("it moved")


def test_dead_letters_are_written_before_the_ledger_moves_past_them(log: MemoryLog, table: Table) -> None:
    events = arrivals(1, 5)
    good = [encode(event, SchemaIds(), source="test") for event in events]
    producer = log.producer()
    for message in (*good[:2], replace(good[2], value=b"garbage"), *good[3:]):
        producer.send(message).result()
    running = Running(log, table)
    wait_until(lambda: len(table.rows) == 4, "the others")
    running.stop()
    assert sorted(table.ledger.values()) == [5]
    names = [TopicPartition(DEAD, number) for number in range(log.partitions(DEAD))]
    (dead,) = [record for name, (_, end) in log.bounds(names).items() for record in log.read(name, 0, end)]
    assert (dead.value, dead.header("origin_topic"), dead.header("origin_offset")) == (b"garbage", RECEIVED, "2")


def test_too_many_dead_letters_and_an_unknown_schema_stop_it(log: MemoryLog, table: Table) -> None:
    producer = log.producer()
    message = encode(arrivals(1, 1)[0], SchemaIds(), source="test")
    for _ in range(4):
        producer.send(replace(message, value=b"garbage")).result()
    error = Running(log, table).ended()
    assert isinstance(error, Stop)
    assert "more than 3 dead letters" in error.reason
    assert table.ledger == {}
    fresh = new_log()
    newer = tuple((name, b"9" if name == "schema_version" else value) for name, value in message.headers)
    fresh.producer().send(replace(message, headers=newer)).result()
    error = Running(fresh, table).ended()
    assert isinstance(error, Stop)
    assert "version 9" in error.reason


@pytest.mark.parametrize("lost", [0, 1, 3], ids=["first", "within a batch", "between batches"])
def test_a_record_that_the_log_leaves_out_stops_it(log: MemoryLog, table: Table, lost: int) -> None:
    write(log, (events := arrivals(1, 5))[:1])
    (name,) = [name for name in partitions(log, RECEIVED) if log.bounds([name])[name][1]]
    table.ledger = {name: 0}
    if lost == 3:
        write(log, events[1:3])
        first = Running(log, table)
        wait_until(lambda: len(table.rows) == 3, "the first batch")
        first.stop()
        write(log, events[3:])
    else:
        write(log, events[1:])
    held = log.partition(name)
    held.records = [replace_offset(record, lost) for record in held.records]
    error = Running(log, table).ended()
    assert isinstance(error, Stop)
    assert f"came where {lost} is the next" in error.reason
    assert table.rows == [event.meta.event_id for event in events[: lost if lost == 3 else 0]]


def partitions(log: MemoryLog, topic: str) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for number in range(log.partitions(topic))]


def replace_offset(record: Record, lost: int) -> Record:
    """As if the broker left out one: the records after it have the offsets that they had."""
    return replace(record, offset=record.offset + 1) if record.offset >= lost else record


def test_a_recreated_topic_stops_it(log: MemoryLog, table: Table, running: Running) -> None:
    events = arrivals(1, 4)
    write(log, events[:3])
    wait_until(lambda: len(table.rows) == 3, "the first rows")
    log.delete_topic(RECEIVED)
    log.create_topic(RECEIVED, 6)
    write(log, events[3:])
    # This ledger knows no topic ids: where it looks in vain is out of range. Either way it stops.
    assert isinstance(running.ended(), TopicChanged | LogRefused | OffsetOutOfRange)


def test_offsets_that_are_kept_again_are_said_to_be_also_while_records_come(log: MemoryLog, table: Table) -> None:
    """Under a steady load there is something to commit each time: it was never ready again."""
    clock = HandClock()
    site = Site(tenant="general", site="north")
    context = Context("catalog", Config(Path(), "", {}), site, log, MemoryStore(), SchemaIds(), clock)
    runner = ProjectionRunner(context, table, QUICK)
    runner._consumer = consumer = MagicMock()
    consumer.commit.side_effect = [LogAway("no answer"), LogAway("no answer"), None]
    for offset in (1, 2):
        runner._uncommitted = {TopicPartition(RECEIVED, 0): offset}
        runner._commit()
        clock.seconds += 11.0
    assert "offsets" in context.health.failing()
    runner._uncommitted = {TopicPartition(RECEIVED, 0): 3}
    runner._commit()
    assert "offsets" not in context.health.failing()
