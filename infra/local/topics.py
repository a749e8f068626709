"""The topics of `schemas/avro/topics.yaml`, made on the local brokers. Nothing else makes topics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from infra.local.errors import StackError
from infra.local.parts.kafka import admin
from schemas import Topic, load_topics

COPIES_MAX = 3
# A broker that has just started on a busy machine may pause for a minute.
WAIT_S = 180


@dataclass(frozen=True)
class Wanted:
    partitions: int
    copies: int
    config: Mapping[str, str]


def wanted(brokers: int) -> dict[str, Wanted]:
    """Every physical topic, as this number of brokers can hold it."""
    listed = load_topics()
    copies = min(brokers, COPIES_MAX)
    return {
        physical: Wanted(
            1 if topic.kind == "single" else listed.partitions["local"],
            copies,
            {**topic.config, **_safe(topic, copies)},
        )
        for name, topic in listed.topics.items()
        for physical in listed.physical(name)
    }


def _safe(topic: Topic, copies: int) -> Mapping[str, str]:
    """With fewer than three copies each message is flushed: an acknowledgement out of a page cache is not durable."""
    if copies >= COPIES_MAX:
        return {"min.insync.replicas": "2"}
    return {"flush.messages": "1"} if topic.truth else {}


def ensure(servers: str, brokers: int) -> int:
    """Makes the topics that are missing, checks those that are there; returns how many it made. Raises StackError."""
    client = admin(servers)
    try:
        there = {name: len(topic.partitions) for name, topic in client.list_topics(timeout=WAIT_S).topics.items()}
        wants = wanted(brokers)
        missing = {name: want for name, want in wants.items() if name not in there}
        for name, want in wants.items():
            if name in there and there[name] != want.partitions:
                raise StackError(
                    f"topic {name} has {there[name]} partitions and topics.yaml says {want.partitions}: partitions are "
                    "fixed for life; mend topics.yaml, or start with an empty home: radstream down --wipe"
                )
        _make(client, missing)
    except KafkaException as error:
        raise StackError(f"the broker did not make the topics: {error.args[0].str()}; see logs/kafka.log") from None
    return len(missing)


def _make(client: AdminClient, missing: Mapping[str, Wanted]) -> None:
    topics = [
        NewTopic(name, num_partitions=want.partitions, replication_factor=want.copies, config=dict(want.config))
        for name, want in missing.items()
    ]
    if topics:
        for made in client.create_topics(topics, operation_timeout=WAIT_S, request_timeout=WAIT_S).values():
            made.result()
