"""A chest CT on the running stack: results, their objects, a review, and none of it analysed again; and a study with an
image of another patient in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from consumers.ai.entries import FILE, entries
from radstream.__main__ import cli
from radstream.errors import Failure
from radstream.items import items_of
from radstream.phantom import chest_ct, encoded
from radstream.sending import send_items
from schemas import load_topics
from streams.config import Kafka
from streams.events import InferenceResult
from streams.kafka_log import KafkaLog
from streams.log import TopicPartition
from streams.wire import decode
from tests.pipeline_run import router_of, settled
from tests.running_stack import RunningStack

pytestmark = pytest.mark.stack

SEED, SLICES, MATRIX = 61, (2, 10, 10), 64
OTHER_SEED = 62


def run(stack: RunningStack, *arguments: str) -> Any:
    done = CliRunner().invoke(cli, [*arguments, "--json", "--config", str(stack.config_path)])
    assert done.exception is None, done.exception
    return json.loads(done.stdout)


def results(stack: RunningStack, study_uid: str) -> list[InferenceResult]:
    """Every record of a result of one study."""
    log = KafkaLog(stack.config.section("kafka", Kafka))
    topics = load_topics().physical("imaging.inference.result")
    names = [TopicPartition(topic, number) for topic in topics for number in range(log.partitions(topic))]
    events = [decode(record) for name, ends in log.bounds(names).items() for record in log.read(name, *ends)]
    return [event for event in events if isinstance(event, InferenceResult) and event.study_uid == study_uid]


def with_a_stranger(folder: Path) -> tuple[str, str]:
    """Files of another study, of which one image is missing and another is of another patient: UIDs of both."""
    section, *others = [one for one in chest_ct(OTHER_SEED, (2, 16, 4), 32) if one.SeriesNumber == 2]
    others[2].PatientID, others[2].PatientName = "SOMEONE-ELSE", "Else^Someone"
    for number, dataset in enumerate((section, *others[:4], *others[5:])):
        dataset.save_as(folder / f"{number}.dcm", enforce_file_format=True)
    return str(section.StudyInstanceUID), str(others[2].SOPInstanceUID)


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    folder = tmp_path_factory.mktemp("stranger")
    return folder, *with_a_stranger(folder)


@pytest.fixture(scope="module")
def study_uid(stack: RunningStack, stranger: tuple[Path, str, str]) -> str:
    items = [*encoded(SEED, SLICES, matrix=MATRIX), *items_of([stranger[0]])]
    # Who asks for one result of each series may not have a revision more when this machine is slow.
    with stack.patient():
        assert send_items(items, router_of(stack)).statuses == {"0000": len(items)}
        settled(stack)
    return str(next(iter(chest_ct(SEED, SLICES, MATRIX))).StudyInstanceUID)


def test_each_model_says_something_of_each_series_once(stack: RunningStack, study_uid: str) -> None:
    found = results(stack, study_uid)
    models = {f"ai.{name}" for name, one in entries(FILE).items() if one.backend != "triton" or "triton" in stack.names}
    assert {(one.provenance.step, one.outcome) for one in found} == {(model, "analysed") for model in models}
    # SR and SEG made a second revision, which says the same: no new result, whatever revision it came with.
    assert len({one.meta.event_id for one in found}) == 2 * len(models)
    assert {one.revision for one in found} == {1}


def test_the_study_shows_results_objects_and_what_a_person_says(stack: RunningStack, study_uid: str) -> None:
    shown = run(stack, "study", study_uid)
    by_step = {one["step"]: one for one in shown["results"]}
    made = [one for one in shown["series"] if one["modality"] in ("SR", "SEG")]
    assert sum(one["modality"] == "SR" for one in made) == len(shown["results"])
    assert shown["counts"]["quarantined"] == 0
    assert shown["patient"]["PatientID"] == f"PHANTOM-{SEED}"

    laa = by_step["ai.laa-950"]
    (finding,) = laa["findings"]
    said = run(stack, "review", laa["event_id"], "--verdict", "rejected", "--finding", finding["finding_id"])
    assert said["findings"][0]["review"]["verdict"] == "rejected"
    said = run(stack, "review", laa["event_id"], "--verdict", "confirmed", "--note", "bullae", "--reviewer", "dr.b")
    (finding,) = said["findings"]
    assert (finding["review"]["reviewer"], finding["review"]["note"]) == ("dr.b", "bullae")
    assert [one["review"] for one in run(stack, "study", study_uid)["results"] if one["step"] == "ai.laa-950"].count(
        said["review"]
    ) == 1


@pytest.mark.usefixtures("study_uid")
def test_an_image_of_another_patient_is_held_and_its_study_says_so(
    stack: RunningStack, stranger: tuple[Path, str, str]
) -> None:
    _, other_study, stray = stranger
    shown = run(stack, "study", other_study)
    (held,) = shown["quarantined"]
    assert (held["sop_instance_uid"], held["code"]) == (stray, "contradicts_patient")
    assert (shown["counts"]["instances"], shown["counts"]["served"]) == (15, 14)
    about = {one["rule"]: [name["sop_instance_uid"] for name in one["first"]] for one in shown["study_findings"]}
    assert about.keys() == {"patient_contradicts", "series_gap"}
    assert about["patient_contradicts"] == [stray]
    # It flowed before it was held; what depends on the study was made again without it.
    without = max(one["revision"] for one in shown["revisions"] if one["without_held"])
    assert [one["instances"] for one in shown["revisions"]][without - 2 : without] == [15, 14]
    assert {one["revision"] for one in shown["results"] if one["series_uid"]} <= {without}
    assert {one["revision"] for one in shown["withdrawn"]} <= {without - 1}
    (listed,) = [one for one in run(stack, "quarantine", "list")["held"] if one["study_uid"] == other_study]
    assert (listed["code"], listed["step"]) == ("contradicts_patient", "assess")
    printed = CliRunner().invoke(cli, ["study", other_study, "--config", str(stack.config_path)]).stdout
    assert "Findings of the study" in printed
    assert "SOMEONE-ELSE" not in json.dumps(shown["study_findings"]) + json.dumps(shown["quarantined"])


def test_a_review_of_nothing_is_refused(stack: RunningStack, study_uid: str) -> None:
    (one, *_) = run(stack, "study", study_uid)["results"]
    for arguments, said in (
        (("0" * 8,), "no result with this id"),
        ((one["event_id"], "--finding", "none"), "no finding with this id"),
        ((one["event_id"], "--reviewer", "Doe, Jane"), "--reviewer"),
        ((one["event_id"], "--note", " "), "--note"),
    ):
        command = ["review", *arguments, "--verdict", "confirmed", "--config", str(stack.config_path)]
        done = CliRunner().invoke(cli, command)
        assert isinstance(done.exception, Failure)
        assert said in str(done.exception)
