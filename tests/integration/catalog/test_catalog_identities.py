"""Whose a study is: of the images that count, in whatever order one comes to know which those are."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import pytest
from msgspec import structs

from consumers.catalog import migrate as migrating
from consumers.catalog.database import Cursor, Writer, connect, snapshot
from consumers.catalog.migrate import migrate, packaged
from consumers.catalog.rebuild import NEW, Rebuild
from consumers.catalog.step import Catalog
from consumers.catalog.studies import page
from consumers.catalog.summarizing import refresh_all
from streams.events import Event
from streams.log import TopicPartition
from tests.catalogs import ALIKE, catalog_of, ends_of, project, projected, rows, unexpected
from tests.event_streams import TENANT, Candidate, Hospital, inputs, new_log, night, partitions_of, write
from tests.import_events import DISC, from_outside
from tests.import_events import decided as reconciled
from tests.quarantine_events import assessed_as_strange, decided, let_go
from tests.waiting import wait_until

STRAY = {"PatientID": "P2", "PatientName": "ROE^RICHARD", "StudyDate": "20261101", "AccessionNumber": "A-2"}
OWN = {"PatientID": "P1", "PatientName": "DOE^JANE", "StudyDate": "20261102", "AccessionNumber": "A-1"}
WAIT_S = 20.0


class Archive:
    """A log, and the catalog that follows it; a study whose first image is another patient's."""

    def __init__(self, dsn: str) -> None:
        self.dsn, self.hospital, self.log = dsn, Hospital(), new_log()
        study_uid, series_uid = self.hospital.uid(), self.hospital.uid()
        self.stray = self.hospital.received(study_uid, self.hospital.uid(), STRAY)
        self.own = self.hospital.received(study_uid, series_uid, OWN)

    def follow(self, *events: Event) -> None:
        write(self.log, events)
        projected(self.dsn, self.log, self.hospital)

    def shown(self) -> tuple[Any, ...]:
        """Patient ID, name, date and accession number, as `radstream studies` has them."""
        with snapshot(self.dsn) as cursor:
            (line,) = page(cursor, TENANT, limit=10).studies
        return (
            line.patient_id,
            line.patient_name,
            line.study_date and f"{line.study_date:%Y%m%d}",
            line.accession_number,
        )

    def found_by(self, patient_id: str) -> int:
        with snapshot(self.dsn) as cursor:
            return len(page(cursor, TENANT, limit=10, patient_id=patient_id).studies)

    def summed_up(self) -> list[tuple[object, ...]]:
        with closing(Writer(self.dsn)) as writer:
            refresh_all(writer)
        return rows(self.dsn, "SELECT patient_id, attributes->>'PatientName', instances FROM study_summaries")


@pytest.fixture
def archive(dsn: str) -> Archive:
    return Archive(dsn)


WHO = {
    name: (said["PatientID"], said["PatientName"], said["StudyDate"], said["AccessionNumber"])
    for name, said in (("stray", STRAY), ("own", OWN))
}


def test_a_study_whose_first_image_is_held_at_once_is_of_the_next(archive: Archive) -> None:
    hospital, stray, own = archive.hospital, archive.stray, archive.own
    archive.follow(stray, own, hospital.quarantined(stray), hospital.validated(own))
    assert archive.shown() == WHO["own"]
    assert (archive.found_by("P1"), archive.found_by("P2")) == (1, 0)
    assert archive.summed_up() == [("P1", "DOE^JANE", 1)]


