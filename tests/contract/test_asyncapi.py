"""The AsyncAPI document says what topics.yaml and the schemas say, in the form that AsyncAPI 3.0 asks for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import msgspec
import pytest
from click.testing import CliRunner

from radstream.asyncapi import document
from radstream.contract import contract
from schemas import load_subjects, load_topics

CHECKED_IN = Path(__file__).resolve().parents[2] / "docs" / "asyncapi.json"
DOCUMENT = document()
# The fields that each object may have, and those that it must (AsyncAPI 3.0.0, "Schema").
FIELDS = {
    "root": "asyncapi id info servers defaultContentType channels operations components",
    "info": "title version description termsOfService contact license tags externalDocs",
    "channel": "address messages title summary description servers parameters tags externalDocs bindings",
    "operation": "action channel title summary description security tags externalDocs bindings traits messages reply",
    "components": "schemas servers channels operations messages securitySchemes serverVariables parameters "
    "correlationIds replies replyAddresses externalDocs tags operationTraits messageTraits serverBindings "
    "channelBindings operationBindings messageBindings",
    "message": "headers payload correlationId contentType name title summary description tags externalDocs bindings "
    "examples traits",
    "trait": "headers correlationId contentType name title summary description tags externalDocs bindings examples",
    "example": "headers payload name summary",
    "schema": "schemaFormat schema",
}
REQUIRED = {"root": "asyncapi info", "info": "title version", "operation": "action channel", "schema": "schema"}
# The Kafka bindings, 0.5.0.
KAFKA = {
    "channel": "topic partitions replicas topicConfiguration bindingVersion",
    "message": "key schemaIdLocation schemaIdPayloadEncoding schemaLookupStrategy bindingVersion",
}


def objects() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every object of the document: its kind, where it is, and itself."""
    yield "root", "#", DOCUMENT
    yield "info", "#/info", DOCUMENT["info"]
    yield "components", "#/components", (components := DOCUMENT["components"])
    parts = {"channel": DOCUMENT["channels"], "operation": DOCUMENT["operations"], "message": components["messages"]}
    parts |= {"trait": components["messageTraits"], "schema": components["schemas"]}
    for kind, of in parts.items():
        yield from ((kind, name, one) for name, one in of.items())
    for name, message in components["messages"].items():
        yield from (("example", name, example) for example in message.get("examples", ()))


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            assert set(value) == {"$ref"}
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def target(reference: str) -> Any:
    found: Any = DOCUMENT
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return found


def test_the_checked_in_document_is_what_is_generated() -> None:
    printed = CliRunner().invoke(contract, ["asyncapi"]).output
    assert json.loads(printed) == DOCUMENT
    assert CHECKED_IN.read_text(encoding="utf-8") == printed, (
        "make it anew: radstream contract asyncapi > docs/asyncapi.json"
    )


def as_json(schema: Any) -> Any:
    """Where Avro has bytes, an example has text: base64."""
    if isinstance(schema, dict):
        return {name: value if name == "doc" else as_json(value) for name, value in schema.items()}
    if isinstance(schema, list):
        return [as_json(item) for item in schema]
    return "string" if schema == "bytes" else schema


def test_objects_have_the_fields_that_the_specification_gives_them() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    for kind, where, one in objects():
        assert set(one) <= set(FIELDS[kind].split()), where
        assert set(REQUIRED.get(kind, "").split()) <= set(one), where
        assert set(one.get("bindings", {})) <= {"kafka"}
    for part in DOCUMENT["components"].values():
        assert all(re.fullmatch(r"[\w.\-]+", name) for name in part)


def test_references_lead_somewhere() -> None:
    found = list(references(DOCUMENT))
    assert found
    for reference in found:
        assert reference.startswith("#/")
        assert target(reference) is not None


def test_an_operation_is_of_a_channel_and_of_its_messages() -> None:
    for name, operation in DOCUMENT["operations"].items():
        assert operation["action"] in ("send", "receive"), name
        channel = operation["channel"]["$ref"]
        assert channel.startswith("#/channels/")
        assert {message["$ref"].rpartition("/messages/")[0] for message in operation["messages"]} <= {channel}


def test_bindings_are_kafkas() -> None:
    for channel in DOCUMENT["channels"].values():
        kafka = channel["bindings"]["kafka"]
        assert set(kafka) <= set(KAFKA["channel"].split())
        assert kafka["partitions"] > 0
        settings = kafka["topicConfiguration"]
        assert set(settings["cleanup.policy"]) <= {"compact", "delete"}
        assert all(isinstance(value, int) for name, value in settings.items() if name != "cleanup.policy")
    (trait,) = DOCUMENT["components"]["messageTraits"].values()
    assert set(trait["bindings"]["kafka"]) <= set(KAFKA["message"].split())
    assert trait["bindings"]["kafka"]["schemaIdLocation"] in ("header", "payload")


def test_every_physical_topic_is_a_channel_with_its_settings() -> None:
    topics = load_topics()
    physical = {one: topic for name, topic in topics.topics.items() for one in topics.physical(name)}
    assert (
        {channel["address"] for channel in DOCUMENT["channels"].values()} == set(physical) == set(DOCUMENT["channels"])
    )
    for name, topic in physical.items():
        channel = DOCUMENT["channels"][name]
        said = channel["bindings"]["kafka"]["topicConfiguration"]
        assert {key: ",".join(v) if isinstance(v, list) else str(v) for key, v in said.items()} == topic.config
        assert topic.owner in channel["description"]
        if topic.subject:
            assert set(channel["messages"]) == {
                f"{topic.subject}.v{v.version}" for v in load_subjects()[topic.subject].versions
            }


def test_who_writes_and_who_reads_is_there() -> None:
    topics = load_topics()
    wanted = {f"send.{physical}" for name in topics.topics for physical in topics.physical(name)}
    wanted |= {f"{group}.receive.{physical}" for group in topics.readers for physical in topics.read_by(group)}
    assert set(DOCUMENT["operations"]) == wanted


@pytest.mark.parametrize("subject", sorted(load_subjects()))
def test_messages_carry_the_schemas_and_examples_that_fit_them(subject: str) -> None:
    components = DOCUMENT["components"]
    for schema in load_subjects()[subject].versions:
        held = components["schemas"][f"{subject}.v{schema.version}"]
        assert held["schema"] == schema.definition
        assert held["schemaFormat"].startswith("application/vnd.apache.avro")
    latest = load_subjects()[subject].latest
    parsed = fastavro.parse_schema(as_json(latest.definition))
    examples = components["messages"][f"{subject}.v{latest.version}"]["examples"]
    assert len(examples) == len(load_subjects()[subject].examples)
    for example in examples:
        assert fastavro.validate(example["payload"], parsed)
        assert msgspec.json.decode(msgspec.json.encode(example)) == example
