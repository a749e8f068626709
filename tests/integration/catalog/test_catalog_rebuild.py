"""The catalog rebuilt from the log: equal, or it says where not; and switched without the live consumer noticing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from consumers.catalog import rebuild as module
from consumers.catalog.rebuild import Rebuild, Rebuilt
from streams.log import OffsetOutOfRange, TopicPartition
from streams.memory_log import MemoryLog
from streams.stop import Stop
from streams.wire import Message
from tests.catalogs import catalog_of, checksum_of, project, projected, rows
from tests.event_streams import Hospital, new_log, night, partitions_of, write


def rebuilt(dsn: str, log: MemoryLog, hospital: Hospital, *, switch: bool = False) -> Rebuilt:
    return Rebuild(dsn, log, hospital.blocks, lambda *_: None).run(switch=switch)


def test_a_rebuild_has_the_checksum_of_the_live_catalog(dsn: str) -> None:
    hospital, log = Hospital(seed=3), new_log()
    write(log, night(hospital))
    projected(dsn, log, hospital)
    told: list[tuple[int, int]] = []
    found = Rebuild(dsn, log, hospital.blocks, lambda done, total: told.append((done, total))).run(switch=False)
    assert found.equal is True
    assert found.live == found.rebuilt == checksum_of(dsn)
    assert found.records == told[-1][0] == told[-1][1] > 0
    assert not found.switched


def test_a_switch_goes_unnoticed_by_the_live_consumer(dsn: str) -> None:
    hospital, log = Hospital(seed=3), new_log()
    with catalog_of(dsn, log, hospital) as live:
        for number in range(8):  # enough for its statements to be prepared on the server
            write(log, hospital.study(f"P{number}", "DOE"))
            project(live, log)
        left = live.positions(partitions_of(log))
        assert rebuilt(dsn, log, hospital, switch=True).equal is True
        write(log, hospital.study("P9", "ROE"))
        project(live, log)
        assert sum(left.values()) == 48
    assert rows(dsn, "SELECT count(*) FROM instances") == [(54,)]
    assert rows(dsn, "SELECT count(*) FROM instances", "catalog_replaced") == [(48,)]
    # Rebuilt rows say nothing of the way of an image, those after it do again.
    assert rows(dsn, "SELECT count(cataloged_at) FROM instances") == [(6,)]


def test_a_writer_that_is_in_the_way_of_the_switch_ends_up_in_the_new_tables(dsn: str) -> None:
    hospital, log = Hospital(seed=4), new_log()
    write(log, hospital.study("P1", "DOE"))
    with catalog_of(dsn, log, hospital) as live:
        project(live, log)
        done = threading.Event()
        failed: list[BaseException] = []

        def keep_writing() -> None:
            number = 0
            try:
                while not done.is_set():
                    number += 1
                    write(log, hospital.study(f"P{number}", "DOE", series=1, images=1))
                    project(live, log)
            except BaseException as error:  # noqa: BLE001 - told to the test
                failed.append(error)

        writer = threading.Thread(target=keep_writing)
        writer.start()
        try:
            found = [rebuilt(dsn, log, hospital, switch=True) for _ in range(3)]
        finally:
            done.set()
            writer.join()
        assert failed == []
        assert [one.equal for one in found] == [True, True, True]
        project(live, log)
    assert rebuilt(dsn, log, hospital).equal is True


def test_a_damaged_catalog_is_told_by_its_tables_and_replaced_only_where_a_person_put_it_aside(dsn: str) -> None:
    hospital, log = Hospital(seed=5), new_log()
    write(log, night(hospital))
    projected(dsn, log, hospital)
    good = checksum_of(dsn).total
    with psycopg.connect(dsn) as connection:
        connection.execute("DELETE FROM catalog.findings")
        connection.execute("UPDATE catalog.copies SET sha256 = 'x'")
    damaged = checksum_of(dsn).total
    for switch in (False, True):
        found = rebuilt(dsn, log, hospital, switch=switch)
        assert (found.equal, found.switched) == (False, False)
        assert found.differing == ["copies", "findings"]
        assert checksum_of(dsn).total == damaged
    with psycopg.connect(dsn) as connection:
        connection.execute("ALTER SCHEMA catalog RENAME TO catalog_differing")
    assert rebuilt(dsn, log, hospital, switch=True).switched
    assert checksum_of(dsn).total == good


def test_a_catalog_that_was_dropped_is_built_and_taken(dsn: str) -> None:
    hospital, log = Hospital(seed=6), new_log()
    write(log, night(hospital))
    projected(dsn, log, hospital)
    good = checksum_of(dsn).total
    with psycopg.connect(dsn) as connection:
        connection.execute("DROP SCHEMA catalog CASCADE")
    found = rebuilt(dsn, log, hospital, switch=True)
    assert (found.equal, found.live) == (None, None)
    assert checksum_of(dsn).total == good


def test_a_catalog_of_a_topic_that_was_deleted_is_replaced_by_one_of_what_the_log_holds(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE_S", 0.1)
    hospital, log = Hospital(), new_log()
    write(log, hospital.study("P1", "DOE"))
    projected(dsn, log, hospital)
    (partition,) = partitions_of(log)
    log.delete_topic(partition.topic)
    log.create_topic(partition.topic, 6)
    write(log, hospital.study("P2", "ROE", series=1, images=1))
    found = rebuilt(dsn, log, hospital, switch=True)
    assert (found.live, found.switched) == (None, True)
    assert rows(dsn, "SELECT count(*) FROM instances") == [(1,)]


def test_a_live_catalog_that_lags_and_stands_is_not_compared(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE_S", 0.1)
    hospital, log = Hospital(), new_log()
    write(log, hospital.study("P1", "DOE"))
    projected(dsn, log, hospital)
    write(log, hospital.study("P2", "ROE"))
    assert rebuilt(dsn, log, hospital).equal is None


def test_records_that_nobody_can_read_are_counted(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    write(log, hospital.study("P1", "DOE"))
    headers = (("schema_subject", b"imaging.instance.received"), ("schema_version", b"1"))
    log.producer().send(Message("imaging.instance.received", b"k", b"\0\0\0\0\1rubbish", headers)).result()
    with psycopg.connect(dsn) as connection:
        connection.execute("DROP SCHEMA catalog CASCADE")
    found = rebuilt(dsn, log, hospital, switch=True)
    assert (found.records, found.unreadable) == (7, 1)


def test_a_log_that_has_forgotten_its_beginning_stops_the_rebuild(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    write(log, hospital.study("P1", "DOE"))
    (partition,) = partitions_of(log)
    log.trim(TopicPartition(partition.topic, partition.partition), 2)
    with pytest.raises(OffsetOutOfRange):
        rebuilt(dsn, log, hospital)


@contextmanager
def another_rebuild(dsn: str) -> Iterator[None]:
    with psycopg.connect(dsn, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", (module._LOCK,))
        yield


def test_two_rebuilds_at_once_are_refused(dsn: str) -> None:
    with another_rebuild(dsn), pytest.raises(Stop, match="another rebuild"):
        rebuilt(dsn, new_log(), Hospital())