def test_a_study_whose_first_image_is_held_late_is_of_the_next_until_it_is_released(archive: Archive) -> None:
    hospital, stray, own = archive.hospital, archive.stray, archive.own
    archive.follow(stray, own, hospital.validated(stray), hospital.validated(own))
    assert (archive.shown(), archive.summed_up()) == (WHO["stray"], [("P2", "ROE^RICHARD", 2)])
    archive.follow(assessed_as_strange(hospital, stray))
    assert (archive.shown(), archive.summed_up()) == (WHO["own"], [("P1", "DOE^JANE", 1)])
    archive.follow(decided(hospital, stray, code="contradicts_patient"), let_go(hospital, stray))
    assert (archive.shown(), archive.summed_up()) == (WHO["stray"], [("P2", "ROE^RICHARD", 2)])
    archive.follow(decided(hospital, stray, "rejected", 1))
    assert (archive.shown(), archive.summed_up()) == (WHO["own"], [("P1", "DOE^JANE", 1)])
    assert (archive.found_by("P1"), archive.found_by("P2")) == (1, 0)


def test_an_image_that_nobody_has_judged_does_not_speak_for_one_that_is_shown(archive: Archive) -> None:
    """What holds it may be on its way: a topic behind another, for as long as a member is."""
    archive.follow(archive.stray, archive.own)
    assert archive.shown() == WHO["stray"]
    archive.follow(archive.hospital.validated(archive.own))
    assert archive.shown() == WHO["own"]


def test_a_study_of_which_nothing_counts_is_named_by_what_waits_for_a_person(archive: Archive) -> None:
    hospital, stray, own = archive.hospital, archive.stray, archive.own
    archive.follow(stray, own, hospital.quarantined(stray), hospital.quarantined(own))
    assert archive.shown() == WHO["stray"]
    archive.follow(decided(hospital, stray, "rejected"))
    assert archive.shown() == WHO["own"]
    archive.follow(decided(hospital, own, "rejected"))
    assert archive.shown() == WHO["stray"]
    assert archive.summed_up() == []


def test_a_held_image_neither_names_a_patient_nor_a_series(archive: Archive) -> None:
    """The same ID, and two people: who is asked for by that ID is the one whose images are shown."""
    hospital, own = archive.hospital, archive.own
    uids = own.instance
    mistaken = hospital.received(uids.study_uid, uids.series_uid, {**OWN, "PatientName": "ZOE^Z", "PatientSex": "M"})
    first = hospital.received(uids.study_uid, uids.series_uid, OWN)
    named = "SELECT name, sex FROM patients WHERE patient_id = 'P1'"
    archive.follow(mistaken, first, hospital.validated(mistaken), hospital.validated(first))
    assert rows(archive.dsn, named) == [("ZOE^Z", "M")]
    archive.follow(assessed_as_strange(hospital, mistaken))
    assert rows(archive.dsn, named) == [("DOE^JANE", "")]

    blocks = "SELECT block_id FROM series WHERE series_uid = %s"
    with connect(archive.dsn) as connection:
        ((block,),) = connection.execute(blocks, (uids.series_uid,)).fetchall()
    assert block == first.protected[1].block_id


def test_a_series_whose_first_image_is_held_says_what_the_next_does(archive: Archive) -> None:
    hospital, own = archive.hospital, archive.own
    uids = own.instance
    first, second = (hospital.received(uids.study_uid, uids.series_uid, OWN, number=number) for number in (1, 2))
    labels = {}
    events: list[Event] = []
    for image, label in ((first, "WRONG"), (second, "RIGHT")):
        block = hospital.blocks.put("series", {"SeriesDescription": label})
        labels[label] = block.block_id
        events.append(structs.replace(image, protected=(image.protected[0], block)))
    said = "SELECT description, block_id FROM series"
    archive.follow(*events)
    assert rows(archive.dsn, said) == [("WRONG", labels["WRONG"])]
    archive.follow(hospital.quarantined(first), hospital.validated(second))
    assert rows(archive.dsn, said) == [("RIGHT", labels["RIGHT"])]


