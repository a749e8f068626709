"""`radstream quarantine list` says what is held and why, each instance once."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from msgspec import structs

from radstream import quarantine
from radstream.errors import Failure
from radstream.quarantine_log import quarantined
from schemas import Lane, load_subjects, load_topics
from streams.events import InstanceQuarantined
from streams.memory_log import MemoryLog
from streams.wire import Message, SchemaIds, encode
from tests.instance_events import provenance_of

SUBJECT = "imaging.instance.quarantined"


@pytest.fixture
def log() -> MemoryLog:
    made = MemoryLog()
    for topic in (*load_topics().physical(SUBJECT), "imaging.quarantine.command"):
        made.create_topic(topic, 2)
    return made


def example(minute: int, lane: Lane = "routine") -> InstanceQuarantined:
    event = msgspec.convert(load_subjects()[SUBJECT].examples[0], InstanceQuarantined)
    meta = structs.replace(
        event.meta,
        event_id=f"event-{minute}",
        lane=lane,
        occurred_at=event.meta.occurred_at + timedelta(minutes=minute),
    )
    return structs.replace(event, meta=meta, instance=structs.replace(event.instance, digest=f"{minute:064x}"))


def write(log: MemoryLog, *messages: Message) -> None:
    producer = log.producer()
    for message in messages:
        producer.send(message).result(timeout=30)
    producer.close(5)


def record(event: InstanceQuarantined) -> Message:
    return encode(event, SchemaIds(), source="radstream/t/s/test")


def test_every_lane_is_listed_the_oldest_first_and_duplicates_once(log: MemoryLog) -> None:
    write(log, *map(record, (example(3), example(1, "stat"), example(2, "bulk"), example(3))))

    found = quarantined(log)

    assert [one.event_id for one in found.held] == ["event-1", "event-2", "event-3"]
    assert found.unreadable == 0


def test_what_validate_says_of_a_rejection_is_no_reason_of_its_own(log: MemoryLog) -> None:
    held = example(1)
    said = structs.replace(held.meta, event_id="rejection", occurred_at=held.meta.occurred_at)
    rejection = structs.replace(held, meta=said, provenance=provenance_of("quarantine", 9), code="rejected")
    write(log, *map(record, (held, rejection)))
    (one,) = quarantined(log).held
    assert (one.code, one.step) == (held.code, held.provenance.step)


def test_a_record_that_cannot_be_read_is_counted_and_one_of_a_newer_build_stops(log: MemoryLog) -> None:
    good = record(example(1))
    write(log, Message(good.topic, good.key, b"\0\0\0\0\1junk", good.headers), good)
    assert quarantined(log).unreadable == 1

    newer = tuple((name, b"99" if name == "schema_version" else value) for name, value in good.headers)
    write(log, Message(good.topic, good.key, good.value, newer))
    with pytest.raises(Failure, match="newer"):
        quarantined(log)


def test_the_command_prints_a_table_or_one_json_document(log: MemoryLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "open_config", lambda _: None)
    monkeypatch.setattr(quarantine, "open_log", lambda _: log)
    run = CliRunner().invoke

    empty = run(quarantine.quarantine, ["list", "--config", str(Path("any"))])
    write(log, record(example(1)))
    table = run(quarantine.quarantine, ["list", "--config", "any"], env={"COLUMNS": "300"})
    document = run(quarantine.quarantine, ["list", "--config", "any", "--json"])

    assert (empty.exit_code, empty.stdout) == (0, "nothing is quarantined that waits for a decision\n")
    assert example(1).code in table.stdout
    (held,) = json.loads(document.stdout)["held"]
    assert (held["code"], held["detail"]) == (example(1).code, example(1).detail)
