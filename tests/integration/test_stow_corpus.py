"""Foreign files that nobody here wrote, by STOW-RS as they are: headers of all kinds, preambles, no header at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pydicom
import pytest
import urllib3
from pydicom.filereader import _read_file_meta_info, read_preamble

from producers.dicom_router.arrival import CANNOT_UNDERSTAND, SOP_CLASS_NOT_SUPPORTED
from streams.config import Kafka, Store
from streams.events import InstanceReceived
from streams.kafka_log import KafkaLog
from streams.log import TopicPartition
from streams.s3 import S3Store
from streams.wire import decode
from tests.integration.test_router_corpus import DIRECTORIES, pydicom_split
from tests.pipeline_run import settled
from tests.running_stack import RunningStack
from tests.stow import MULTIPART, Stow, StowAnswer, body_of, running_stow

pytestmark = pytest.mark.corpus

# Files that name no SOP instance, neither in the data set nor in the header: an answer could not say which is kept.
NAMELESS = 7
IN_ONE_REQUEST = 16
RECEIVED = "imaging.instance.received"


@pytest.fixture(scope="module")
def files(corpus: Path) -> Sequence[Path]:
    return sorted((corpus / "files").iterdir())


def batches(files: Sequence[Path]) -> Iterator[list[bytes]]:
    for start in range(0, len(files), IN_ONE_REQUEST):
        yield [path.read_bytes() for path in files[start : start + IN_ONE_REQUEST]]


@pytest.fixture(scope="module")
def sent(files: Sequence[Path]) -> Iterator[tuple[Stow, list[StowAnswer]]]:
    with running_stow() as stow:
        yield stow, [stow.store(*batch) for batch in batches(files)]


def test_every_file_is_kept_or_refused_with_a_reason(
    sent: tuple[Stow, list[StowAnswer]], files: Sequence[Path]
) -> None:
    stow, answers = sent
    assert {answer.status for answer in answers} == {200, 202}
    assert sum(len(answer.kept) for answer in answers) == len(files) - DIRECTORIES - NAMELESS
    assert Counter(reason for answer in answers for reason in answer.others) == {CANNOT_UNDERSTAND: NAMELESS}
    assert {reason for answer in answers for reason in answer.failed.values()} == {SOP_CLASS_NOT_SUPPORTED}
    assert len(stow.router.received()) == len(files) - DIRECTORIES - NAMELESS
    assert len(stow.router.audited()) == DIRECTORIES + NAMELESS


def test_each_data_set_is_in_the_store_byte_for_byte_in_its_transfer_syntax(
    sent: tuple[Stow, list[StowAnswer]], files: Sequence[Path]
) -> None:
    stow, _ = sent
    received = stow.router.received()
    found = {
        (event.instance.transfer_syntax_uid, pydicom_split(stow.router.held.read(event.object))) for event in received
    }
    assert_kept(files, found)


def assert_kept(files: Sequence[Path], found: set[tuple[str, bytes]]) -> None:
    """Every file that pydicom finds a name and a transfer syntax in, but directories, is among `found`."""
    expected = {path.name: of_pydicom(path) for path in files}
    missing = [name for name, one in expected.items() if one is not None and one not in found]
    assert missing == []
    assert sum(one is not None for one in expected.values()) > 240


def of_pydicom(path: Path) -> tuple[str, bytes] | None:
    """Transfer syntax and data set of a file with a whole header, by a reader that is not ours."""
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if read_preamble(file, False) is None:
                return None
            meta = _read_file_meta_info(file)
            data_set = file.read()
            named = meta.get("MediaStorageSOPInstanceUID") or pydicom.dcmread(path, force=True).SOPInstanceUID
            directory = meta.get("MediaStorageSOPClassUID") == pydicom.uid.MediaStorageDirectoryStorage
            return (str(meta.TransferSyntaxUID), data_set) if named and not directory else None
        except Exception:  # noqa: BLE001 - pydicom reads no malformed files, and raises anything
            return None


@pytest.fixture(scope="module")
def answers(stack: RunningStack, files: Sequence[Path]) -> list[StowAnswer]:
    """What the router of a whole stack says, once the pipeline is still."""
    found = []
    with urllib3.PoolManager(retries=False, timeout=300.0) as client:
        for batch in batches(files):
            url = f"http://127.0.0.1:{stack.ports['stow']}/studies"
            response = client.request("POST", url, body=body_of(batch), headers={"Content-Type": MULTIPART})
            headers = {name.lower(): value for name, value in response.headers.items()}
            found.append(StowAnswer.of(response.status, headers, response.data))
    settled(stack)
    return found


@pytest.mark.stack
def test_the_whole_stack_holds_each_data_set_that_it_acknowledged(
    stack: RunningStack, answers: list[StowAnswer], files: Sequence[Path]
) -> None:
    assert sum(len(answer.kept) for answer in answers) == len(files) - DIRECTORIES - NAMELESS
    store = S3Store(stack.config.section("store", Store))
    events = [event for event in received(stack) if event.source.protocol == "STOW-RS"]
    found = {(event.instance.transfer_syntax_uid, pydicom_split(store.read(event.object))) for event in events}
    assert_kept(files, found)


def received(stack: RunningStack) -> Iterator[InstanceReceived]:
    log = KafkaLog(stack.config.section("kafka", Kafka))
    partitions = [TopicPartition(RECEIVED, number) for number in range(log.partitions(RECEIVED))]
    for partition, (first, end) in log.bounds(partitions).items():
        for record in log.read(partition, first, end) if first < end else ():
            event = decode(record)
            assert isinstance(event, InstanceReceived)
            yield event


@pytest.mark.stack
def test_the_accounts_agree(stack: RunningStack, answers: list[StowAnswer]) -> None:
    environment = {**os.environ, "RADSTREAM_CONFIG": str(stack.config_path)}
    command = [sys.executable, "-m", "radstream", "status", "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=800)
    assert done.returncode == 0, done.stderr
    status: Mapping[str, Any] = json.loads(done.stdout)
    assert status["agree"], [equation for equation in status["accounts"] if not equation["agrees"]]
    assert sum(status["refused"].values()) >= DIRECTORIES + NAMELESS