def mixed(hospital: Hospital) -> Iterator[Event]:
    """Studies whose images say different things; held, released, rejected, held again by a later generation."""
    for number in range(5):
        study_uid, series = hospital.uid(), [hospital.uid(), hospital.uid()]
        images = [
            hospital.received(
                study_uid,
                series[place % 2],
                {
                    **OWN,
                    "PatientID": f"P{place % 3}",
                    "PatientName": f"N^{number}{place}",
                    "PatientSex": "FMO"[place % 3],
                },
                number=place,
            )
            for place in range(5)
        ]
        yield from images
        one, two, three, four, five = images
        yield from map(hospital.validated, images[:3])
        yield from (assessed_as_strange(hospital, one), hospital.quarantined(four))
        if number % 2:
            yield from (decided(hospital, one, code="contradicts_patient"), let_go(hospital, one))
        yield decided(hospital, two, "rejected")
        if number > 2:
            yield decided(hospital, one, "rejected", 1)
        if number == 4:
            yield from (hospital.quarantined(three, 2), hospital.validated(five))
        yield hospital.again(one)
    # Once more, after the site has changed its rules of what is from outside: another issuer, another patient.
    for lane in (None, "stat"):
        came = hospital.received(hospital.uid(), hospital.uid(), {**OWN, "PatientID": "P7"})
        yield from (came, structs.replace(hospital.again(came, lane), outside=DISC), hospital.validated(came))
    yield from of_two_origins(hospital)
    came = from_outside(hospital, PatientID="X1")
    yield from (came, hospital.validated(came), reconciled(hospital, came.instance.study_uid, PatientID="P1"))


def of_two_origins(hospital: Hospital) -> Iterator[Event]:
    """Studies that who brings ours and who brings discs have sent images of, as many of each patient."""
    for first, then in ((DISC, None), (None, DISC)):
        for wrong in range(3):
            study_uid, series_uid = hospital.uid(), hospital.uid()
            one, two = (
                hospital.received(study_uid, series_uid, {**OWN, "PatientName": f"N^{name}"}, outside=origin)
                for name, origin in ((f"ONE{wrong}", first), (f"TWO{wrong}", then))
            )
            yield from (one, two, *map(hospital.validated, (one, two)))
            if wrong == 1:
                yield assessed_as_strange(hospital, one)
            if wrong == 2:
                yield decided(hospital, one, "rejected")


def test_the_order_in_which_facts_come_changes_nothing(dsn: str) -> None:
    hospital, log = Hospital(seed=5), new_log()
    write(log, mixed(hospital))
    projected(dsn, log, hospital)
    in_order = [rows(dsn, query) for query in ALIKE]
    for seed in range(6):
        migrate(dsn, schema=(schema := f"build{seed}"))
        with catalog_of(dsn, log, hospital, schema) as catalog:
            project(catalog, log, random.Random(seed), size=6)
        assert [rows(dsn, query, schema) for query in ALIKE] == in_order
    rebuild = Rebuild(dsn, log, hospital.blocks, lambda *_: None).run(switch=False)
    assert rebuild.equal is True
    assert [rows(dsn, query, NEW) for query in ALIKE] == in_order


def test_how_an_image_stands_is_what_may_be_shown_of_it(dsn: str) -> None:
    hospital, log = Hospital(seed=6), new_log()
    events: list[Event | Candidate] = [*night(hospital), *mixed(hospital)]
    write(log, events)
    projected(dsn, log, hospital)
    stands = "SELECT tenant, sop_instance_uid, digest FROM instances WHERE standing {} ORDER BY 1, 2, 3"
    shown = "SELECT tenant, sop_instance_uid, digest FROM {} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    assert rows(dsn, stands.format("= 0")) == rows(dsn, shown.format("valid_instances"))
    assert rows(dsn, stands.format("IN (2, 3)")) == rows(dsn, shown.format("quarantined_instances"))


def test_a_generation_that_is_switched_to_says_anew_who_speaks(archive: Archive) -> None:
    hospital, stray, own = archive.hospital, archive.stray, archive.own
    claim = hospital.replay("validate", 2)
    archive.follow(stray, own, hospital.validated(stray), hospital.validated(own), claim)
    write(archive.log, [Candidate(hospital.quarantined(stray, 2))])
    archive.follow()
    assert archive.shown() == WHO["stray"]
    archive.follow(hospital.came_to(claim, "completed"), hospital.came_to(claim, "switched"))
    assert archive.shown() == WHO["own"]


