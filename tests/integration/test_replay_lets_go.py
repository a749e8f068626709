"""What was held and is let go, by a replay that is switched to or by a person, flows on to derive and to its study."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pydicom
import pydicom.data
import pytest
import urllib3
from click.testing import CliRunner, Result
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid

from consumers.catalog.config import Settings as Catalog
from radstream.__main__ import cli
from schemas import load_topics
from streams.config import Kafka
from streams.events import InstanceDerived
from streams.kafka_log import KafkaLog
from streams.log import TopicPartition
from streams.wire import decode
from tests.pipeline_run import settled
from tests.running_stack import RunningStack
from tests.waiting import wait_until

pytestmark = pytest.mark.stack

IMAGE = Path(pydicom.data.__file__).parent / "test_files" / "CT_small.dcm"
# Validation reads to a depth of 64, unless it is told otherwise.
DEEP = 80


def nested(depth: int) -> Dataset:
    """Content items in content items (0040,A730)."""
    item = Dataset()
    for _ in range(depth):
        outer = Dataset()
        outer.ContentSequence = Sequence([item])
        item = outer
    return item


@pytest.fixture
def study_uid(stack: RunningStack, tmp_path: Path) -> str:
    """A study of one image, which is held since nobody reads so deep."""
    image = pydicom.dcmread(IMAGE)
    image.StudyInstanceUID, image.SeriesInstanceUID, image.SOPInstanceUID = (generate_uid() for _ in range(3))
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.ContentSequence = Sequence([nested(DEEP)])
    image.save_as(tmp_path / "deep.dcm")
    assert run(stack.config_path, "send", str(tmp_path / "deep.dcm")).exit_code == 0
    settled(stack)
    return str(image.StudyInstanceUID)


def run(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, [*arguments, "--config", str(config)])


def facts(config: Path, *arguments: str, code: int = 0) -> Any:
    done = run(config, *arguments, "--json")
    assert done.exit_code == code, (done.output, done.exception)
    return json.loads(done.stdout)


def test_an_image_that_a_replay_lets_go_is_derived_and_in_a_revision_after_the_switch(
    stack: RunningStack, study_uid: str, tmp_path: Path
) -> None:
    held = facts(stack.config_path, "study", study_uid)
    assert [one["code"] for one in held["quarantined"]] == ["too_complex"]
    config = tmp_path / "deeper.toml"
    config.write_text(stack.config_path.read_text() + "\n[validate.limits]\ndepth_max = 200\n")
    config.chmod(0o600)
    generation = facts(config, "replay", "run", "validate", "--study", study_uid)["generation"]
    compared = facts(stack.config_path, "replay", "compare", "validate", str(generation), code=3)
    assert (compared["different"], compared["differences"]["code"]) == (1, 1)
    settled(stack)
    waiting = facts(stack.config_path, "study", study_uid)
    assert (waiting["counts"]["served"], waiting["copies"], waiting["revisions"]) == (0, [], [])
    switched = facts(stack.config_path, "replay", "switch", "validate", str(generation), "--why", "deeper")
    assert switched["published"] == 1

    def is_out() -> Any:
        found = facts(stack.config_path, "study", study_uid)
        return found if found["revisions"] and derivations(stack, study_uid) else None

    found = wait_until(is_out, "its derivation and its revision")
    assert (found["counts"]["served"], found["counts"]["quarantined"]) == (1, 0)
    assert found["revisions"][0]["instances"] == 1
    # Whoever comes behind validate reads what it let through.
    assert {event.notes for event in derivations(stack, study_uid)} == {()}


def waiting_at(stack: RunningStack) -> float:
    """How many images the catalog says wait for a person because nobody reads so deep."""
    port = stack.config.section("catalog", Catalog).http_port
    text = urllib3.request("GET", f"http://127.0.0.1:{port}/metrics", timeout=60.0).data.decode()
    named = [line for line in text.splitlines() if line.startswith('radstream_quarantine_open{reason="too_complex"}')]
    return sum(float(line.split()[-1]) for line in named)


def derivations(stack: RunningStack, study_uid: str) -> list[InstanceDerived]:
    """What the live derive says of the study."""
    log = KafkaLog(stack.config.section("kafka", Kafka))
    topics = load_topics().physical("imaging.instance.derived")
    names = [TopicPartition(topic, number) for topic in topics for number in range(log.partitions(topic))]
    records = [record for name, (start, end) in log.bounds(names).items() for record in log.read(name, start, end)]
    events = [event for record in records if isinstance(event := decode(record), InstanceDerived)]
    return [event for event in events if event.instance.study_uid == study_uid]


def test_an_image_that_a_person_lets_go_flows_once_and_is_shown_to_nobody_once_it_is_rejected(
    stack: RunningStack, study_uid: str
) -> None:
    config = stack.config_path
    (held,) = facts(config, "quarantine", "list", "--study", study_uid)["held"]
    assert (held["code"], held["state"]) == ("too_complex", "open")
    assert facts(config, "study", study_uid)["verdicts"]["held"] == {"too_complex": 1}
    assert "1 held: too_complex 1" in run(config, "study", study_uid).stdout
    # What the alert stands on.
    wait_until(lambda: waiting_at(stack) > 0, "the metric of what waits for a person")

    decided = ("--reason", "it is a report with many items", "--as", "night.shift")
    released = facts(config, "quarantine", "release", held["sop_instance_uid"], *decided)
    assert released["written"]

    def is_out() -> Any:
        found = facts(config, "study", study_uid)
        return found if found["revisions"] and derivations(stack, study_uid) else None

    found = wait_until(is_out, "its derivation and its revision")
    assert (found["counts"]["served"], found["verdicts"]["accepted_with_findings"]) == (1, 1)
    assert [one["rule"] for one in found["findings"]] == ["released_by_hand"]
    assert [one["rule"] for one in facts(config, "findings", "--study", study_uid)] == ["released_by_hand"]
    assert not facts(config, "quarantine", "release", held["digest"], *decided)["written"]
    assert run(config, "quarantine", "reject", held["digest"], *decided).exit_code == 1

    facts(config, "quarantine", "reject", held["digest"][:16], *decided, "--again")
    assert facts(config, "study", study_uid)["counts"]["served"] == 0
    shown = facts(config, "quarantine", "show", held["digest"])
    assert [(one["action"], one["actor"], one["why"]) for one in shown["history"]] == [
        ("released", "night.shift", decided[1]),
        ("rejected", "night.shift", decided[1]),
    ]
    assert shown["source"]["calling_ae"]
    settled(stack)
    status = facts(config, "status")
    assert status["agree"], status["accounts"]
    # Others use this stack too.
    assert "too_complex" not in status["quarantined_undecided"]
    assert status["quarantined"]["too_complex"] >= 1
