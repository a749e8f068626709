"""What the catalog says of tiers, copies, holds and reads, against a real PostgreSQL."""

from __future__ import annotations

import psycopg
import pytest
from msgspec import structs

from consumers.catalog.counts import open_work
from consumers.catalog.database import snapshot
from consumers.catalog.rebuild import Rebuild
from consumers.catalog.study import study
from consumers.catalog.tiers import page
from streams.stop import Stop
from tests.catalogs import catalog_of, checksum_of, ends_of, project, projected, rows
from tests.event_streams import TENANT, Hospital, inputs, new_log, partitions_of, write
from tests.tiering_events import archived, backed_up, grown_cold, hold, read

COPIES = "SELECT store, verified, count(*) FROM current_copies WHERE study_uid = '{}' GROUP BY 1, 2 ORDER BY 1, 2"


def test_copies_are_where_the_last_phase_left_them(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    images = hospital.study("P1", "DOE")
    query = COPIES.format(images[0].instance.study_uid)
    with catalog_of(dsn, log, hospital) as catalog:
        for events, expected in (
            (images, [("hot", False, 6)]),
            (backed_up(hospital, images), [("backup", True, 6), ("hot", True, 6)]),
            (grown_cold(hospital, images), [("backup", True, 6), ("warm", True, 6)]),
        ):
            write(log, events)
            project(catalog, log)
            assert rows(dsn, query) == expected
        late = hospital.received(images[0].instance.study_uid, images[0].instance.series_uid, {})
        write(log, [late])
        project(catalog, log)
    assert rows(dsn, query) == [("backup", True, 6), ("hot", False, 1), ("warm", True, 6)]
    assert rows(dsn, "SELECT seq, move, phase, serving, objects FROM study_tiers") == [(8, 2, "released", "warm", 6)]
    assert rows(dsn, "SELECT count(*), min(seq), max(seq) FROM tier_moves") == [(8, 1, 8)]


def test_a_later_record_of_a_seq_that_counts_changes_nothing(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    images = hospital.study("P1", "DOE")
    first, second, third = backed_up(hospital, images[:3])
    (zombie,) = [event for event in backed_up(hospital, images) if event.seq == 3]
    with catalog_of(dsn, log, hospital) as catalog:
        for events in ([first, second, third], [zombie, second], [zombie]):
            write(log, events)
            project(catalog, log)
            assert rows(dsn, "SELECT count(*) FROM tier_items") == [(3,)]
            assert rows(dsn, "SELECT seq, objects FROM study_tiers") == [(3, 3)]


def test_a_gap_in_the_moves_of_a_study_stops(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    images = hospital.study("P1", "DOE")
    first, second, third = backed_up(hospital, images)
    write(log, [first, second, first, structs.replace(third, seq=4)])
    (partition,) = partitions_of(log)
    batch = inputs(log, partition)
    with catalog_of(dsn, log, hospital) as catalog:
        catalog.positions([partition])
        catalog.apply(batch[:3], ends_of(batch[:3]))
        with pytest.raises(Stop, match=r"seq 4 comes after 2.*imaging\.tier\.moved"):
            catalog.apply(batch[3:], ends_of(batch[3:]))
    assert rows(dsn, "SELECT seq FROM study_tiers") == [(2,)]


def test_a_hold_says_who_placed_and_who_released_it_and_why(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    write(log, [hold(hospital, "1.2", "trial", why="Study NEURO-7"), hold(hospital, "1.2", "legal")])
    write(log, [hold(hospital, "1.2", "legal", "released", "settled"), hold(hospital, "1.3", "legal")])
    projected(dsn, log, hospital)
    query = "SELECT study_uid, hold_id, in_force, placed_by, why, release_why FROM holds ORDER BY 1, 2"
    assert rows(dsn, query) == [
        ("1.2", "legal", False, "records.office", "a case", "settled"),
        ("1.2", "trial", True, "records.office", "Study NEURO-7", None),
        ("1.3", "legal", True, "records.office", "a case", None),
    ]


def test_an_erased_note_is_a_tombstone_in_the_next_rebuild(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    placed = hold(hospital, "1.2", "legal", why="Doe v. Roe")
    gone = structs.replace(placed.why, object=structs.replace(placed.why.object, key="gone"))
    write(log, [structs.replace(placed, why=gone)])
    projected(dsn, log, hospital)
    assert rows(dsn, "SELECT in_force, why, why_state FROM holds") == [(True, None, "erased")]


def test_reads_are_summed_and_the_same_event_twice_counts_once(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    once = read(hospital, "1.2", 412)
    last = read(hospital, "1.2", 3, "CT_VIEWER")
    write(log, [once, last, once])
    projected(dsn, log, hospital)
    assert rows(dsn, "SELECT sum(reads), max(last_at) FROM accesses") == [(415, last.last_at)]


def test_a_rebuild_has_the_moves_the_holds_and_the_reads(dsn: str) -> None:
    hospital, log = Hospital(seed=5), new_log()
    images = hospital.study("P1", "DOE")
    write(log, [*images, *archived(hospital, images)])
    projected(dsn, log, hospital)
    found = Rebuild(dsn, log, hospital.blocks, lambda *_: None).run(switch=False)
    assert found.equal is True
    assert found.rebuilt.tables["current_copies"].rows == 2 * len(images)


@pytest.mark.parametrize(
    ("damage", "differing"),
    [
        ("UPDATE catalog.study_tiers SET serving = 'hot'", ["study_tiers"]),
        (
            "DELETE FROM catalog.tier_items WHERE digest = (SELECT min(digest) FROM catalog.tier_items)",
            ["current_copies"],
        ),
        ("DELETE FROM catalog.hold_commands WHERE action = 'released'", ["hold_commands"]),
        ("UPDATE catalog.hold_commands SET why = 'another reason'", ["hold_commands"]),
        ("UPDATE catalog.accesses SET reads = reads + 1", ["accesses"]),
    ],
)
def test_the_checksum_sees_damage(dsn: str, damage: str, differing: list[str]) -> None:
    hospital, log = Hospital(seed=5), new_log()
    images = hospital.study("P1", "DOE")
    write(log, [*images, *archived(hospital, images)])
    projected(dsn, log, hospital)
    before = checksum_of(dsn)
    with psycopg.connect(dsn) as connection:
        connection.execute(damage.encode())
    assert checksum_of(dsn).differing(before) == differing


def open_tiering(dsn: str) -> tuple[int, int]:
    with snapshot(dsn) as cursor:
        found = open_work(cursor)
    return found["moves under way"], found["studies that tiering has not seen whole"]


def test_what_tiering_has_yet_to_do_is_open_work(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    images, others = hospital.study("P1", "DOE"), hospital.study("P2", "ROE")
    with catalog_of(dsn, log, hospital) as catalog:
        planned, copied, verified = backed_up(hospital, images)
        for events, expected in (
            ([hospital.revision(images)], (0, 0)),  # a site that keeps no backups
            ([planned, copied], (1, 0)),
            ([verified], (0, 0)),
            ([hospital.revision(others)], (0, 1)),
            (list(grown_cold(hospital, images))[:4], (1, 1)),
        ):
            write(log, events)
            project(catalog, log)
            assert open_tiering(dsn) == expected


def test_studies_are_listed_by_the_store_that_serves_them_in_pages(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    studies = [hospital.study(f"P{number}", "DOE", series=1, images=2) for number in range(5)]
    for number, images in enumerate(studies):
        write(log, backed_up(hospital, images))
        if number < 3:
            write(log, grown_cold(hospital, images))
    held = studies[0][0].instance.study_uid
    write(log, [hold(hospital, held, "legal"), hold(hospital, held, "other"), read(hospital, held)])
    write(log, [hold(hospital, held, "other", "released")])
    projected(dsn, log, hospital)
    with snapshot(dsn) as cursor:
        first = page(cursor, TENANT, limit=2, serving="warm")
        second = page(cursor, TENANT, limit=2, serving="warm", after=first.next)
        every = page(cursor, TENANT, limit=50)
    warm = sorted(images[0].instance.study_uid for images in studies[:3])
    assert [line.study_uid for line in (*first.studies, *second.studies)] == warm
    assert (len(every.studies), every.next, second.next) == (5, None, None)
    assert [(one.serving, one.studies, one.objects) for one in every.sums] == [("hot", 2, 4), ("warm", 3, 6)]
    (line,) = (line for line in every.studies if line.study_uid == held)
    assert (line.holds, line.phase, line.last_read_at is not None) == (1, "released", True)


def test_a_study_says_where_its_originals_are_what_holds_it_and_when_it_was_read(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    images = hospital.study("P1", "DOE")
    write(log, [*images, *archived(hospital, images)])
    projected(dsn, log, hospital)
    with snapshot(dsn) as cursor:
        found = study(cursor, TENANT, images[0].instance.study_uid)
    assert found is not None
    assert found.tier is not None
    assert (found.tier.serving, found.tier.phase) == ("warm", "released")
    assert [(one.store, one.copies, one.verified) for one in found.kept] == [("backup", 6, 6), ("warm", 6, 6)]
    assert [(one.in_force, one.released_by) for one in found.holds] == [(False, "records.office"), (True, None)]
    assert found.reads.reads == 413
