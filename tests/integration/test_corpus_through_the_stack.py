"""Files that nobody here wrote, through the whole stack: each is accounted for, and nobody's name gets about."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pydicom
import pytest
import urllib3
from pydicom._dicom_dict import DicomDictionary

from infra.local.parts.services import MODULES
from radstream.demo_items import pydicom_files
from schemas import load_topics
from streams.config import Kafka
from streams.kafka_log import KafkaLog
from streams.log import TopicPartition
from tests.pipeline_run import settled
from tests.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.corpus]

# Attributes that say who somebody is.
PERSONAL = ("PatientName", "PatientID", "PatientBirthDate", "OtherPatientIDs", "PatientAddress", "AccessionNumber")
# Shorter values are found in anything. Bytes from 0x80 on: names that are not written in ASCII.
TOKEN = re.compile(rb"[0-9a-z._\x80-\xff-]{6,}")
# Words of the field that occur as values of it; the digits in their order are a constant of the registry's database.
NOT_PERSONAL = frozenset(
    (
        b"anonymous",
        b"anonymized",
        b"unknown",
        b"phantom",
        b"patient",
        b"testing",
        b"volume",
        b"breast",
        b"0123456789",
    )
)


@pytest.fixture(scope="module")
def answers(stack: RunningStack, corpus: Path) -> dict[str, Any]:
    """What `radstream send` says of the corpus, once the pipeline is still."""
    done = radstream(stack, "send", str(corpus / "files"), "--json")
    assert done.returncode in (0, 3), done.stderr
    settled(stack)
    answered: dict[str, Any] = json.loads(done.stdout)
    return answered


def radstream(stack: RunningStack, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "RADSTREAM_CONFIG": str(stack.config_path)}
    command = [sys.executable, "-m", "radstream", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=800)


def test_every_file_is_answered(answers: dict[str, Any], corpus: Path) -> None:
    files = len(list((corpus / "files").iterdir()))
    assert answers["files"] == files
    assert answers["unsent"] == []
    assert sum(answers["statuses"].values()) == files
    assert set(answers["statuses"]) <= {"0000", "0122"}


def test_the_accounts_agree(stack: RunningStack, answers: dict[str, Any]) -> None:
    done = radstream(stack, "status", "--json")
    assert done.returncode == 0, done.stderr
    status = json.loads(done.stdout)
    assert status["agree"], [equation for equation in status["accounts"] if not equation["agrees"]]
    assert all(part["pid"] for part in status["stack"]["parts"])
    assert sum(status["refused"].values()) >= answers["statuses"]["0122"]


def test_the_log_alone_makes_the_same_catalog(stack: RunningStack, answers: dict[str, Any]) -> None:
    done = radstream(stack, "catalog", "rebuild", "--json")
    assert done.returncode == 0, done.stderr
    rebuilt = json.loads(done.stdout)
    assert rebuilt["differing"] == []
    assert rebuilt["live"]["total"] == rebuilt["rebuilt"]["total"]


def test_no_name_number_or_date_of_birth_is_in_a_topic_a_log_or_a_metric(
    stack: RunningStack, answers: dict[str, Any], corpus: Path
) -> None:
    words = personal_words([*(corpus / "files").iterdir(), *pydicom_files()])
    assert len(words) > 50
    found = {(place, word) for place, text in written(stack) for word in words & tokens(text)}
    assert found == set()


def test_the_search_finds_what_is_there(stack: RunningStack, answers: dict[str, Any], corpus: Path) -> None:
    """The control: a search that reads nothing finds nothing."""
    known = pydicom.dcmread(corpus / "files" / "017_dicompyler-core_ct.0.dcm", stop_before_pixels=True)
    uid = str(known.StudyInstanceUID).encode()
    assert any(uid in text for place, text in written(stack) if place.startswith("topic imaging.instance.received"))
    assert any(b"service_starting" in text for place, text in written(stack) if place.startswith("file"))


def personal_words(files: Iterable[Path]) -> set[bytes]:
    words: set[bytes] = set()
    for path in files:
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=list(PERSONAL))
            values = [str(element.value) for element in header if element.value]
        except Exception:  # noqa: BLE001, S112 - what cannot be read has no words to look for
            continue
        words |= {word for value in values for word in tokens(value.encode())}
    return words - NOT_PERSONAL - words_of_the_standard()


def words_of_the_standard() -> set[bytes]:
    """Those in names of attributes, which findings name; some of them are values in the corpus, too."""
    return {word for _, _, name, _, _ in DicomDictionary.values() for word in tokens(name.encode())}


def tokens(text: bytes) -> set[bytes]:
    """Words and numbers, in lower case; the parts of a UID are not words of their own."""
    return set(TOKEN.findall(text.lower()))


def written(stack: RunningStack) -> Iterator[tuple[str, bytes]]:
    """Everything that the stack wrote where no name may be: records, segments, the registry's files, logs, metrics."""
    log = KafkaLog(stack.config.section("kafka", Kafka))
    for topic in [name for entry in load_topics().topics for name in load_topics().physical(entry)]:
        for partition, (first, end) in log.bounds(partitions(log, topic)).items():
            for record in log.read(partition, first, end) if first < end else ():
                headers = b"\0".join(value for _, value in record.headers)
                yield f"topic {topic}", b"\0".join((record.key or b"", headers, record.value or b""))
    for path in files_in(stack.home, "logs", "data/kafka", "data/registry"):
        # Indexes hold offsets and times alone, and are ten megabytes of zeros each. What is compacted is removed.
        if path.suffix not in (".index", ".timeindex"):
            with suppress(FileNotFoundError):
                yield f"file {path.relative_to(stack.home)}", path.read_bytes()
    for name in MODULES:
        answer = urllib3.request("GET", f"http://127.0.0.1:{stack.ports[f'{name}-http']}/metrics", timeout=30.0)
        yield f"metrics of {name}", answer.data


def files_in(home: Path, *folders: str) -> Iterator[Path]:
    """A broker removes folders of deleted topics while they are looked through; `rglob` would fail with the first."""
    for folder in folders:
        for parent, _, names in os.walk(home / folder):
            yield from (Path(parent) / name for name in names)


def partitions(log: KafkaLog, topic: str) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for number in range(log.partitions(topic))]
