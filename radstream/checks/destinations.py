"""Destinations that the rules had once: what waits for them waits for their name."""

from __future__ import annotations

from collections.abc import Iterator

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from radstream.checks.broker import CALL_S, PART, SILENT
from radstream.checks.check import Check, note
from streams.config import Config, Kafka
from streams.routes.section import FORWARD, groups_of


def check(config: Config) -> Iterator[Check]:
    """Nothing where the broker does not answer: that was said. Raises ConfigError for rules that cannot be used."""
    known, kafka = groups_of(config), config.section("kafka", Kafka)
    client = AdminClient({"bootstrap.servers": kafka.bootstrap, **kafka.properties}, logger=SILENT)
    yield from gone(client, frozenset(known))


def gone(client: AdminClient, known: frozenset[str]) -> Iterator[Check]:
    """Groups of destinations that are not among the `known`."""
    try:
        found = client.list_consumer_groups(request_timeout=CALL_S).result(CALL_S * 2).valid
    except (KafkaException, TimeoutError):
        return
    for group in sorted({one.group_id for one in found} - known):
        if group.startswith(f"{FORWARD}."):
            name = group.removeprefix(f"{FORWARD}.")
            yield note(
                PART,
                group,
                f"The rules have no destination {name}: what it was not sent yet waits for that name.",
                "Give the name back to have it sent; or, where it is to get nothing more, delete the group: "
                f"kafka-consumer-groups.sh --delete --group {group}",
            )
