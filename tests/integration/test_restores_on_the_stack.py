"""A study in the archive of a running stack: asked for by many, restored once, and told when it is there."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import requests
from pydicom.uid import generate_uid

from gateway.config import Settings
from radstream.items import items_of
from radstream.sending import send_items
from streams.config import Kafka
from streams.events import SUBJECTS, TierMoved
from streams.kafka_log import KafkaLog
from streams.log import TopicPartition
from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN
from streams.wire import decode
from tests.commands import facts, run
from tests.images import CT, native
from tests.pipeline_run import router_of, settled
from tests.retrieves import STUDY_GET, Client, keys
from tests.running_stack import RunningStack
from tests.waiting import wait_until

pytestmark = pytest.mark.stack

FILES = 'multipart/related; type="application/dicom"; transfer-syntax=*'
COUNT = 3


@pytest.fixture(scope="module")
def archive(stack: RunningStack) -> Iterator[RunningStack]:
    with stack.archived():
        yield stack


@pytest.fixture(scope="module")
def root(archive: RunningStack) -> str:
    settings = archive.config.section("gateway", Settings)
    return f"http://{settings.host}:{settings.port}"


@pytest.fixture(scope="module")
def files(archive: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A study that went down to the cold store, by SOP Instance UID."""
    folder, series, study = tmp_path_factory.mktemp("study"), generate_uid(), generate_uid()
    made = {}
    for number in range(1, COUNT + 1):
        uid = str(generate_uid())
        uids = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "SOPInstanceUID": uid}
        frame = np.random.default_rng(number).integers(0, 4096, (1, 64, 48)).astype(np.uint16)
        made[uid] = native(frame, PatientID="RESTORED", InstanceNumber=number, **uids)
        (folder / f"{number}.dcm").write_bytes(made[uid])
    assert send_items(list(items_of([Path(folder)])), router_of(archive)).acknowledged == COUNT
    settled(archive)
    goes_cold(archive, str(study))
    return made


@pytest.fixture(scope="module")
def study_uid(files: dict[str, bytes]) -> str:
    return str(pydicom.dcmread(BytesIO(next(iter(files.values())))).StudyInstanceUID)


def goes_cold(stack: RunningStack, study_uid: str) -> None:
    facts(stack, "tier", "run", "--study", study_uid, "--now", f"{datetime.now(UTC).year + 9}-01-01", "--yes")
    wait_until(lambda: held(stack, study_uid) == {"cold", "backup"}, "the study in the cold store")


def held(stack: RunningStack, study_uid: str) -> set[str]:
    return {one["store"] for one in facts(stack, "study", study_uid)["kept"]}


def get(root: str, study_uid: str) -> requests.Response:
    return requests.get(f"{root}/dicomweb/studies/{study_uid}", headers={"accept": FILES}, timeout=180)


def restores(stack: RunningStack, study_uid: str) -> list[str]:
    """Phases of restores of the study, as the log has them."""
    log = KafkaLog(stack.config.section("kafka", Kafka))
    topic = SUBJECTS[TierMoved]
    names = [TopicPartition(topic, number) for number in range(log.partitions(topic))]
    found = [
        decode(record)
        for name, (first, end) in log.bounds(names).items()
        for record in (log.read(name, first, end) if end > first else ())
    ]
    return [
        event.phase
        for event in found
        if isinstance(event, TierMoved) and event.why == "recall" and event.study_uid == study_uid
    ]


class Listening:
    """What `/events` tells of a study."""

    def __init__(self, root: str, study_uid: str) -> None:
        self.told: list[dict[str, Any]] = []
        self._answer = requests.get(f"{root}/events", params={"study": study_uid}, stream=True, timeout=300)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _lines(self) -> Iterator[str]:
        """Until the gateway is stopped."""
        with suppress(requests.RequestException):
            yield from self._answer.iter_lines(decode_unicode=True)

    def _listen(self) -> None:
        lines = self._lines()
        self.told.extend(json.loads(line[6:]) for line in lines if line.startswith('data: {"study'))


def data_set(file: bytes) -> bytes:
    """What is behind group 0002."""
    return file[144 + int.from_bytes(file[140:144], "little") :]


def test_twenty_readers_while_tiering_is_dead_start_one_restore_that_is_told(
    archive: RunningStack, root: str, study_uid: str, files: dict[str, bytes]
) -> None:
    listening = Listening(root, study_uid)
    archive.kill("tiering")
    try:
        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda _: get(root, study_uid), range(20)))
        assert {answer.status_code for answer in answers} == {202}
        assert all(int(answer.headers["retry-after"]) > 0 for answer in answers)
        stored = [(CT, EXPLICIT_VR_LITTLE_ENDIAN)]
        peer = Client(archive.ports["retrieve"])
        last, got = peer.get(keys("STUDY", StudyInstanceUID=study_uid), stored, STUDY_GET)
        assert (last.Status, last.NumberOfFailedSuboperations, got) == (0xA702, COUNT, [])
        assert last.ErrorComment.startswith("being restored, expected in")
        assert "in the archive" in requests.get(f"{root}/study/{study_uid}", timeout=180).text
    finally:
        archive.up()
    wait_until(lambda: any(one["phase"] == "switched" for one in listening.told), "the event")
    told = [(one["why"], one["phase"], one["serving"]) for one in listening.told]
    assert told[-1] == ("recall", "switched", "hot")
    # At once, whether the catalog has read of it or not.
    answer = get(root, study_uid)
    assert answer.status_code == 200
    assert all(data_set(file) in answer.content for file in files.values()), "byte by byte what was sent"
    assert restores(archive, study_uid) == ["planned", "copied", "verified", "switched"]
    wait_until(lambda: held(archive, study_uid) == {"hot", "cold", "backup"}, "the copies in the catalog")
    last, got = peer.get(keys("STUDY", StudyInstanceUID=study_uid), stored, STUDY_GET)
    assert (last.Status, len(got)) == (0x0000, COUNT)


def test_a_person_restores_by_command_what_went_back(archive: RunningStack, root: str, study_uid: str) -> None:
    assert facts(archive, "tier", "restore", study_uid)["state"] == "online"
    goes_cold(archive, study_uid)
    before = len(restores(archive, study_uid))
    found = facts(archive, "tier", "restore", study_uid, "--wait")
    assert (found["state"], found["instances"]) == ("restored", COUNT)
    assert restores(archive, study_uid)[before:] == ["planned", "copied", "verified", "switched"]
    assert get(root, study_uid).status_code == 200
    failed = run(archive, "tier", "restore", "2.25.1")
    assert failed.exit_code == 1
    assert "the catalog has no study" in str(failed.exception)
