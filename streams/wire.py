"""Records of the log: Avro in the Confluent wire format, CloudEvents in the headers.

The first byte is 0, the next four are the registry's id of the schema (big-endian), the rest is Avro binary. The id is
for everybody else; our own code reads the headers `schema_subject` and `schema_version` and decodes with the packaged
schemas, so losing the registry stops nobody.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

import fastavro
import msgspec

from schemas import Schema, load_subjects, load_topics
from streams.events import EVENTS, SUBJECTS, Derived, Event, key_of

MAGIC = 0
PREFIX = struct.Struct(">bI")

# Not int() of anything: its own limits and other scripts' digits are no part of the wire format.
_VERSION = re.compile(r"[0-9]{1,9}")

Headers = tuple[tuple[str, bytes], ...]


class Undecodable(Exception):
    """The bytes are not what their headers say. The record is a dead letter."""


class UnknownSchema(Exception):
    """The record is of a subject or version that this build does not carry. The consumer stops: upgrade it."""


@dataclass(frozen=True)
class Record:
    """One record as the log holds it. `timestamp_ms` is the broker's or the producer's, as the topic is set."""

    topic: str
    topic_id: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    def header(self, name: str) -> str | None:
        """The last header of that name, as text, or None."""
        for key, value in reversed(self.headers):
            if key == name:
                return value.decode("utf-8", "replace")
        return None


@dataclass(frozen=True)
class Message:
    """One record to be written."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


@dataclass(frozen=True)
class SchemaIds:
    """The registry's id of each packaged schema, by (subject, version).

    Written by `radstream up` when it registers the schemas and read from a file, so that no service needs the
    registry to start or to run. A schema that is not in it is written with id 0, which no registry gives out.
    """

    ids: Mapping[tuple[str, int], int] = field(default_factory=dict)

    def of(self, schema: Schema) -> int:
        return self.ids.get((schema.subject, schema.version), 0)


# msgspec (0.22) works out a Struct at its first use, and a second thread that uses it meanwhile crashes the process.
# So all of them are worked out here: an import is done by one thread.
for _kind in EVENTS.values():
    msgspec.json.Decoder(_kind)


@cache
def _parsed(subject: str, version: int) -> Any:
    return fastavro.parse_schema(load_subjects()[subject].version(version).definition)


def encode(event: Event, ids: SchemaIds, *, source: str, extra: Headers = ()) -> Message:
    """The record of an event. `source` is the CloudEvents source; `extra` goes after the CloudEvents headers.

    Raises ValueError where a value does not fit the schema, which is a bug of the caller.
    """
    subject = SUBJECTS[type(event)]
    schema = load_subjects()[subject].latest
    body = io.BytesIO()
    body.write(PREFIX.pack(MAGIC, ids.of(schema)))
    fastavro.schemaless_writer(
        body, _parsed(subject, schema.version), msgspec.to_builtins(event, builtin_types=(datetime, bytes)), strict=True
    )
    topic = load_topics().in_lane(subject, event.meta.lane)
    return Message(topic, key_of(event), body.getvalue(), _headers(event, schema, source) + extra)


def _headers(event: Event, schema: Schema, source: str) -> Headers:
    meta = event.meta
    named = {
        "ce_specversion": "1.0",
        "ce_id": meta.event_id,
        "ce_type": schema.subject,
        "ce_source": source,
        "ce_time": meta.occurred_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "ce_subject": meta.subject,
        "content-type": "application/avro",
        "schema_subject": schema.subject,
        "schema_version": str(schema.version),
    }
    if isinstance(event, Derived) and event.provenance.inputs:
        named["input_id"] = event.provenance.inputs[0].event_id
    return tuple((name, value.encode()) for name, value in named.items())


def decode(record: Record) -> Event:
    """The event of a record.

    Raises UnknownSchema for a subject or version this build does not carry, Undecodable for bytes that are not that.
    """
    subject = record.header("schema_subject")
    version = record.header("schema_version")
    if subject is None or version is None or not _VERSION.fullmatch(version):
        raise Undecodable("no schema_subject and schema_version headers")
    known = load_subjects().get(subject)
    if known is None or subject not in EVENTS or not 1 <= int(version) <= known.latest.version:
        raise UnknownSchema(f"{subject} version {version}")
    return _decode_body(record.value, known.latest, subject, int(version))


def _decode_body(value: bytes | None, latest: Schema, subject: str, version: int) -> Event:
    if value is None or len(value) < PREFIX.size or value[0] != MAGIC:
        raise Undecodable("not in the Confluent wire format")
    body = io.BytesIO(value[PREFIX.size :])
    try:
        fields = fastavro.schemaless_reader(body, _parsed(subject, version), _parsed(subject, latest.version))
        event = msgspec.convert(fields, EVENTS[subject], builtin_types=(datetime, bytes))
    except (EOFError, ValueError, IndexError, KeyError, TypeError, OverflowError, struct.error) as error:
        # The text of these errors can quote the bytes: it stays out of headers and logs.
        raise Undecodable(f"not an Avro record of {subject} version {version} ({type(error).__name__})") from None
    if body.read(1):
        raise Undecodable(f"bytes left over after {subject} version {version}")
    return event
