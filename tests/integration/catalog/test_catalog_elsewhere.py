"""One SOP Instance UID in two studies: of the two images one is shown, and whoever looks for the other reads why."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY

from consumers.catalog.database import snapshot
from consumers.catalog.elsewhere import Elsewhere
from consumers.catalog.study import study
from streams.events import InstanceReceived
from tests.catalogs import projected
from tests.event_streams import TENANT, Hospital, new_log, write
from tests.quarantine_events import decided

ATTRIBUTES = {"PatientID": "P1", "PatientName": "DOE^JANE"}


class Corrected:
    """A study of three images that was sent anew under another Study Instance UID, two of them with their old UIDs."""

    def __init__(self, dsn: str) -> None:
        self.dsn, self.hospital, self.log = dsn, Hospital(), new_log()
        self.first = self.hospital.study("P1", "DOE^JANE", series=1, images=3)
        self.come(self.first)
        study_uid, series_uid = self.hospital.uid(), self.hospital.uid()
        uids = [image.instance.sop_instance_uid for image in self.first[:2]]
        self.again = [
            self.hospital.received(study_uid, series_uid, ATTRIBUTES, sop_instance_uid=uid)
            for uid in (*uids, self.hospital.uid())
        ]
        self.come(self.again)

    def come(self, images: list[InstanceReceived]) -> None:
        """And are found valid."""
        write(self.log, [*images, *map(self.hospital.validated, images)])
        self.follow()

    def follow(self) -> None:
        projected(self.dsn, self.log, self.hospital)

    def said(self, images: list[InstanceReceived]) -> tuple[list[Elsewhere], int]:
        """Of the study of these; and how many of its images are shown."""
        with snapshot(self.dsn) as cursor:
            found = study(cursor, TENANT, images[0].instance.study_uid)
        assert found is not None
        return found.elsewhere, found.counts.served


@pytest.fixture
def corrected(dsn: str) -> Corrected:
    return Corrected(dsn)


def counted() -> float:
    return REGISTRY.get_sample_value("radstream_shared_uids_total") or 0.0


def uid_of(images: list[InstanceReceived]) -> str:
    return images[0].instance.study_uid


def test_both_studies_name_the_other_and_where_the_images_are_shown(corrected: Corrected) -> None:
    first, again = corrected.first, corrected.again
    one = min(image.instance.sop_instance_uid for image in first[:2])
    assert corrected.said(first) == ([Elsewhere(uid_of(again), 2, 0, one)], 3)
    assert corrected.said(again) == ([Elsewhere(uid_of(first), 2, 2, one)], 1)


def test_once_a_person_has_rejected_the_wrong_ones_nothing_is_said(corrected: Corrected) -> None:
    write(corrected.log, [decided(corrected.hospital, image, "rejected") for image in corrected.first[:2]])
    corrected.follow()
    assert corrected.said(corrected.first) == ([], 1)
    assert corrected.said(corrected.again) == ([], 3)


def test_each_image_that_comes_so_is_counted(dsn: str) -> None:
    before = counted()
    corrected = Corrected(dsn)
    assert counted() == before + 2
    corrected.come(corrected.hospital.study("P2", "ROE^ANN", series=1, images=2))
    assert counted() == before + 2
