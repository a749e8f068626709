"""From an order to its images on the running stack, with kills in between, and without a name in a topic."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pydicom.data
import pytest
from click.testing import Result
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid
from pynetdicom import AE

from schemas import load_topics
from streams.config import Kafka
from streams.kafka_log import KafkaLog
from streams.log import TopicPartition
from streams.sop_classes import MODALITY_WORKLIST, PERFORMED_PROCEDURE_STEP
from tests.commands import facts, run
from tests.hl7_messages import OMI, STUDY, changed
from tests.listeners import Mllp
from tests.running_stack import RunningStack
from tests.waiting import wait_until
from tests.worklists import keys

pytestmark = [pytest.mark.stack, pytest.mark.fault]

IMAGE = Path(pydicom.data.__file__).parent / "test_files" / "MR_small.dcm"
PERFORMED = generate_uid()
SECRETS = (b"Testperson", b"Stackley", b"PAT-778899", b"ACC-445566", b"Kniegelenk")


def add(stack: RunningStack, *more: str) -> Result:
    named = ("--accession", "ACC-445566", "--patient-id", "PAT-778899", "--patient-name", "Testperson^Stackley")
    what = ("--modality", "MR", "--station", "MR1", "--start", "2026-12-24T08:30", "--description", "Kniegelenk links")
    return run(stack, "orders", "add", *named, *what, *more, "--json")


def worklist(stack: RunningStack, **top: Any) -> list[Dataset]:
    entity = AE(ae_title="MR1")
    entity.add_requested_context(MODALITY_WORKLIST)
    association = entity.associate("127.0.0.1", stack.ports["worklist"])
    assert association.is_established
    answers = [item for _, item in association.send_c_find(keys(**top), MODALITY_WORKLIST) if item is not None]
    association.release()
    return answers


def perform(stack: RunningStack, said: Dataset, *, create: bool) -> int:
    entity = AE(ae_title="MR1")
    entity.add_requested_context(PERFORMED_PROCEDURE_STEP)
    association = entity.associate("127.0.0.1", stack.ports["worklist"])
    assert association.is_established
    send = association.send_n_create if create else association.send_n_set
    status, _ = send(said, PERFORMED_PROCEDURE_STEP, PERFORMED)
    association.release()
    return int(status.Status)


def killed(stack: RunningStack, part: str) -> None:
    """SIGKILL, and up again."""
    stack.kill(part)
    stack.up((part,))


def begun(item: Dataset) -> Dataset:
    step, said = item.ScheduledProcedureStepSequence[0], Dataset()
    scheduled = Dataset()
    scheduled.StudyInstanceUID = item.StudyInstanceUID
    scheduled.AccessionNumber = item.AccessionNumber
    scheduled.ScheduledProcedureStepID = step.ScheduledProcedureStepID
    said.ScheduledStepAttributesSequence = Sequence([scheduled])
    said.PatientName, said.PatientID = item.PatientName, item.PatientID
    said.PerformedProcedureStepID, said.PerformedStationAETitle, said.Modality = "PPS1", "MR1", "MR"
    said.PerformedProcedureStepStartDate, said.PerformedProcedureStepStartTime = "20261224", "083100"
    said.PerformedProcedureStepStatus = "IN PROGRESS"
    return said


def ended() -> Dataset:
    said, series = Dataset(), Dataset()
    series.SeriesInstanceUID, series.ProtocolName = generate_uid(), "Kniegelenk"
    said.PerformedSeriesSequence = Sequence([series])
    said.PerformedProcedureStepEndDate, said.PerformedProcedureStepEndTime = "20261224", "085000"
    said.PerformedProcedureStepStatus = "COMPLETED"
    return said


def test_from_order_to_images_with_kills_in_between(stack: RunningStack, tmp_path: Path) -> None:
    placed = add(stack)
    assert placed.exit_code == 0, (placed.output, placed.exception)
    (order,) = json.loads(placed.stdout)
    assert order["order"]["standing"] is True
    assert add(stack).exit_code != 0  # it is there already

    (item,) = worklist(stack, PatientName="testperson*")
    assert (str(item.PatientName), item.AccessionNumber) == ("Testperson^Stackley", "ACC-445566")
    assert item.StudyInstanceUID == order["order"]["study_uid"]

    assert perform(stack, begun(item), create=True) == 0x0000
    killed(stack, "worklist")
    assert perform(stack, begun(item), create=True) == 0x0111
    assert perform(stack, ended(), create=False) == 0x0000
    killed(stack, "worklist")
    assert perform(stack, ended(), create=False) == 0x0110
    wait_until(lambda: worklist(stack, AccessionNumber="ACC-445566") == [], "a list without the completed step")

    image = pydicom.dcmread(IMAGE)
    image.StudyInstanceUID, image.SeriesInstanceUID = item.StudyInstanceUID, generate_uid()
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    image.AccessionNumber, image.PatientID, image.PatientName = "ACC-445566", "PAT-778899", "Testperson^Stackley"
    image.save_as(tmp_path / "image.dcm")
    assert run(stack, "send", str(tmp_path)).exit_code == 0
    wait_until(lambda: run(stack, "study", item.StudyInstanceUID).exit_code == 0, "the study")
    study = facts(stack, "study", item.StudyInstanceUID)
    assert [one["accession_number"] for one in study["orders"]] == ["ACC-445566"]
    assert [one["status"] for one in study["performed"]] == ["completed"]
    (shown,) = facts(stack, "orders", "show", "ACC-445566")
    assert [one["action"] for one in shown["commands"]] == ["placed"]
    assert [step["performed"] for step in shown["steps"]] == ["completed"]
    assert [(one["study_uid"], one["by_uid"]) for one in shown["studies"]] == [(item.StudyInstanceUID, True)]


def test_a_picture_is_imported_for_an_order(stack: RunningStack, tmp_path: Path) -> None:
    pixels = np.arange(64 * 48, dtype=np.uint16).reshape(48, 64)
    (tmp_path / "wound.png").write_bytes(imagecodecs.png_encode(pixels))
    study_uid = facts(stack, "orders", "show", "ACC-445566")[0]["order"]["study_uid"]

    words = ("import", str(tmp_path / "wound.png"), "--order", "ACC-445566", "--date", "2026-12-24T09:00")
    done = [facts(stack, *words) for _ in range(2)]

    assert done[0]["files"] == done[1]["files"]
    assert [one["sent"]["statuses"] for one in done] == [{"0000": 1}] * 2
    (uid,) = done[0]["files"][0]["instance_uids"]
    assert done[0]["files"][0]["study_uid"] == study_uid

    def received() -> bool:
        return run(stack, "get", study_uid, "--to", str(tmp_path / "got")).exit_code == 0 and bool(
            list((tmp_path / "got").rglob(f"*{uid}*"))
        )

    wait_until(received, "the picture among the images of the study")
    got = pydicom.dcmread(next((tmp_path / "got").rglob(f"*{uid}*")))
    assert (str(got.PatientName), got.AccessionNumber, got.StudyInstanceUID) == (
        "Testperson^Stackley",
        "ACC-445566",
        study_uid,
    )
    assert np.array_equal(got.pixel_array, pixels)


def sent(stack: RunningStack, message: str) -> str:
    with socket.create_connection(("127.0.0.1", stack.ports["orders"]), timeout=180) as peer:
        (answer,) = [one for one in Mllp(peer).send(message) if one.startswith("MSA")]
    return answer.split("|")[1]


def test_a_ris_orders_and_a_kill_makes_no_order_twice(stack: RunningStack) -> None:
    message = OMI.replace("20261123093000", "20261224093000")
    assert sent(stack, message) == "AA"
    killed(stack, "orders")
    # The RIS had no answer, for all it knows.
    assert sent(stack, message) == "AA"
    wait_until(lambda: len(worklist(stack, AccessionNumber="A-100")) == 2, "both steps of the order")
    (order,) = facts(stack, "orders", "show", "A-100")
    assert [one["action"] for one in order["commands"]] == ["placed"]
    assert order["order"]["study_uid"] == STUDY
    assert sent(stack, changed(message, "CA")) == "AA"
    wait_until(lambda: worklist(stack, AccessionNumber="A-100") == [], "a list without the cancelled order")
    assert "A-100" not in [one["accession_number"] for one in facts(stack, "orders", "list")]


@pytest.mark.skipif(shutil.which("findscu") is None, reason="findscu (DCMTK) is not installed")
def test_findscu_is_answered(stack: RunningStack) -> None:
    step = ("-k", "ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartDate=20261224")
    address = ("127.0.0.1", str(stack.ports["worklist"]))
    done = subprocess.run(
        ["findscu", "-v", "-W", "-aec", "RADSTREAM", "-k", "PatientName", *step, *address],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


def test_no_name_or_number_of_an_order_is_in_a_topic_or_a_log(stack: RunningStack) -> None:
    log = KafkaLog(stack.config.section("kafka", Kafka))
    found: set[tuple[str, bytes]] = set()
    seen = 0
    for topic in [name for entry in load_topics().topics for name in load_topics().physical(entry)]:
        partitions = [TopicPartition(topic, number) for number in range(log.partitions(topic))]
        for partition, (first, end) in log.bounds(partitions).items():
            for record in log.read(partition, first, end) if first < end else ():
                text = b"\0".join((record.key or b"", *(value for _, value in record.headers), record.value or b""))
                found |= {(topic, word) for word in SECRETS if word.lower() in text.lower()}
                seen += topic in ("imaging.order.command", "imaging.mpps.event")
    assert seen >= 4
    for path in (stack.home / "logs").rglob("*"):
        text = path.read_bytes()
        found |= {(path.name, word) for word in SECRETS if re.search(re.escape(word), text, re.IGNORECASE)}
    assert found == set()


def test_the_log_alone_makes_the_same_orders_and_the_accounts_agree(stack: RunningStack) -> None:
    rebuilt = facts(stack, "catalog", "rebuild")
    assert rebuilt["differing"] == []
    assert rebuilt["rebuilt"]["tables"]["order_commands"]["rows"] >= 3
    assert rebuilt["rebuilt"]["tables"]["performed_steps"]["rows"] >= 1
    wait_until(lambda: facts(stack, "status")["agree"], "the accounts to agree")
