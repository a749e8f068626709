"""Kafka: brokers, the controller, and every topic as topics.yaml has it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType  # type: ignore[attr-defined]

from radstream.checks.check import Check, broken, note, well
from schemas import Topic, load_topics
from streams.config import Kafka

PART = "broker"
CALL_S = 5.0
COPIES_MIN = 3
_REMEMBERED = "offsets.retention.minutes"
_DAY_MIN = 24 * 60
_REMEMBERED_MIN = 366 * _DAY_MIN
START = "Start it: radstream up; or mend [kafka] bootstrap and properties."

# librdkafka's own lines say the same thing many times over.
SILENT = logging.Logger(__name__)
SILENT.addHandler(logging.NullHandler())


def check(kafka: Kafka, *, local: bool) -> Iterator[Check]:
    """`local` chooses the number of partitions: topics.yaml has one for the local stack and one for production."""
    client = AdminClient({"bootstrap.servers": kafka.bootstrap, **kafka.properties}, logger=SILENT)
    try:
        cluster = client.describe_cluster(request_timeout=CALL_S).result(CALL_S * 2)
        yield _cluster(cluster, kafka)
        yield from memory(client, cluster.nodes[0].id)
        copies = min(len(cluster.nodes), COPIES_MIN)
        yield from _topics(client, "local" if local else "production", copies)
    except (KafkaException, TimeoutError) as error:
        yield broken(PART, "cluster", f"No answer from {kafka.bootstrap} ({_reason(error)}).", START)


def _cluster(cluster: Any, kafka: Kafka) -> Check:
    count = len(cluster.nodes)
    found = f"{count} broker(s) at {kafka.bootstrap}, cluster {cluster.cluster_id}"
    if cluster.controller is None:
        return broken(PART, "cluster", f"{found}, without a controller.", "Look at the brokers' logs.")
    found = f"{found}, controller {cluster.controller.id}."
    if count < COPIES_MIN:
        return note(PART, "cluster", f"{found} One copy of the log only: topics of truth flush every message.")
    return well(PART, "cluster", found)


def memory(client: AdminClient, broker: int) -> Iterator[Check]:
    """How long the brokers remember where a group was that nobody reads in. Nothing where that is long, or not told."""
    (asked,) = client.describe_configs(
        [ConfigResource(ResourceType.BROKER, str(broker))], request_timeout=CALL_S
    ).values()
    try:
        minutes = int(asked.result(CALL_S * 2)[_REMEMBERED].value)
    except (KafkaException, TimeoutError, KeyError):
        return
    if minutes < _REMEMBERED_MIN:
        days = minutes // _DAY_MIN
        found = f"{_REMEMBERED} is {minutes} ({days} days): after that a group without members is forgotten."
        mend = (
            "Set it to 2147483647 on the brokers: a destination that is off for longer begins anew at the end of the "
            "log, and what came meanwhile is not sent to it."
        )
        yield note(PART, "groups", found, mend)


def _topics(client: AdminClient, place: str, copies: int) -> Iterator[Check]:
    listed = load_topics()
    there = client.list_topics(timeout=CALL_S).topics
    wanted = {physical: topic for name, topic in listed.topics.items() for physical in listed.physical(name)}
    settings = _settings(client, [name for name in wanted if name in there])
    wrong = []
    for name, topic in wanted.items():
        partitions = 1 if topic.kind == "single" else listed.partitions[place]
        if name not in there:
            wrong.append(broken(PART, name, "The topic is missing.", "Make it: radstream up; or apply Terraform."))
        else:
            wrong += _topic(name, topic, len(there[name].partitions), partitions, settings[name], copies)
    yield from wrong
    if not wrong:
        yield well(PART, "topics", f"{len(wanted)} topics are as topics.yaml has them.")


def _topic(
    name: str, topic: Topic, found: int, partitions: int, settings: Mapping[str, str], copies: int
) -> Iterator[Check]:
    if found != partitions:
        says = f"{found} partitions, not {partitions}."
        yield broken(PART, name, says, "Partitions are fixed for life: mend topics.yaml, or move to a new topic.")
    wanted = dict(topic.config)
    if topic.truth and copies < COPIES_MIN:
        wanted["flush.messages"] = "1"
    for setting, value in wanted.items():
        if settings.get(setting) != value:
            says = f"{setting} is {settings.get(setting)}, not {value}."
            yield broken(PART, name, says, f"kafka-configs --alter --topic {name} --add-config {setting}={value}")


def _settings(client: AdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    asked = client.describe_configs(resources, request_timeout=CALL_S) if resources else {}
    return {
        resource.name: {entry.name: entry.value for entry in future.result(CALL_S * 2).values()}
        for resource, future in asked.items()
    }


def _reason(error: Exception) -> str:
    return str(error.args[0].name()).lstrip("_") if isinstance(error, KafkaException) else type(error).__name__
