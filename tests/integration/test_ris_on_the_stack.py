"""On the running stack: the RIS is told of performed steps, and a person says whose a study from a disc is here."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom
import pydicom.data
import pytest
from pydicom.uid import generate_uid
from pynetdicom import AE

from infra.local import settings_file
from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN
from streams.sop_classes import PERFORMED_PROCEDURE_STEP
from tests import images
from tests.commands import facts, run
from tests.integration.test_performed_steps import begun, create, ended, set_
from tests.nodes import Node, node
from tests.risses import Ris, listening, switched_off
from tests.running_stack import RunningStack
from tests.waiting import wait_until

pytestmark = pytest.mark.stack

IMAGE = Path(pydicom.data.__file__).parent / "test_files" / "MR_small.dcm"
RULES = """
[destinations.pacs]
ae_title = "NODE"
host = "127.0.0.1"
port = {port}

[[rules]]
name = "discs"
match.calling_ae = "DISCS"
outside = "ST-MARY"

[[rules]]
name = "on"
match.calling_ae = "DISCS"
forward = ["pacs"]
"""
MR = "1.2.840.10008.5.1.4.1.1.4"
ACCESSION, PERFORMED = "ACC-RIS-1", generate_uid()


@contextmanager
def changed(stack: RunningStack, port: int, pacs: Node) -> Iterator[None]:
    """A site with a RIS on that port, and a rule for discs, which go on to a PACS, until the block ends."""
    rules, text = settings_file.rules_file(stack.home), stack.config_path.read_text()
    written = rules.read_text()
    try:
        (stack.home / "nodes.toml").write_text(f'[ris]\nae_title = "RIS"\nhost = "127.0.0.1"\nport = {port}\n')
        stack.config_path.write_text(f'{text}\n[ris]\nnode = "ris"\n')
        rules.write_text(RULES.format(port=pacs.port))
        restarted(stack, "forward", "router")
        yield
    finally:
        rules.write_text(written)
        stack.config_path.write_text(text)
        (stack.home / "nodes.toml").unlink()
        # What the router still has in memory is about who calls itself DISCS alone.
        restarted(stack, "forward")


def restarted(stack: RunningStack, *parts: str) -> None:
    stack.down(parts)
    stack.up(parts)


def order(stack: RunningStack) -> None:
    named = ("--accession", ACCESSION, "--patient-id", "77", "--patient-name", "Roe^Ann", "--sex", "F")
    what = ("--modality", "MR", "--start", "2026-12-24T08:30", "--birth-date", "19600102")
    done = run(stack, "orders", "add", *named, *what)
    assert done.exit_code == 0, done.output


def perform(stack: RunningStack, study_uid: str) -> None:
    entity = AE(ae_title="MR1")
    entity.add_requested_context(PERFORMED_PROCEDURE_STEP)
    association = entity.associate("127.0.0.1", stack.ports["worklist"])
    assert association.is_established
    said = begun()
    said.ScheduledStepAttributesSequence[0].StudyInstanceUID = study_uid
    assert create(association, said, PERFORMED).Status == 0x0000
    assert set_(association, ended(), PERFORMED).Status == 0x0000
    association.release()


def from_a_disc(folder: Path, **attributes: str) -> str:
    """The Study Instance UID of a study of another hospital."""
    image = pydicom.dcmread(IMAGE)
    image.StudyInstanceUID, image.SeriesInstanceUID = generate_uid(), generate_uid()
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    image.AccessionNumber, image.PatientID, image.PatientName, image.PatientSex = ACCESSION, "77", "ROE^A", "F"
    for keyword, value in attributes.items():
        setattr(image, keyword, value)
    image.save_as(folder / "image.dcm")
    return str(image.StudyInstanceUID)


def test_the_ris_is_told_and_a_study_from_a_disc_is_reconciled(stack: RunningStack, tmp_path: Path) -> None:
    off = switched_off()
    port = off.getsockname()[1]
    with node([EXPLICIT_VR_LITTLE_ENDIAN], sop_classes=[MR]) as pacs, changed(stack, port, pacs):
        order(stack)
        (placed,) = facts(stack, "orders", "show", ACCESSION)
        perform(stack, placed["order"]["study_uid"])  # while the RIS is off
        assert "forward.mpps" in [one["group"] for one in facts(stack, "lag")["groups"]]
        off.close()
        ris = Ris()
        with listening(ris, port):
            wait_until(lambda: ris.steps == {PERFORMED: "COMPLETED"}, "the RIS to know")
            wait_until(lambda: told(stack) == ["completed"], "the catalog to say so")
        assert "; ris was told: completed" in run(stack, "orders", "show", ACCESSION).output

        study_uid = from_a_disc(tmp_path, PatientBirthDate="19600201")
        assert run(stack, "send", str(tmp_path), "--calling", "DISCS").exit_code == 0
        wait_until(lambda: run(stack, "imports", "show", study_uid).exit_code == 0, "the study")
        (waiting,) = (one for one in facts(stack, "imports", "list") if one["study_uid"] == study_uid)
        assert (waiting["outside"], waiting["original_issuer"], waiting["reconciled"]) == ("discs", "ST-MARY", False)
        assert facts(stack, "study", study_uid)["orders"] == []

        wait_until(lambda: forwarded(stack, study_uid) == ["failed"], "the forwarder to wait")
        assert pacs.data_sets == []

        why = ("--why", "brought by the patient")
        refused = run(stack, "imports", "reconcile", study_uid, "--order", ACCESSION, *why)
        assert refused.exit_code != 0
        said = str(refused.exception).replace(study_uid, "its UID")
        assert "birth date of the study and of our patient differ" in said
        assert "1960" not in said
        accepted = ("--order", ACCESSION, "--although-different", *why)
        made = facts(stack, "imports", "reconcile", study_uid, *accepted)
        assert (made["patient_name"], made["accession_number"], made["why"]) == ("Roe^Ann", ACCESSION, why[1])
        assert [one["accession_number"] for one in facts(stack, "study", study_uid)["orders"]] == [ACCESSION]
        assert study_uid not in [one["study_uid"] for one in facts(stack, "imports", "list")]
        wait_until(lambda: forwarded(stack, study_uid) == ["done"], "the PACS to have it")
        (got,) = [
            pydicom.dcmread(io.BytesIO(images.raw_file(one, EXPLICIT_VR_LITTLE_ENDIAN))) for one in pacs.data_sets
        ]
        assert (str(got.PatientName), got.PatientBirthDate, got.AccessionNumber) == ("Roe^Ann", "19600102", ACCESSION)
        (original,) = got.OriginalAttributesSequence
        assert original.ModifiedAttributesSequence[0].PatientBirthDate == "19600201"
        assert original.SourceOfPreviousValues == "ST-MARY"

        with listening(ris, port):
            wait_until(lambda: list(ris.steps.values()) == ["COMPLETED"] * 2, "the RIS to know of the import")
        # The forwarder may have read of it before the catalog.
        wait_until(lambda: performed(stack, study_uid) == ["completed"], "the catalog to know of it too")

        rebuilt = facts(stack, "catalog", "rebuild")
        assert rebuilt["differing"] == []
        assert rebuilt["rebuilt"]["tables"]["import_decisions"]["rows"] >= 1
        undone = facts(stack, "imports", "unreconcile", study_uid, "--why", "another Ann Roe")
        assert (undone["reconciled"], undone["patient_name"]) == (False, None)
        assert facts(stack, "study", study_uid)["orders"] == []
        assert run(stack, "imports", "unreconcile", study_uid, *why).exit_code != 0
        wait_until(lambda: facts(stack, "status")["agree"], "the accounts to agree")


def forwarded(stack: RunningStack, study_uid: str) -> list[str]:
    return [one["outcome"] for one in facts(stack, "study", study_uid)["forwarded"]]


def performed(stack: RunningStack, study_uid: str) -> list[str]:
    return [one["status"] for one in facts(stack, "study", study_uid)["performed"]]


def told(stack: RunningStack) -> list[str]:
    (shown,) = facts(stack, "orders", "show", ACCESSION)
    return [one["ris_told"] for one in shown["performed"]]
