"""A study whose first image came from outside is another hospital's, whoever brings further ones of it, and whatever
becomes of that first image."""

from __future__ import annotations

import pytest

from consumers.catalog.database import snapshot
from consumers.catalog.imports import imports
from radstream.import_lines import identity_lines
from streams.events import Event, InstanceReceived, Outside
from tests.catalogs import projected, rows
from tests.event_streams import TENANT, Hospital, new_log, write
from tests.import_events import DISC, from_outside
from tests.import_events import decided as reconciled
from tests.order_events import an_order, commanded
from tests.quarantine_events import assessed_as_strange, decided

# The latest study names a patient, and that is the other hospital's.
THEIRS = {"PatientID": "P1", "PatientName": "DOE^J", "StudyDate": "20261103", "AccessionNumber": "A-100"}
OURS = {"PatientID": "P1", "PatientName": "ROE^ANN", "StudyDate": "20261101", "AccessionNumber": "A-1"}


class Archive:
    """A log, and the catalog that follows it; a study of a disc of which a workstation sends an image, too."""

    def __init__(self, dsn: str) -> None:
        self.dsn, self.hospital, self.log = dsn, Hospital(), new_log()
        self.disc = from_outside(self.hospital, **THEIRS)
        self.further = self.image(self.disc)

    def image(self, of: InstanceReceived, outside: Outside | None = None) -> InstanceReceived:
        uids = of.instance
        return self.hospital.received(uids.study_uid, uids.series_uid, THEIRS, number=2, outside=outside)

    def follow(self, *events: Event) -> None:
        write(self.log, events)
        projected(self.dsn, self.log, self.hospital)

    def origin(self) -> list[tuple[object, ...]]:
        return rows(self.dsn, "SELECT outside, outside_issuer FROM studies")

    def listed(self) -> list[tuple[str, str | None]]:
        """What waits for a person, and by which rule."""
        with snapshot(self.dsn) as cursor:
            return [(one.study_uid, one.outside) for one in imports(cursor, TENANT, open_only=True)]


@pytest.fixture
def archive(dsn: str) -> Archive:
    return Archive(dsn)


def test_it_stays_one_when_its_first_image_is_held_or_rejected(archive: Archive) -> None:
    hospital, disc, further = archive.hospital, archive.disc, archive.further
    archive.follow(disc, further, hospital.validated(disc), hospital.validated(further))
    assert archive.origin() == [(DISC.rule, DISC.issuer)]
    archive.follow(assessed_as_strange(hospital, disc))
    assert archive.origin() == [(DISC.rule, DISC.issuer)]
    archive.follow(decided(hospital, disc, "rejected"))
    assert archive.origin() == [(DISC.rule, DISC.issuer)]
    assert archive.listed() == [(disc.instance.study_uid, DISC.rule)]


def test_it_is_one_when_its_first_image_is_heard_of_last(archive: Archive) -> None:
    """Urgent images travel in a lane of their own, and nothing says that the disc's is read before."""
    hospital, disc, further = archive.hospital, archive.disc, archive.further
    archive.follow(further, hospital.validated(further))
    assert archive.origin() == [(None, None)]
    archive.follow(disc, hospital.quarantined(disc))
    assert archive.origin() == [(DISC.rule, DISC.issuer)]


def test_it_is_of_no_order_by_equal_numbers(archive: Archive) -> None:
    hospital, disc, further = archive.hospital, archive.disc, archive.further
    archive.follow(commanded(hospital, an_order("A-100")), disc, further)
    archive.follow(hospital.quarantined(disc), hospital.validated(further))
    assert rows(archive.dsn, "SELECT study_uid FROM order_studies") == []


@pytest.mark.parametrize("is_first", [True, False], ids=["ours is named first", "ours is named last"])
def test_what_it_says_does_not_rename_our_patient_of_that_number(archive: Archive, *, is_first: bool) -> None:
    """Both hospitals have a P1, and who brings ours brought an image of the other's."""
    hospital, disc, further = archive.hospital, archive.disc, archive.further
    own = hospital.received(hospital.uid(), hospital.uid(), OURS)
    ours, theirs = [own, hospital.validated(own)], [further, hospital.validated(further)]
    ends = [disc, hospital.validated(disc)]
    archive.follow(*(ours + theirs if is_first else theirs + ours))
    archive.follow(*ends)
    assert rows(archive.dsn, "SELECT name FROM patients WHERE issuer = '' ORDER BY 1") == [("ROE^ANN",)]


def test_a_study_that_was_ours_first_stays_ours_and_waits_for_a_person(archive: Archive) -> None:
    """Who decides is shown whose the images from outside are by their own words, and not by those of ours."""
    hospital = archive.hospital
    own = hospital.received(hospital.uid(), hospital.uid(), OURS)
    back = hospital.received(own.instance.study_uid, hospital.uid(), THEIRS, outside=DISC)
    archive.follow(own, back, hospital.validated(own), hospital.validated(back))
    assert archive.origin() == [(None, None)]
    assert archive.listed() == [(own.instance.study_uid, DISC.rule)]
    with snapshot(archive.dsn) as cursor:
        (one,) = imports(cursor, TENANT, study_uid=own.instance.study_uid)
    assert one.added
    came = (one.original_patient_id, one.original_issuer, one.original_name, one.original_accession)
    assert came == ("P1", DISC.issuer, "DOE^J", "A-100")
    assert "came as   P1  ST-MARY  DOE^J, accession number A-100" in identity_lines(one)
    archive.follow(reconciled(hospital, own.instance.study_uid))
    assert archive.listed() == []
