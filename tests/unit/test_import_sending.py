"""What is sent on once somebody said whose a study is: all of it that flows, and nothing that is held."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from msgspec import structs

from radstream.import_sending import SentOn, send_on
from schemas import load_topics
from streams.config import Config
from streams.events import Event, InstanceValidated
from streams.log import TopicPartition
from streams.memory_log import MemoryLog
from streams.parking import retry_topic, unparked
from streams.routes.section import group_of
from streams.wire import SchemaIds, decode, encode
from tests.event_streams import TENANT, Hospital
from tests.import_events import from_outside

RULES = """
[destinations.pacs]
ae_title = "PACS"
host = "127.0.0.1"
port = 11112

[destinations.raw]
ae_title = "RAW"
host = "127.0.0.1"
port = 11113
outside = "as_it_came"

[[rules]]
name = "all"
forward = ["pacs", "raw"]
"""


def site(folder: Path) -> Config:
    (folder / "routes.toml").write_text(RULES, encoding="utf-8")
    sections = {"site": {"tenant": TENANT, "site": "s"}, "routes": {"file": str(folder / "routes.toml")}}
    return Config(folder / "radstream.toml", "", sections)


def log_of(events: Iterable[Event]) -> MemoryLog:
    log, topics = MemoryLog(), load_topics()
    for name in topics.topics:
        for physical in topics.physical(name):
            log.create_topic(physical, 2)
    producer = log.producer()
    for event in events:
        producer.send(encode(event, SchemaIds(), source="test")).result(5)
    return log


def test_what_is_held_or_rejected_stays_and_the_rest_goes_once(tmp_path: Path) -> None:
    hospital = Hospital()
    study_uid = hospital.uid()
    said = {"PatientID": "X1"}
    images = [hospital.received(study_uid, hospital.uid(), said) for _ in range(3)]
    other = from_outside(hospital)
    valid = [hospital.validated(image) for image in images]
    # Validated anew: another event of the same image.
    again = structs.replace(
        valid[0], meta=structs.replace(valid[0].meta, event_id=hospital.validated(other).meta.event_id)
    )
    log = log_of([*valid, again, hospital.validated(other)])
    held = valid[1].instance.digest
    since = images[0].meta.occurred_at - timedelta(days=1)
    assert send_on(site(tmp_path), log, study_uid, since, {held}) == SentOn(2, 1, ("pacs",))
    assert sorted(read_again(log)) == sorted(one.instance.digest for one in (valid[0], valid[2]))


def read_again(log: MemoryLog) -> list[str]:
    """Digests that the forwarder of the destination reads again."""
    topic = retry_topic("forward")
    names = [TopicPartition(topic, number) for number in range(2)]
    found = [
        record for name, part in log.bounds(names).items() for record in log.read(name, *part) if part[1] > part[0]
    ]
    assert all(record.header("origin_group") == group_of("pacs") for record in found)
    events = [decode(unparked(record).record) for record in found]
    return [event.instance.digest for event in events if isinstance(event, InstanceValidated)]
