"""Any part may be killed in the middle of many inference requests: each ends with one result, or one dead letter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from consumers.ai.deployments import FILE
from radstream.phantom import chest_ct, encoded
from schemas import load_topics
from streams.config import Kafka, Store
from streams.deadletters import dead_letters
from streams.events import Event, InferenceResult, ResultObject, StudyRevision
from streams.kafka_log import KafkaLog
from streams.log import LogAway, TopicPartition
from streams.s3 import S3Store
from streams.wire import decode
from tests.pipeline_run import Load, settled
from tests.running_stack import RunningStack, started
from tests.waiting import wait_until

# A request is one model and one series: each study has two series, and two or three models look at them.
REQUESTS = int(os.environ.get("RADSTREAM_FAULT_REQUESTS", "24"))
STUDIES = max(1, -(-REQUESTS // 4))
SLICES, MATRIX = (1, 3, 3), 32
SHORT = ("triton", "ai", "kafka", "store", "ai")
VICTIMS = SHORT if REQUESTS < 1000 else (*SHORT, "validate", "derive", "revisions", "catalog", "tiering")
RESULTS = "imaging.inference.result"

pytestmark = [pytest.mark.fault, pytest.mark.timeout(1800 + 4 * REQUESTS)]

Request = tuple[str, str, str]
"""Study, series and step."""


@pytest.fixture
def own() -> Iterator[RunningStack]:
    """With the project's models, for series of three images. What waits, waits for seconds."""
    small = FILE.read_text(encoding="utf-8").replace("images_min = 8", "images_min = 3")
    sections = {
        "revisions": "quiet_s = 1.0",
        "ai.runner": "threads = 2\nbatch_max = 1\npark_wait_s = 0.5\npark_wait_s_max = 5.0",
    }
    with started(deployments=small, settings=sections) as running:
        yield running


def test_every_request_ends_with_one_result_or_one_dead_letter(own: RunningStack) -> None:
    victims = [name for name in VICTIMS if name in own.names]
    load = Load(own, [item for seed in range(STUDIES) for item in encoded(100 + seed, SLICES, MATRIX)])
    for place, victim in enumerate(victims):
        wait_for_results(own, 4 * STUDIES * (place + 1) // (len(victims) + 1))
        own.kill(victim)
        own.up()
    assert set(load.finish().statuses) == {"0000"}
    settled(own)

    ended = outcomes(own)
    dead = dead_studies(own)
    asked = requests(own)
    assert len(asked) >= REQUESTS
    unanswered = {request for request in asked if not ended[request]}
    assert {study for study, _, _ in unanswered} <= dead.keys()
    assert {request: ids for request, ids in ended.items() if len(ids) > 1} == {}
    assert max(dead.values(), default=1) == 1
    assert missing(own) == []
    rebuilt = facts(own, "catalog", "rebuild")
    assert rebuilt["equal"] is True, rebuilt["differing"]
    assert facts(own, "status")["agree"] is True


def wait_for_results(stack: RunningStack, count: int) -> None:
    wait_until(lambda: results(stack) >= count, f"{count} results", 300.0)


def results(stack: RunningStack) -> int:
    """How many records there are; 0 while a broker that was killed is not quite back."""
    log = KafkaLog(stack.config.section("kafka", Kafka))
    try:
        names = [
            TopicPartition(name, n) for name in load_topics().physical(RESULTS) for n in range(log.partitions(name))
        ]
        return sum(end for _, end in log.bounds(names).values())
    except LogAway:
        return 0


def requests(stack: RunningStack) -> set[Request]:
    """What was to be answered: by each model, of each series with all its images."""
    steps = {event.provenance.step for event in events(stack, RESULTS) if isinstance(event, InferenceResult)}
    series = {
        (str(image.StudyInstanceUID), str(image.SeriesInstanceUID))
        for seed in range(STUDIES)
        for image in chest_ct(100 + seed, SLICES, MATRIX)
        if image.ImageType[2] != "LOCALIZER"
    }
    return {(*one, step) for one in series for step in steps}


def outcomes(stack: RunningStack) -> dict[Request, set[str]]:
    """The effective results of each request: those of whole series that are no failures, by what they say."""
    found: dict[Request, set[str]] = defaultdict(set)
    for event in events(stack, RESULTS):
        if isinstance(event, InferenceResult) and event.input_count == 3 and event.outcome != "failed":
            # All records of one event say the same, to the digit.
            found[event.study_uid, event.series_uid or "", event.provenance.step].add(repr(event))
    return found


def dead_studies(stack: RunningStack) -> dict[str, int]:
    """How often each study's record is a dead letter. A crash may write one twice: it is the same record."""
    log = KafkaLog(stack.config.section("kafka", Kafka))
    places = {(one.record.partition, one.record.offset): decode(one.record) for one in dead_letters(log, "ai")}
    counts: dict[str, int] = defaultdict(int)
    for event in places.values():
        if isinstance(event, StudyRevision):
            counts[event.study_uid] += 1
    return counts


def missing(stack: RunningStack) -> list[ResultObject]:
    """Objects that results speak of and the store does not have."""
    store = S3Store(stack.config.section("store", Store))
    return [
        one
        for event in events(stack, RESULTS)
        if isinstance(event, InferenceResult)
        for one in event.objects
        if not store.exists(one.object)
    ]


def events(stack: RunningStack, topic: str) -> list[Event]:
    log = KafkaLog(stack.config.section("kafka", Kafka))
    names = [TopicPartition(name, n) for name in load_topics().physical(topic) for n in range(log.partitions(name))]
    return [decode(record) for name, ends in log.bounds(names).items() for record in log.read(name, *ends)]


def facts(stack: RunningStack, *arguments: str) -> Any:
    command = [sys.executable, "-m", "radstream", *arguments, "--json", "--config", str(stack.config_path)]
    environment = {**os.environ, "RADSTREAM_HOME": str(stack.home)}
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=800, env=environment)
    return json.loads(ended.stdout)
