"""The projection against a real PostgreSQL: whatever order, however often, whatever breaks, the same catalog."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest
from msgspec import structs

from consumers.catalog.database import Cursor, Writer
from consumers.catalog.migrate import migrate
from consumers.catalog.step import Catalog
from streams.events import Event, InstanceReceived
from streams.step import Away, Input, LedgerMoved, TopicChanged
from streams.stop import Stop
from tests.catalogs import ALIKE, catalog_of, checksum_of, ends_of, project, projected, rows, unexpected
from tests.event_streams import Hospital, TestKeys, inputs, new_log, night, partitions_of, whole, write
from tests.postgres import Server


def test_random_interleavings_give_the_catalog_of_the_one_in_order(dsn: str) -> None:
    hospital, log = Hospital(seed=1), new_log()
    write(log, night(hospital))
    projected(dsn, log, hospital)
    in_order = checksum_of(dsn)
    assert all(table.rows for table in in_order.tables.values())
    for seed in range(8):
        schema = f"build{seed}"
        migrate(dsn, schema=schema)
        with catalog_of(dsn, log, hospital, schema) as catalog:
            project(catalog, log, random.Random(seed), size=100)
        assert checksum_of(dsn, schema).differing(in_order) == []
        assert checksum_of(dsn, schema).total == in_order.total
        for query in ALIKE:
            assert rows(dsn, query, schema) == rows(dsn, query)


def test_another_site_with_other_keys_has_the_same_checksum(dsn: str) -> None:
    here, there = Hospital(seed=2), Hospital(seed=2, keys=TestKeys("south"))
    for hospital, schema in ((here, "catalog"), (there, "south")):
        log = new_log()
        write(log, night(hospital))
        migrate(dsn, schema=schema)
        with catalog_of(dsn, log, hospital, schema) as catalog:
            project(catalog, log)
    blocks = "SELECT block_id FROM blocks ORDER BY 1"
    assert rows(dsn, blocks) != rows(dsn, blocks, "south")
    assert checksum_of(dsn).total == checksum_of(dsn, "south").total


def test_a_changed_name_changes_the_checksum(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    write(log, hospital.study("P1", "DOE^JANE"))
    projected(dsn, log, hospital)
    before = checksum_of(dsn)
    with psycopg.connect(dsn) as connection:
        connection.execute('UPDATE catalog.blocks SET attributes = attributes || \'{"PatientName": "ROE"}\'')
    assert checksum_of(dsn).differing(before) == ["blocks"]


def test_records_below_the_ledger_are_skipped(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    write(log, hospital.study("P1", "DOE"))
    projected(dsn, log, hospital)
    (partition,) = partitions_of(log)
    batch = inputs(log, partition)
    with catalog_of(dsn, log, hospital) as catalog:
        catalog.positions([partition])
        catalog.apply(batch, ends_of(batch))
    assert rows(dsn, "SELECT count(*) FROM arrivals") == [(len(batch),)]


class Mishap(Writer):
    """A writer whose server dies just before, or just after, the next commit."""

    when = "never"

    @contextmanager
    def transaction(self, *, rehearsal: bool = False) -> Iterator[Cursor]:
        with super().transaction(rehearsal=rehearsal) as cursor:
            yield cursor
            if self.when == "before":
                self.when = "never"
                with psycopg.connect(self.dsn, autocommit=True) as other:
                    other.execute("SELECT pg_terminate_backend(%s)", (cursor.connection.info.backend_pid,))
        if self.when == "after":
            self.when = "never"
            self.close()
            raise Away("the answer to the commit was lost")


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_connection_lost_around_a_commit_has_no_second_effect(dsn: str, when: str) -> None:
    hospital, log = Hospital(), new_log()
    write(log, hospital.study("P1", "DOE"))
    (partition,) = partitions_of(log)
    batch = inputs(log, partition)
    with closing(Mishap(dsn)) as writer:
        catalog = Catalog(writer, hospital.blocks, log.topic_id, unexpected)
        catalog.positions([partition])
        writer.when = when
        with pytest.raises(Away):
            catalog.apply(batch, ends_of(batch))
        catalog.apply(batch, ends_of(batch))
        write(log, hospital.study("P2", "ROE"))
    projected(dsn, log, hospital)
    assert rows(dsn, "SELECT count(*) FROM arrivals") == [(12,)]
    assert rows(dsn, "SELECT count(*) FROM instances") == [(12,)]


def test_a_server_that_crashed_is_waited_for(postgres: Server, dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    write(log, hospital.study("P1", "DOE"))
    (partition,) = partitions_of(log)
    first, rest = inputs(log, partition)[:2], inputs(log, partition)[2:]
    with catalog_of(dsn, log, hospital) as catalog:
        catalog.positions([partition])
        catalog.apply(first, ends_of(first))
        postgres.stop(signal.SIGQUIT)
        try:
            for _ in range(2):
                with pytest.raises(Away):
                    catalog.apply(rest, ends_of(rest))
        finally:
            postgres.start()
        catalog.apply(rest, ends_of(rest))
    assert rows(dsn, "SELECT count(*) FROM instances") == [(6,)]


def test_of_two_members_that_hold_one_partition_only_one_moves_the_ledger(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    write(log, hospital.study("P1", "DOE"))
    (partition,) = partitions_of(log)
    batch = inputs(log, partition)
    with catalog_of(dsn, log, hospital) as member, catalog_of(dsn, log, hospital) as zombie:
        for catalog in (member, zombie):
            assert catalog.positions([partition]) == {}
        member.apply(batch[:4], ends_of(batch[:4]))
        with pytest.raises(LedgerMoved):
            zombie.apply(batch[:2], ends_of(batch[:2]))
        assert zombie.positions([partition]) == {partition: 4}
        zombie.apply(batch, ends_of(batch))
        with pytest.raises(LedgerMoved):
            member.apply(batch[4:], ends_of(batch[4:]))
    assert rows(dsn, "SELECT count(*) FROM arrivals") == [(6,)]


def test_a_recreated_topic_stops(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    images = hospital.study("P1", "DOE")
    write(log, images)
    (partition,) = partitions_of(log)
    with catalog_of(dsn, log, hospital) as catalog:
        project(catalog, log)
        log.delete_topic(partition.topic)
        log.create_topic(partition.topic, 6)
        write(log, images)
        with pytest.raises(TopicChanged, match="recreated"):
            catalog.apply(inputs(log, partition), {partition: 6})
        with pytest.raises(TopicChanged, match="radstream catalog rebuild"):
            catalog.positions([partition])


def test_a_gap_in_the_revisions_of_a_study_stops_and_a_lower_one_is_ignored(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    images = hospital.study("P1", "DOE")
    first = hospital.revision(images)
    write(log, [first, first, hospital.revision(images[:2], 2), first, hospital.revision(images, 4)])
    (partition,) = partitions_of(log)
    batch = inputs(log, partition)
    with catalog_of(dsn, log, hospital) as catalog:
        catalog.positions([partition])
        catalog.apply(batch[:4], ends_of(batch[:4]))
        with pytest.raises(Stop, match="revision 4 comes after 2"):
            catalog.apply(batch[4:], ends_of(batch[4:]))
    assert rows(dsn, "SELECT revision, instance_count FROM study_revisions ORDER BY 1") == [(1, 6), (2, 2)]
    assert rows(dsn, "SELECT next_offset FROM ledger") == [(4,)]


def test_text_that_postgresql_cannot_hold_is_kept_readable(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    image = hospital.received(hospital.uid(), hospital.uid(), {"PatientID": "A\0B", "PatientName": "X\ud800Y"})
    source = structs.replace(image.source, calling_ae="CT\0ONE")
    write(log, [structs.replace(image, source=source)])
    projected(dsn, log, hospital)
    assert rows(dsn, "SELECT patient_id, name FROM patients") == [("A\ufffdB", "X\ufffdY")]
    assert rows(dsn, "SELECT calling_ae FROM arrivals") == [("CT\ufffdONE",)]


def test_a_record_whose_rows_are_refused_is_buried_and_the_rest_go_on(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    images = hospital.study("P1", "DOE")
    bad = structs.replace(images[3], meta=structs.replace(images[3].meta, event_id="SECRET^NAME"))
    write(log, [*images[:3], bad, *images[4:]])
    buried: list[tuple[int, str]] = []

    def bury(item: Input[Event], reason: str) -> None:
        buried.append((item.record.offset, reason))

    with catalog_of(dsn, log, hospital, bury=bury) as catalog:
        project(catalog, log)
    assert [offset for offset, _ in buried] == [3]
    assert "SECRET" not in buried[0][1]
    assert rows(dsn, "SELECT count(*) FROM instances") == [(5,)]
    assert rows(dsn, "SELECT next_offset FROM ledger") == [(6,)]


def test_an_instance_that_came_twice_with_other_content_is_kept_twice_and_the_first_is_served(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    (first,) = hospital.study("P1", "DOE", series=1, images=1)
    uids = first.instance
    other = hospital.received(
        uids.study_uid, uids.series_uid, {"PatientName": "OTHER"}, sop_instance_uid=uids.sop_instance_uid
    )
    write(log, [other, first, hospital.validated(other), hospital.validated(first)])
    projected(dsn, log, hospital)
    assert rows(dsn, "SELECT count(*) FROM instances") == [(2,)]
    assert rows(dsn, "SELECT digest FROM served_instances") == [(uids.digest,)]


def test_what_is_held_is_not_served_until_a_later_generation_lets_it_go(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    (image,) = hospital.study("P1", "DOE", series=1, images=1)
    write(log, [image])
    with catalog_of(dsn, log, hospital) as catalog:
        for event, served in (
            (hospital.quarantined(image), 0),
            (hospital.validated(image), 0),  # a zombie of the same generation says otherwise: held wins
            (hospital.validated(image, 2), 1),
            (hospital.quarantined(image, 1), 1),
            (hospital.quarantined(image, 3), 0),
        ):
            write(log, [event])
            project(catalog, log)
            assert rows(dsn, "SELECT count(*) FROM served_instances") == [(served,)]
    assert rows(dsn, "SELECT code FROM quarantined_instances") == [("truncated",)]


def with_block(image: InstanceReceived, **changes: str) -> InstanceReceived:
    """The event with its study's block elsewhere, or with another hash."""
    block = image.protected[0]
    placed = structs.replace(block.object, **changes)
    return structs.replace(image, protected=(structs.replace(block, object=placed),))


