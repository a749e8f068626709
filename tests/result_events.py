"""Results and reviews as the contract's examples have them, for tests of what reads the result topic."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import fastavro
import msgspec
from msgspec import structs

from schemas import Lane, load_subjects
from streams.events import (
    Code,
    Event,
    InferenceResult,
    Measurement,
    ResultFinding,
    ReviewEvent,
)
from streams.log import Log
from streams.wire import PREFIX, Headers, Message, SchemaIds, encode

RESULT, REVIEW = "imaging.inference.result", "imaging.review.event"


def example(subject: str, number: int) -> Any:
    """The fields of an example, in the order of the files' names."""
    return load_subjects()[subject].examples[number]


def nodule() -> InferenceResult:
    return msgspec.convert(example(RESULT, 0), InferenceResult)


def out_of_scope() -> InferenceResult:
    return msgspec.convert(example(RESULT, 1), InferenceResult)


def confirmed() -> ReviewEvent:
    return msgspec.convert(example(REVIEW, 0), ReviewEvent)


def modified() -> ReviewEvent:
    return msgspec.convert(example(REVIEW, 1), ReviewEvent)


def as_new(result: InferenceResult, *, seconds: int = 0, lane: Lane = "routine") -> InferenceResult:
    """The same with an id of its own, some seconds later."""
    at = result.meta.occurred_at + timedelta(seconds=seconds)
    meta = structs.replace(result.meta, event_id=str(uuid.uuid4()), occurred_at=at, lane=lane)
    return structs.replace(result, meta=meta)


def measured(result: InferenceResult, values: Iterable[float], meaning: str) -> InferenceResult:
    """One finding with these numbers as measurements, as its confidence, and as its place."""
    numbers = tuple(values)
    code = Code(scheme="99RADSTREAM", value="1", meaning=meaning)
    first = result.findings[0]
    assert first.geometry is not None
    finding = ResultFinding(
        finding_id=str(uuid.uuid4()),
        category="other",
        code=code,
        measurements=tuple(Measurement(code=code, value=value, unit=code) for value in numbers),
        confidence=numbers[0],
        geometry=structs.replace(first.geometry, kind="other", points=numbers, images=first.geometry.images[:1]),
    )
    return structs.replace(result, findings=(finding,))


def headers_of(identity: str, type_: str = RESULT) -> dict[str, str]:
    return {"ce_id": identity, "ce_type": type_}


def record(
    number: int, schema: Mapping[str, Any], fields: Any, headers: Mapping[str, str], *, topic: str = RESULT
) -> Message:
    """A record in the Confluent wire format by a schema of any kind."""
    body = io.BytesIO()
    body.write(PREFIX.pack(0, number))
    fastavro.schemaless_writer(body, fastavro.parse_schema(dict(schema)), fields)
    return raw(body.getvalue(), headers, topic=topic)


def raw(value: bytes | None, headers: Mapping[str, str], *, topic: str = RESULT) -> Message:
    named: Headers = tuple((name, text.encode()) for name, text in headers.items())
    return Message(topic, b"general|2.25.1", value, named)


def fields_of(event: Event) -> Any:
    """An event as the fields of its schema."""
    return msgspec.to_builtins(event, builtin_types=(datetime, bytes))


def second_version() -> dict[str, Any]:
    """The result's schema as a later release may have it: a field here and there, and one more outcome."""
    definition: dict[str, Any] = json.loads(json.dumps(load_subjects()[RESULT].latest.definition))
    added = {"name": "added", "type": ["null", "string"], "default": None, "doc": "New."}
    fields = {field["name"]: field for field in definition["fields"]}
    fields["outcome"]["type"]["symbols"].append("deferred")
    fields["findings"]["type"]["items"]["fields"].insert(0, added)
    fields["meta"]["type"]["fields"].insert(0, added)
    definition["fields"].append(added)
    return definition


def write(log: Log, ids: SchemaIds, messages: Iterable[Event | Message]) -> None:
    """Writes them in this order and waits until all are acknowledged."""
    producer = log.producer()
    for message in messages:
        producer.send(encode(message, ids, source="test") if isinstance(message, Event) else message).result()
    producer.close(10)
