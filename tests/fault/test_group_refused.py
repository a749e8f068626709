"""A broker that writes nothing to `__consumer_offsets` any more, as after a full disk, and answers everything else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from radstream.doctor import examine
from streams.config import Kafka
from tests.running_stack import NO_MODELS, RunningStack, started
from tests.waiting import wait_until

pytestmark = pytest.mark.fault

OFFSETS = "__consumer_offsets"
PARTS = ("kafka", "registry", "store", "validate")


@pytest.fixture
def small() -> Iterator[RunningStack]:
    with started(parts=PARTS, deployments=NO_MODELS) as stack:
        yield stack


def takes_offsets(stack: RunningStack, takes: bool) -> None:
    """Each batch is too large while it does not: the coordinator answers with an unknown error, as it does where the
    file cannot be written."""
    change = AlterConfigOpType.DELETE if takes else AlterConfigOpType.SET
    setting = ConfigEntry("max.message.bytes", "1", incremental_operation=change)
    topic = ConfigResource(ResourceType.TOPIC, OFFSETS, incremental_configs=[setting])
    admin = AdminClient({"bootstrap.servers": stack.config.section("kafka", Kafka).bootstrap})
    # The first member of a group has it made.
    wait_until(lambda: OFFSETS in admin.list_topics(timeout=120).topics, "a topic of offsets")
    admin.incremental_alter_configs([topic])[topic].result(120)


def complaints(stack: RunningStack) -> list[str]:
    """What the doctor finds broken of the service: on a busy machine also that it does not answer in time."""
    return [one.found for one in examine(stack.config) if one.name == "validate" and one.state == "broken"]


def of_its_group(stack: RunningStack) -> list[str]:
    return [found for found in complaints(stack) if found.startswith("group: ")]


def test_a_service_that_cannot_join_its_group_stays_and_says_which_broker_to_start_anew(small: RunningStack) -> None:
    takes_offsets(small, False)
    small.restart(("validate",))
    number = small.pid("validate")
    (said,) = wait_until(lambda: of_its_group(small), "the doctor naming it")
    assert "the log does not take this service into its consumer group" in said
    assert "start the one anew whose log has errors of __consumer_offsets" in said

    takes_offsets(small, True)
    wait_until(lambda: not complaints(small), "the service going on")
    assert small.pid("validate") == number