def test_an_erased_block_shows_as_a_tombstone_and_a_damaged_one_as_unreadable(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    erased, damaged = (hospital.study(name, name, series=1, images=1)[0] for name in ("ERASED", "DAMAGED"))
    write(log, [with_block(erased, key="gone"), with_block(damaged, sha256="0" * 64)])
    projected(dsn, log, hospital)
    states = rows(dsn, "SELECT study_uid, block_state FROM studies ORDER BY block_state")
    assert states == [(erased.instance.study_uid, "erased"), (damaged.instance.study_uid, "unreadable")]
    assert rows(dsn, "SELECT count(*) FROM patients") == [(0,)]
    assert rows(dsn, "SELECT count(*) FROM instances") == [(2,)]


def test_two_thousand_instances_take_few_statements(dsn: str, record_property: Any) -> None:
    hospital, log = Hospital(), new_log()
    write(log, whole(hospital, hospital.study("P1", "DOE", series=3, images=667)))
    count = sum(len(inputs(log, name)) for name in partitions_of(log))
    with catalog_of(dsn, log, hospital) as catalog:
        catalog.positions(partitions_of(log))
        started, cpu = time.monotonic(), time.process_time()
        project(catalog, log, size=500)
        wall_ms, cpu_ms = (time.monotonic() - started) * 1000, (time.process_time() - cpu) * 1000
    record_property("events", count)
    record_property("wall_ms_per_event", round(wall_ms / count, 3))
    print(f"\n{count} events: {wall_ms / count:.3f} ms of wall, {cpu_ms / count:.3f} ms of our CPU, each")  # noqa: T201
    assert rows(dsn, "SELECT count(*) FROM instances") == [(2002,)]
    assert rows(dsn, "SELECT sum(next_offset) FROM ledger") == [(count,)]
