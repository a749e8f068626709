"""The catalog's commands as a person runs them, on the running stack."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pydicom
import pydicom.data
import pytest
from click.testing import CliRunner, Result

from radstream.__main__ import cli
from radstream.errors import Failure
from streams.config import Kafka
from streams.events import AuditEvent
from streams.kafka_log import KafkaLog
from streams.log import TopicPartition
from streams.wire import decode
from tests.conftest import RunningStack
from tests.waiting import wait_until

pytestmark = pytest.mark.stack

IMAGE = Path(pydicom.data.__file__).parent / "test_files" / "CT_small.dcm"
NAME = "CompressedSamples^CT1"


def run(stack: RunningStack, *arguments: str) -> Result:
    return CliRunner().invoke(cli, [*arguments, "--config", str(stack.config_path)])


def facts(stack: RunningStack, *arguments: str) -> Any:
    done = run(stack, *arguments, "--json")
    assert done.exception is None, done.output
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def study_uid(stack: RunningStack) -> str:
    """The UID of a study that was sent and is in the catalog, with its copies."""
    assert run(stack, "send", str(IMAGE)).exit_code == 0
    uid = str(pydicom.dcmread(IMAGE, stop_before_pixels=True).StudyInstanceUID)

    def copied() -> bool:
        done = run(stack, "study", uid, "--json")
        return done.exit_code == 0 and bool(json.loads(done.stdout)["copies"])

    wait_until(copied, "the study's copies in the catalog")
    return uid


def audit_actions(stack: RunningStack) -> list[tuple[str, str]]:
    log = KafkaLog(stack.config.section("kafka", Kafka))
    name = TopicPartition("imaging.audit.event", 0)
    start, end = log.bounds([name])[name]
    events = [decode(record) for record in log.read(name, start, end)]
    return [(event.action, event.meta.subject) for event in events if isinstance(event, AuditEvent)]


def test_a_study_is_shown_with_its_patient_and_the_look_is_audited(stack: RunningStack, study_uid: str) -> None:
    found = facts(stack, "study", study_uid)
    assert found["patient"]["PatientName"] == NAME
    # Other tests send images of this study to the stack of all.
    assert found["counts"]["served"] >= 1
    assert {copy["kind"] for copy in found["copies"]} >= {"thumbnail"}
    assert ("study_shown", study_uid) in audit_actions(stack)
    shown = run(stack, "study", study_uid)
    assert study_uid in shown.stdout
    assert NAME in shown.stdout


def test_studies_are_listed_by_patient_and_the_list_is_audited(stack: RunningStack, study_uid: str) -> None:
    found = facts(stack, "studies", "--patient", "1CT1")
    # Other tests send images of this patient to the stack of all.
    assert study_uid in [line["study_uid"] for line in found["studies"]]
    assert study_uid in run(stack, "studies", "--patient", "1CT1").stdout
    assert ("studies_listed", "studies") in audit_actions(stack)


def test_an_unknown_study_and_a_wrong_token_say_what_to_do(stack: RunningStack) -> None:
    for arguments, text in ((("study", "1.2.3"), "radstream lag"), (("studies", "--after", "x"), "the last page")):
        failed = run(stack, *arguments)
        assert isinstance(failed.exception, Failure)
        assert text in str(failed.exception)


def test_a_rebuild_from_the_log_has_the_checksum_of_the_live_catalog(stack: RunningStack, study_uid: str) -> None:
    wait_until(lambda: facts(stack, "catalog", "checksum")["lag"] == {}, "the catalog at the log's end")
    found = facts(stack, "catalog", "rebuild", "--switch", "--reason", "a test")
    assert found["equal"] is True
    assert found["live"]["total"] == found["rebuilt"]["total"]
    # Others of the shared stack are audited at the same time.
    mine = [action for action, _ in audit_actions(stack) if action.startswith("catalog_")]
    assert mine[-2:] == ["catalog_rebuild", "catalog_rebuilt"]
    assert facts(stack, "study", study_uid)["patient"]["PatientName"] == NAME


def test_nothing_is_left_to_migrate_on_a_running_stack(stack: RunningStack) -> None:
    assert "nothing to apply" in run(stack, "catalog", "migrate").stdout
    assert "nothing to apply" in run(stack, "catalog", "migrate", "--after").stdout
