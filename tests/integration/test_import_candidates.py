"""On the running stack: who a study's patient may be is asked of a supplier, and a person gives it to one of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom
import pydicom.data
import pytest
from pydicom.uid import generate_uid

from tests.commands import facts, run
from tests.demographics_suppliers import Person, knowing
from tests.running_stack import RunningStack
from tests.waiting import wait_until

pytestmark = pytest.mark.stack

IMAGE = Path(pydicom.data.__file__).parent / "test_files" / "MR_small.dcm"
RIGHT = Person("PDQ-4711", "NORTH", "Candidàte", "Jane", "19410203", "F")
OTHER = Person("PDQ-4712", "NORTH", "Other", "Joan", "19410203", "F")
# With letters: a few digits alone are in a UID or a digest by chance.
SECRETS = ("pdq-4711", "pdq-4712", "19410203", "jane", "joan")


@contextmanager
def asking(stack: RunningStack, port: int) -> Iterator[None]:
    """A site with a supplier on that port, until the block ends."""
    text = stack.config_path.read_text()
    stack.config_path.write_text(f'{text}\n[demographics]\nhost = "127.0.0.1"\nport = {port}\nanswer_s = 30\n')
    try:
        yield
    finally:
        stack.config_path.write_text(text)


def sent(stack: RunningStack, folder: Path) -> str:
    """The Study Instance UID of a study whose patient has another number, and is misspelt."""
    image = pydicom.dcmread(IMAGE)
    image.StudyInstanceUID, image.SeriesInstanceUID = generate_uid(), generate_uid()
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    image.PatientID, image.PatientName = "elsewhere-1", "CANDIDATE^JANE"
    image.PatientBirthDate, image.PatientSex = "19410203", "F"
    image.save_as(folder / "image.dcm")
    assert run(stack, "send", str(folder)).exit_code == 0
    wait_until(lambda: run(stack, "study", str(image.StudyInstanceUID)).exit_code == 0, "the study")
    return str(image.StudyInstanceUID)


def test_the_one_whom_a_person_chooses_is_whose_the_study_is(stack: RunningStack, tmp_path: Path) -> None:
    study_uid, why = sent(stack, tmp_path), ("--why", "asked the patient")
    with knowing(RIGHT, OTHER) as there, asking(stack, there.port):
        found = facts(stack, "imports", "candidates", study_uid)
        assert (found["asked"], found["not_asked"]) == (["demographics", "catalog"], None)
        shown = {one["patient"]["patient_id"]: (one["agreement"]["name"], one["known_to"]) for one in found["found"]}
        assert found["found"][0]["patient"]["patient_id"] == RIGHT.number
        assert shown == {RIGHT.number: ("same", ["demographics"]), OTHER.number: ("other", ["demographics"])}
        printed = run(stack, "imports", "candidates", study_uid, "--birth-date", "19410203", "--name", "Candidate^J")
        assert "PDQ-4711  NORTH  Candidàte^Jane  19410203  F" in printed.stdout
        assert f"radstream imports reconcile {study_uid} --patient ID" in printed.stdout
        unknown = run(stack, "imports", "reconcile", study_uid, "--patient", "PDQ-1", *why)
        assert "supplier has no patient with this ID" in str(unknown.exception)

        made = facts(stack, "imports", "reconcile", study_uid, "--patient", RIGHT.number, *why)
        assert (made["patient_id"], made["patient_issuer"], made["patient_name"]) == (
            *("PDQ-4711", "NORTH", "Candidàte^Jane"),
        )
    with asking(stack, there.port):
        alone = run(stack, "imports", "candidates", study_uid)
        assert alone.exit_code == 0
        assert "only the catalog was asked: the patient demographics supplier 127.0.0.1:" in alone.stderr
        assert "Candidàte^Jane" in alone.stdout  # the catalog has met the patient by now
        away = run(stack, "imports", "reconcile", study_uid, "--patient", RIGHT.number, *why)
        assert "cannot be asked" in str(away.exception)
        ours = facts(stack, "imports", "reconcile", study_uid, "--patient", RIGHT.number, "--from", "catalog", *why)
        assert ours["patient_id"] == "PDQ-4711"

    assert not any(secret in alone.stderr.lower() for secret in SECRETS)
    told = [one for one in tailed(stack) if study_uid in one]
    assert any("import_candidates" in one for one in told)
    assert any("patient_by" in one for one in told)
    assert not any(secret in one.lower() for one in told for secret in SECRETS)


def tailed(stack: RunningStack) -> list[str]:
    """Audit events and decisions, as JSON, the last ones."""
    topics = ("imaging.audit.event", "imaging.import.decision")
    done = [run(stack, "tail", topic, "--max", "50", "--from", "end", "--json") for topic in topics]
    assert [one.exit_code for one in done] == [0, 0], done
    return [line for one in done for line in one.stdout.splitlines()]
