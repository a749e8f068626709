"""SR and SEG of a result: right by an independent validator, and of the same patient as the images."""

from __future__ import annotations

import hashlib
import io
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest

from consumers.ai.analysis import Analysed, Times
from consumers.ai.describing.segments import segments
from infra.local.tools import checkers
from streams.events import Geometry, InstanceReceived, ResultFinding
from streams.stored_file import IMPLEMENTATION_VERSION_NAME
from tests.ai_world import NODULE, Bright, World, chest, results

JAPANESE = "Yamada^Tarou=山田^太郎=やまだ^たろう"


def test_an_independent_validator_finds_no_error(tmp_path: Path) -> None:
    validator = checkers.find("dciodvfy")
    if validator is None:
        pytest.skip("dciodvfy is not there (Debian's package dicom3tools); `make test` unpacks it where apt is")
    world = World([Bright(), Bright("finds nothing", instead=lambda _: Analysed((), Times(0.0, 0.0)))])
    events = world.said(world.revision(world.add(chest()[1])))
    made = [event for event in events if isinstance(event, InstanceReceived)]
    assert [event.technical.modality for event in made] == ["SR", "SEG", "SR"]
    for number, event in enumerate(made):
        file = tmp_path / f"{number}.dcm"
        file.write_bytes(world.store.read(event.object))
        said = subprocess.run([validator, str(file)], capture_output=True, text=True, check=False).stderr
        assert "Error" not in said
        assert "Warning" not in said


def test_they_are_preliminary_and_of_the_patient_and_study() -> None:
    world = World()
    images = chest()[1]
    for image in images:
        image.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
        image.PatientName = JAPANESE
        image.AccessionNumber = "A-17"
    events = world.said(world.revision(world.add(images)))
    (result,) = results(events)
    made = world.files(events)

    for dataset in made.values():
        assert dataset.StudyInstanceUID == world.study_uid
        assert str(dataset.PatientName) == JAPANESE
        assert (dataset.PatientID, dataset.AccessionNumber, dataset.StudyDate) == ("PHANTOM-5", "A-17", "20260105")
        assert (dataset.ContentDate, dataset.TimezoneOffsetFromUTC) == (f"{result.meta.occurred_at:%Y%m%d}", "+0000")
        assert dataset.file_meta.ImplementationVersionName == IMPLEMENTATION_VERSION_NAME
        assert dataset.SeriesDescription.startswith("AI, not reviewed: ")
    assert (made["SR"].VerificationFlag, made["SR"].PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")
    assert made["SEG"].FrameOfReferenceUID == images[0].FrameOfReferenceUID
    assert made["SEG"].pixel_array.sum() == 16


def test_the_digest_is_that_of_the_stored_file() -> None:
    world = World()
    events = world.said(world.revision(world.add(chest()[1])))
    for event in events:
        if isinstance(event, InstanceReceived):
            data = world.store.read(event.object)
            assert hashlib.sha256(data).hexdigest() == event.instance.digest
            assert pydicom.dcmread(io.BytesIO(data)).SOPClassUID == event.instance.sop_class_uid


def finding(number: int, points: tuple[float, ...] | None) -> ResultFinding:
    geometry = Geometry(kind="mask", frame_of_reference_uid="1.2", points=points) if points else None
    return ResultFinding(finding_id=str(number), category="detection", code=NODULE, geometry=geometry)


def test_each_finding_has_a_segment_of_what_the_mask_has_in_its_box() -> None:
    mask = np.zeros((3, 6, 6), np.bool_)
    mask[0, 0:2, 0:2] = mask[2, 4:6, 4:6] = mask[1, 3, 3] = True
    # Slices of 2 mm, voxels of 0.5 mm; x goes with the columns.
    affine = np.array([[0, 0, 0.5, 10], [0, 0.5, 0, 20], [2, 0, 0, 30], [0, 0, 0, 1.0]])

    found = segments(
        mask,
        affine,
        [
            finding(1, (10, 20, 30, 10.5, 20.5, 30)),
            finding(2, (12.5, 22.5, 34, 12, 22, 34)),
            finding(3, (11, 21, 30, 11, 21, 30)),
            finding(4, None),
        ],
    )

    assert dict(found.of_finding) == {"1": 1, "2": 2, "4": 3}
    assert [int((found.labels == number).sum()) for number in range(1, found.count + 1)] == [4, 4, 1]
    assert found.rest == 3