class Slow(Writer):
    """A writer that waits before it commits."""

    def __init__(self, dsn: str) -> None:
        super().__init__(dsn)
        self.wrote, self.go_on = threading.Event(), threading.Event()

    @contextmanager
    def transaction(self, *, rehearsal: bool = False) -> Iterator[Cursor]:
        with super().transaction(rehearsal=rehearsal) as cursor:
            yield cursor
            self.wrote.set()
            assert self.go_on.wait(WAIT_S)


def test_of_two_members_the_second_sees_what_the_first_has_not_committed_yet(archive: Archive) -> None:
    """One makes the study while the other, which reads other topics, learns that its first image is held."""
    hospital, log = archive.hospital, archive.log
    write(log, [archive.stray, archive.own, hospital.quarantined(archive.stray)])
    received, held = sorted(partitions_of(log), key=lambda name: "quarantined" in name.topic)
    ended: list[str] = []

    def apply(catalog: Catalog, name: TopicPartition) -> None:
        batch = inputs(log, name)
        catalog.apply(batch, ends_of(batch))
        ended.append(name.topic)

    with closing(Slow(archive.dsn)) as slow, closing(Writer(archive.dsn)) as quick:
        slow.go_on.set()
        threads = []
        for writer, name in ((slow, received), (quick, held)):
            member = Catalog(writer, hospital.blocks, log.topic_id, unexpected)
            member.positions([name])
            threads.append(threading.Thread(target=apply, args=(member, name)))
        slow.wrote.clear()
        slow.go_on.clear()
        threads[0].start()
        try:
            assert slow.wrote.wait(WAIT_S)
            threads[1].start()
            waiting = (
                "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database "
                "WHERE d.datname = current_database() AND locktype = 'advisory' AND NOT granted"
            )
            wait_until(lambda: ended or rows(archive.dsn, waiting) == [(1,)], "the second, waiting or done", WAIT_S)
        finally:
            slow.go_on.set()
            for thread in threads:
                thread.join(WAIT_S)
    assert ended == [received.topic, held.topic]
    assert archive.shown() == WHO["own"]


def test_an_image_that_is_held_while_a_migration_looks_is_held(archive: Archive) -> None:
    """As a service of before left it: nobody has looked at the first image. Its hold is not committed yet."""
    hospital, stray, own = archive.hospital, archive.stray, archive.own
    archive.follow(stray, own, hospital.validated(stray), hospital.validated(own))
    with connect(archive.dsn) as connection:
        connection.execute("UPDATE instances SET standing = 1 WHERE digest = %s", (stray.instance.digest,))
    write(archive.log, [assessed_as_strange(hospital, stray)])
    with closing(Slow(archive.dsn)) as slow, ThreadPoolExecutor(2) as threads:
        slow.go_on.set()
        (held,) = (name for name in partitions_of(archive.log) if "quarantined" in name.topic)
        member = Catalog(slow, hospital.blocks, archive.log.topic_id, unexpected)
        member.positions([held])
        slow.wrote.clear()
        slow.go_on.clear()
        batch = inputs(archive.log, held)
        applied = threads.submit(member.apply, batch, ends_of(batch))
        try:
            assert slow.wrote.wait(WAIT_S)
            migrated = threads.submit(migrate, archive.dsn, "after")
            waiting = (
                "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
                "WHERE a.datname = current_database() AND NOT l.granted"
            )
            wait_until(
                lambda: migrated.done() or rows(archive.dsn, waiting) == [(1,)],
                "the migration, waiting or done",
                WAIT_S,
            )
        finally:
            slow.go_on.set()
        applied.result(WAIT_S)
        assert "0017_standings_again.sql" in migrated.result(WAIT_S)
    assert rows(archive.dsn, "SELECT standing FROM instances ORDER BY received_at") == [(2,), (0,)]
    assert archive.shown() == WHO["own"]


