"""The examples are events, and their bytes on the wire do not change."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas import load_subjects
from streams.events import EVENTS, Event, ObjectRef, OfInstance
from streams.identity import event_id
from streams.wire import Message, Record, SchemaIds, decode, encode

GOLDEN = Path(__file__).parent / "golden"
# In the order in which they came: a subject that is added takes the next number, and nobody's bytes change.
IN_ORDER = (
    "imaging.audit.event",
    "imaging.instance.derived",
    "imaging.instance.quarantined",
    "imaging.instance.received",
    "imaging.instance.validated",
    "imaging.step.generation",
    "imaging.study.revision",
    "imaging.access.read",
    "imaging.hold.command",
    "imaging.inference.result",
    "imaging.review.event",
    "imaging.tier.command",
    "imaging.tier.moved",
    "imaging.forward.result",
)
# Versions that are added, and subjects, take the next number as they come: 14 was one.
FIRST = {(subject, 1): number + (number > 13) for number, subject in enumerate(IN_ORDER, start=1)}
LATER = {
    ("imaging.step.generation", 2): 14,
    ("imaging.order.command", 1): 16,
    ("imaging.mpps.event", 1): 17,
    ("imaging.instance.validated", 2): 18,
    ("imaging.commitment.request", 1): 19,
    ("imaging.commitment.result", 1): 20,
    ("imaging.commitment.report", 1): 21,
    ("imaging.instance.received", 2): 22,
    ("imaging.import.decision", 1): 23,
    ("imaging.instance.validated", 3): 24,
    ("imaging.quarantine.command", 1): 28,
    ("imaging.instance.derived", 2): 29,
    ("imaging.study.assessed", 1): 27,
    ("imaging.study.chain", 1): 25,
    ("imaging.chain.head", 1): 26,
    ("imaging.instance.received", 3): 31,
    ("imaging.study.revision", 2): 32,
    ("imaging.tier.command", 2): 35,
    ("imaging.order.command", 2): 36,
    ("imaging.study.outside", 1): 37,
}
IDS = SchemaIds(FIRST | LATER)
SOURCE = "radstream/general/north/example"

EXAMPLES = [
    pytest.param(subject.name, example, id=f"{subject.name}-{number}")
    for subject in load_subjects().values()
    for number, example in enumerate(subject.examples, start=1)
]


def event_of(subject: str, example: dict[str, Any]) -> Event:
    return msgspec.convert(example, EVENTS[subject])


def record_of(message: Message) -> Record:
    return Record(message.topic, "a-topic-id", 0, 0, 0, message.key, message.value, message.headers)


def parts(value: Any) -> list[msgspec.Struct]:
    """Every Struct inside an event, itself first."""
    if isinstance(value, msgspec.Struct):
        return [value, *(found for name in value.__struct_fields__ for found in parts(getattr(value, name)))]
    return [found for item in value for found in parts(item)] if isinstance(value, tuple) else []


def shown(message: Message) -> str:
    """A record as text that a difference can be read in."""
    assert message.key is not None
    assert message.value is not None
    headers = [f"header {name} {value.decode()}" for name, value in message.headers]
    value = [message.value[start : start + 32].hex() for start in range(0, len(message.value), 32)]
    return "\n".join([f"topic {message.topic}", f"key {message.key.decode()}", *headers, "value", *value]) + "\n"


def test_every_subject_has_an_example() -> None:
    assert {subject.name for subject in load_subjects().values() if subject.examples} == set(EVENTS)


@pytest.mark.parametrize(("subject", "example"), EXAMPLES)
def test_an_example_is_an_event_and_nothing_more(subject: str, example: dict[str, Any]) -> None:
    assert msgspec.json.decode(msgspec.json.encode(event_of(subject, example))) == example


@pytest.mark.parametrize(("subject", "example"), EXAMPLES)
def test_an_example_goes_through_the_log_and_comes_back_equal(subject: str, example: dict[str, Any]) -> None:
    event = event_of(subject, example)
    assert decode(record_of(encode(event, IDS, source=SOURCE))) == event


@pytest.mark.parametrize(("subject", "example"), EXAMPLES)
def test_an_example_is_true_to_the_rules_of_identity(subject: str, example: dict[str, Any]) -> None:
    event = event_of(subject, example)
    assert event.meta.occurred_at.microsecond % 1000 == 0
    if isinstance(event, OfInstance):
        assert event.meta.subject == event.instance.digest
    for part in parts(event):
        if isinstance(part, ObjectRef):
            assert part.tenant == event.meta.tenant
            assert part.key.startswith(f"{part.tenant}/")
            assert part.offset + part.length <= part.size


@pytest.mark.parametrize("subject", sorted(EVENTS))
def test_the_bytes_on_the_wire_do_not_change(subject: str) -> None:
    """Other people's readers hold us to these bytes: a change that is meant is a new version with a file of its own."""
    known = load_subjects()[subject]
    golden = (GOLDEN / f"{subject}.v{known.latest.version}.txt").read_text(encoding="utf-8")
    assert shown(encode(event_of(subject, known.examples[0]), IDS, source=SOURCE)) == golden


@pytest.mark.parametrize("golden", sorted(GOLDEN.glob("*.txt")), ids=lambda path: path.stem)
def test_bytes_of_every_release_are_read(golden: Path) -> None:
    head, _, value = golden.read_text(encoding="utf-8").partition("\nvalue\n")
    named = [line.removeprefix("header ").split(" ", 1) for line in head.splitlines() if line.startswith("header ")]
    headers = tuple((name, text.encode()) for name, text in named)
    event = decode(Record("any", "a-topic-id", 0, 0, 0, None, bytes.fromhex(value), headers))
    assert event.meta.event_id == dict(named)["ce_id"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("general", "dicom_router", "b0de", 0, 0), "f6c040a7-6d94-5e97-a448-c0959b5dba09"),
        (("general", "validate", "b0de", 0, 1), "2dfb8d47-f043-5dc4-832b-4a0a284da091"),
        (("general", "validate", "b0de", 1, 1), "dfcfe05e-1aaa-5e91-a442-adfdb3206136"),
        (("general", "validate", "b0de", 0, 2), "9b3d0c77-46c5-5b5a-a1d5-fa6bcbcfaa63"),
        (("other", "validate", "b0de", 0, 1), "b9275b5d-bc39-539c-a1d4-5d8d88db9095"),
        (("general", "revisions", "2.25.1/1", 0, 0), "f3082399-5c14-51f4-a4e9-202249169006"),
    ],
)
def test_event_ids_never_change(arguments: tuple[str, str, str, int, int], expected: str) -> None:
    assert event_id(*arguments) == expected


def test_instants_keep_their_milliseconds_and_their_zone() -> None:
    example = load_subjects()["imaging.instance.received"].examples[0]
    event = decode(record_of(encode(event_of("imaging.instance.received", example), IDS, source=SOURCE)))
    assert event.meta.occurred_at == datetime.fromisoformat("2026-11-02T08:15:30.250+00:00")
