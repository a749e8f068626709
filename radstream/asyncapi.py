"""The contract as one AsyncAPI 3.0 document: every physical topic a channel, every schema version a message.

Made of `topics.yaml` and the schemas alone. What it says is for readers outside; nothing of ours reads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Any

import msgspec

from schemas import Schema, Subject, Topic, load_subjects, load_topics
from streams.events import EVENTS

AVRO = "application/vnd.apache.avro+json;version=1.9.0"
KAFKA_BINDING = "0.5.0"
BYTES = "bytes"
DESCRIPTION = (
    "Medical images from C-STORE to archive, as events on Apache Kafka. Values are Avro in the Confluent wire format, "
    "under FULL_TRANSITIVE compatibility; headers are CloudEvents 1.0. Delivery is at least once: records with one "
    "ce_id are one event, and the first counts. docs/results.md is the guide for who reads results."
)
# What a topic of each kind is keyed by and holds.
KINDS = {
    "instance": "Keyed by tenant|StudyInstanceUID, one topic for each lane.",
    "decision": "Keyed by tenant|StudyInstanceUID, one topic for all lanes. Of an entity's seq the first counts.",
    "entity": "Keyed by tenant|what it is about (an order, a performed procedure step), one topic for all lanes.",
    "command": "Keyed by tenant|StudyInstanceUID, one topic for all lanes: what a person asked for, or who read.",
    "replay": "What replays made, with the bytes that their own topics get once a replay is switched to.",
    "single": "One partition.",
    "group": "Records of one consumer group that wait or could not be understood, with their original bytes.",
    "private": "Its owner's own notes: nobody else reads them, and their form may change.",
}
HEADERS = {
    "ce_specversion": "CloudEvents version, 1.0.",
    "ce_id": "The event's id. Records with one are one event: the first counts.",
    "ce_type": "The schema's subject, which is the topic without its lane.",
    "ce_source": "radstream/<tenant>/<site>/<service>.",
    "ce_time": "When it happened, RFC 3339, UTC.",
    "ce_subject": "What the event is about.",
    "content-type": "application/avro.",
    "schema_subject": "Folder of the schema in the contract.",
    "schema_version": "Version of the schema in that folder.",
    "input_id": "The event that it was made from.",
    "traceparent": "W3C trace context.",
}
SOMETIMES = ("input_id", "traceparent")


def document() -> dict[str, Any]:
    """The document, ready for JSON."""
    topics, subjects = load_topics(), load_subjects()
    schemas = [schema for subject in subjects.values() for schema in subject.versions]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "radstream",
            "version": version("radstream"),
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/avro",
        "channels": {
            physical: _channel(topic, physical)
            for name, topic in topics.topics.items()
            for physical in topics.physical(name)
        },
        "operations": dict(_operations()),
        "components": {
            "messages": {
                BYTES: {"title": "The bytes of another topic's record", "contentType": "application/octet-stream"},
                **{_id(schema): _message(schema, subjects[schema.subject]) for schema in schemas},
            },
            "messageTraits": {"event": _trait()},
            "schemas": {_id(schema): {"schemaFormat": AVRO, "schema": schema.definition} for schema in schemas},
        },
    }


def _id(schema: Schema) -> str:
    return f"{schema.subject}.v{schema.version}"


def _messages(topic: Topic) -> Sequence[str]:
    if topic.kind == "private":
        return ()
    return [_id(schema) for schema in load_subjects()[topic.subject].versions] if topic.subject else [BYTES]


def _channel(topic: Topic, physical: str) -> dict[str, Any]:
    partitions = 1 if topic.kind == "single" else load_topics().partitions["production"]
    return {
        "address": physical,
        "description": f"{KINDS[topic.kind]} Written by {topic.owner}.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _messages(topic)},
        "tags": [{"name": topic.kind}],
        "bindings": {
            "kafka": {
                "partitions": partitions,
                "topicConfiguration": {name: _setting(name, value) for name, value in topic.config.items()},
                "bindingVersion": KAFKA_BINDING,
            }
        },
    }


def _setting(name: str, value: str) -> list[str] | int:
    return value.split(",") if name == "cleanup.policy" else int(value)


def _operations() -> Iterator[tuple[str, dict[str, Any]]]:
    """Who writes and who reads, from the side of radstream."""
    topics = load_topics()
    for name, topic in topics.topics.items():
        for physical in topics.physical(name):
            yield f"send.{physical}", _operation("send", topic, physical, f"{topic.owner} writes.")
    for group in topics.readers:
        for physical in topics.read_by(group):
            topic = topics.topics[topics.logical(physical)]
            yield f"{group}.receive.{physical}", _operation("receive", topic, physical, f"Group {group} reads.")


def _operation(action: str, topic: Topic, physical: str, summary: str) -> dict[str, Any]:
    channel = f"#/channels/{physical}"
    messages = [{"$ref": f"{channel}/messages/{name}"} for name in _messages(topic)]
    return {"action": action, "channel": {"$ref": channel}, "summary": summary, "messages": messages}


def _message(schema: Schema, subject: Subject) -> dict[str, Any]:
    """Examples are of the latest version, with times as Avro has them, and bytes in base64."""
    examples = subject.examples if schema == subject.latest else ()
    return {
        "name": schema.subject,
        "title": f"{schema.definition['name']}, version {schema.version}",
        "summary": schema.definition["doc"],
        "traits": [{"$ref": "#/components/messageTraits/event"}],
        "payload": {"$ref": f"#/components/schemas/{_id(schema)}"},
        **({"examples": [{"payload": _example(subject.name, fields)} for fields in examples]} if examples else {}),
    }


def _example(subject: str, fields: dict[str, Any]) -> Any:
    return _plain(msgspec.to_builtins(msgspec.convert(fields, EVENTS[subject]), builtin_types=(datetime,)))


def _plain(value: Any) -> Any:
    """Milliseconds since 1970 instead of times."""
    if isinstance(value, datetime):
        return round(value.timestamp() * 1000)
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _trait() -> dict[str, Any]:
    return {
        "contentType": "application/avro",
        "headers": {
            "type": "object",
            "required": [name for name in HEADERS if name not in SOMETIMES],
            "properties": {name: {"type": "string", "description": says} for name, says in HEADERS.items()},
        },
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": "As the channel says; UTF-8. murmur2 chooses the partition."},
                "schemaIdLocation": "payload",
                "schemaIdPayloadEncoding": "confluent",
                "bindingVersion": KAFKA_BINDING,
            }
        },
    }