def copied(dsn: str, *tables: str) -> None:
    """Rows of the schema `later` into the live tables, as far as those have columns for them."""
    with connect(dsn) as connection:
        for table in tables:
            # Each schema has types of its own.
            connection.execute(
                f"INSERT INTO catalog.{table} SELECT * FROM json_populate_recordset(NULL::catalog.{table}, "
                f"(SELECT coalesce(json_agg(said), '[]') FROM later.{table} AS said)) ON CONFLICT DO NOTHING".encode()
            )


OF_BEFORE = ("arrivals", "instances", "copies", "blocks", "patients", "studies", "series", "verdicts", "ledger")


def test_studies_from_before_the_migration_say_what_they_said_until_a_rebuild(
    new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which image said what, a catalog of before does not know, and the log does."""
    archive = Archive(new_database())
    dsn, hospital, log = archive.dsn, archive.hospital, archive.log
    with monkeypatch.context() as before:
        before.setattr(migrating, "packaged", lambda phase: [one for one in packaged(phase) if one.name < "0017"])
        migrate(dsn)
        migrate(dsn, "after")
    migrate(dsn, schema="later")
    other = hospital.received(hospital.uid(), hospital.uid(), {**OWN, "PatientID": "P3"})
    for events in (
        [archive.stray, archive.own, other, *map(hospital.validated, (archive.stray, archive.own, other))],
        [assessed_as_strange(hospital, archive.stray)],
    ):
        write(log, events)
        with catalog_of(dsn, log, hospital, "later") as catalog:
            project(catalog, log)
        if archive.stray in events:
            copied(dsn, *OF_BEFORE)
            with connect(dsn) as connection:
                for table in ("studies", "series"):
                    # Who spoke, without how they stood.
                    connection.execute(f"UPDATE {table} SET spoken_by = substr(spoken_by, 3)".encode())
    with connect(dsn) as connection:
        connection.execute("DELETE FROM ledger")
    copied(dsn, "verdicts", "ledger")
    assert migrate(dsn)[0] == "0017_identities.sql"
    # Meanwhile services of before go on, beside those of now.
    uid = hospital.uid()
    wrong, right = (hospital.received(uid, hospital.uid(), {**OWN, "PatientID": f"P{number}"}) for number in (8, 9))
    archive.follow(wrong, right, hospital.validated(wrong), hospital.validated(right))
    misnamed = hospital.received(hospital.uid(), hospital.uid(), {**OWN, "PatientID": "P9", "PatientName": "ZOE^Z"})
    archive.follow(misnamed, hospital.validated(misnamed))
    write(log, [assessed_as_strange(hospital, wrong), assessed_as_strange(hospital, misnamed)])
    with catalog_of(dsn, log, hospital, "later") as catalog:
        project(catalog, log)
    copied(dsn, "verdicts")
    migrate(dsn, "after")
    standings = "SELECT standing FROM instances ORDER BY received_at"
    assert rows(dsn, standings) == [(2,), (0,), (0,), (2,), (0,), (2,)]
    assert rows(dsn, "SELECT name FROM patients WHERE patient_id = 'P9'") == [("DOE^JANE",)]
    assert (archive.found_by("P8"), archive.found_by("P9")) == (0, 2)
    uids = archive.own.instance
    late = hospital.received(uids.study_uid, uids.series_uid, {**OWN, "PatientName": "LATE"})
    archive.follow(late, hospital.validated(late))
    named = (
        "SELECT b.attributes->>'PatientName' FROM studies s JOIN blocks b USING (tenant, study_uid, block_id) "
        "WHERE b.series_uid = '' ORDER BY s.first_received_at"
    )
    assert rows(dsn, named) == [("ROE^RICHARD",), ("DOE^JANE",), ("DOE^JANE",), ("ZOE^Z",)]
    rebuilt = Rebuild(dsn, log, hospital.blocks, lambda *_: None).run(switch=True)
    assert (rebuilt.switched, rebuilt.differing) == (True, [])
    assert rows(dsn, named) == [*[("DOE^JANE",)] * 3, ("ZOE^Z",)]
