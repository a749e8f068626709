"""Reads of studies: a viewer that scrolls through a study is two events, whatever it reads."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from streams.accesses import INTERVAL_S, TOPIC, Accesses
from streams.config import Site
from streams.events import AccessRead
from streams.log import TopicPartition
from streams.memory_log import MemoryLog
from streams.wire import SchemaIds, decode
from tests.event_streams import START, new_log


@dataclass
class HandClock:
    now_s: float = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.now_s)

    def monotonic(self) -> float:
        return self.now_s


@dataclass
class Reading:
    """A recorder over a log in memory."""

    remembered_max: int = 10
    log: MemoryLog = field(default_factory=new_log)
    clock: HandClock = field(default_factory=HandClock)

    def __post_init__(self) -> None:
        site = Site(tenant="general", site="north")
        self.accesses = Accesses(self.log, SchemaIds(), site, self.clock, remembered_max=self.remembered_max)

    def events(self) -> list[AccessRead]:
        found = []
        for number in range(self.log.partitions(TOPIC)):
            name = TopicPartition(TOPIC, number)
            found += [decode(record) for record in self.log.read(name, *self.log.bounds([name])[name])]
        return [event for event in found if isinstance(event, AccessRead)]

    def told(self) -> list[tuple[str, str, int]]:
        return sorted((event.study_uid, event.reader, event.reads) for event in self.events())


@pytest.fixture
def reading() -> Reading:
    return Reading()


def test_the_first_read_is_told_at_once_and_the_rest_in_one_event(reading: Reading) -> None:
    for _ in range(412):
        reading.accesses.record("1.2", "viewer")
        reading.clock.now_s += 1
    assert reading.told() == [("1.2", "viewer", 1)]
    reading.clock.now_s = INTERVAL_S
    reading.accesses.flush_due()
    assert reading.told() == [("1.2", "viewer", 1), ("1.2", "viewer", 411)]
    summed = next(event for event in reading.events() if event.reads == 411)
    assert (summed.first_at - START, summed.last_at - START) == (timedelta(seconds=1), timedelta(seconds=411))


def test_no_interval_has_two_events_of_one_study_and_reader(reading: Reading) -> None:
    """An hour of reading, one each second: seven events, at least ten minutes apart."""
    for _ in range(3600):
        reading.accesses.record("1.2", "viewer")
        reading.clock.now_s += 1
    reading.accesses.close()
    events = sorted(reading.events(), key=lambda event: event.meta.occurred_at)
    assert sum(event.reads for event in events) == 3600
    times = [(event.meta.occurred_at - START).total_seconds() for event in events]
    assert len(times) == 7
    assert all(later - sooner >= INTERVAL_S for sooner, later in itertools.pairwise(times))


def test_an_interval_without_reads_is_forgotten_and_the_next_read_is_told_at_once(reading: Reading) -> None:
    reading.accesses.record("1.2", "viewer")
    reading.clock.now_s = INTERVAL_S
    reading.accesses.record("1.2", "viewer", 5)
    assert reading.told() == [("1.2", "viewer", 1), ("1.2", "viewer", 5)]


def test_studies_and_readers_are_counted_apart(reading: Reading) -> None:
    for study, reader in (("1.2", "viewer"), ("1.2", "CT_ROOM"), ("1.3", "viewer")):
        reading.accesses.record(study, reader, 2)
    assert reading.told() == [("1.2", "CT_ROOM", 2), ("1.2", "viewer", 2), ("1.3", "viewer", 2)]


def test_what_is_left_is_written_on_close_and_nothing_twice(reading: Reading) -> None:
    reading.accesses.record("1.2", "viewer")
    reading.accesses.record("1.2", "viewer", 3)
    assert reading.accesses.close() == 0
    assert reading.told() == [("1.2", "viewer", 1), ("1.2", "viewer", 3)]


def test_memory_is_bounded_and_no_count_is_lost_by_that() -> None:
    reading = Reading(remembered_max=2)
    for _ in range(3):
        for study in ("1.1", "1.2", "1.3"):
            reading.accesses.record(study, "viewer")
    assert len(reading.accesses._sums) == 2
    reading.accesses.close()
    assert sum(event.reads for event in reading.events()) == 9


def test_threads_count_together(reading: Reading) -> None:
    threads = [
        threading.Thread(target=lambda: [reading.accesses.record("1.2", "viewer") for _ in range(200)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reading.accesses.close()
    assert sum(event.reads for event in reading.events()) == 800
    assert len(reading.events()) == 2


def test_a_log_that_is_away_fails_nobodys_read(reading: Reading) -> None:
    reading.log.away = True
    reading.accesses.record("1.2", "viewer")
    reading.log.away = False
    reading.clock.now_s = INTERVAL_S
    reading.accesses.record("1.2", "viewer", 7)
    assert reading.told() == [("1.2", "viewer", 7)]
