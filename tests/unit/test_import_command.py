"""`radstream import`: what is missing is named before anything is sent, and the same file is the same instance."""

from __future__ import annotations

import sys
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from tests.importing import DATED, PATIENT, call, facts, one
from tests.routers import running_router

SECRETS = ("Testperson", "P-4711", "19700102")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "shot_012.png"
    path.write_bytes(imagecodecs.png_encode(np.arange(63, dtype=np.uint8).reshape(7, 9)))
    return path


def test_each_thing_that_is_missing_is_named_with_what_says_it(picture: Path, tmp_path: Path) -> None:
    done = call(picture, "--out", tmp_path / "out")
    assert done.exit_code == 2
    said = done.stderr.splitlines()
    assert said[0] == "radstream: nothing was imported; say also:"
    assert [option for option in ("--patient-id", "--patient-name", "--date") if option not in "\n".join(said)] == []
    assert len(said) == 4
    assert not (tmp_path / "out").exists()
    assert len(facts(call(picture, "--out", tmp_path / "out", "--json"))["missing"]) == 3


def test_a_file_goes_through_the_routers_door_once_however_often(picture: Path) -> None:
    with running_router() as router:
        first = call(picture, *DATED, "--to", router.target, "--json")
        again = call(picture, *DATED, "--to", router.target, "--json")
        assert (first.exit_code, again.exit_code) == (0, 0), (first.output, again.output)
        assert facts(first)["files"] == facts(again)["files"]
        assert facts(again)["sent"]["statuses"] == {"0000": 1}
        assert len(router.originals()) == 1
        assert not any(secret in first.stderr + str(facts(first)["files"]) for secret in SECRETS)

        other = call(picture, "--patient-id", "P-2", *DATED[2:], "--to", router.target, "--json")
        assert facts(other)["files"][0]["instance_uids"] != facts(first)["files"][0]["instance_uids"]
        assert len(router.originals()) == 2


def test_attributes_of_a_file_are_taken_and_options_say_no_other(picture: Path, tmp_path: Path) -> None:
    told = tmp_path / "more.toml"
    told.write_text(
        "PatientID = 'P-4711'\nReferringPhysicianName = 'Réferring^Doctor'\nStudyDescription = 'Übersicht'\n"
        "[[AnatomicRegionSequence]]\nCodeValue = '85562004'\nCodingSchemeDesignator = 'SCT'\nCodeMeaning = 'Hand'\n"
    )

    made = one(picture, tmp_path / "out", *DATED, "--attributes", told, "--laterality", "L", "--body-part", "HAND")

    assert (made.StudyDescription, str(made.ReferringPhysicianName)) == ("Übersicht", "Réferring^Doctor")
    assert made.AnatomicRegionSequence[0].CodeMeaning == "Hand"
    assert (made.Laterality, made.BodyPartExamined, made.InstanceNumber) == ("L", "HAND", 12)
    assert (made.StudyDate, made.StudyTime, made.PatientSex) == ("20260102", "101100", "F")

    told.write_text("PatientID = 'P-1'\n")
    done = call(picture, "--out", tmp_path / "out", *DATED, "--attributes", told)
    assert "say something else of PatientID" in str(done.exception)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Rows = 12", "Rows comes from the file"),
        ("StudyInstanceUID = '1.2'", "--study-uid"),
        ("NoSuchThing = 1", "no attribute 'NoSuchThing'"),
        ("PatientWeight = 'Testperson'", "PatientWeight is not as DS is written"),
        ("AnatomicRegionSequence = 'HAND'", "is a sequence"),
        ("not toml", "neither TOML nor"),
    ],
)
def test_what_cannot_be_said_is_refused_without_its_value(picture: Path, tmp_path: Path, text: str, why: str) -> None:
    told = tmp_path / "more.toml"
    told.write_text(text)
    done = call(picture, "--out", tmp_path / "out", *PATIENT, "--attributes", told)
    assert why in str(done.exception)
    assert "Testperson" not in str(done.exception)


def test_a_birth_date_that_is_none_is_refused_without_it(picture: Path, tmp_path: Path) -> None:
    done = call(picture, "--out", tmp_path / "out", *DATED[:4], "--birth-date", "Testperson", "--date", "2026-01-02")
    assert "--birth-date: the value of PatientBirthDate is not as DA is written" in str(done.exception)
    assert "Testperson" not in str(done.exception)


def test_a_library_that_is_missing_is_named(picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    done = call(picture, "--out", tmp_path / "out", *DATED)
    assert "imagecodecs, which is not installed: pip install 'radstream[import]'" in str(done.exception)


def test_given_uids_are_taken_and_dates_make_studies(picture: Path, tmp_path: Path) -> None:
    given = one(picture, tmp_path / "1", *DATED, "--study-uid", "1.2.3", "--series-uid", "1.2.3.4")
    assert (given.StudyInstanceUID, given.SeriesInstanceUID) == ("1.2.3", "1.2.3.4")
    made = [one(picture, tmp_path / str(nth), *PATIENT, "--date", f"2026-01-0{nth}") for nth in (2, 3)]
    same = one(picture, tmp_path / "again", *PATIENT, "--date", "2026-01-02")
    assert made[0].StudyInstanceUID == same.StudyInstanceUID != made[1].StudyInstanceUID
