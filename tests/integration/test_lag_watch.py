"""Lag against Kafka's own tool, `radstream lag --watch --json`, and what Prometheus reads, with a stopped consumer."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from infra.local.tools import java
from radstream.lag_windows import parsed
from schemas import load_topics
from streams.config import Kafka
from tests.pipeline_run import settled
from tests.running_stack import RunningStack
from tests.waiting import wait_until
from tests.watching import (
    lane_of,
    metric,
    metrics_text,
    send_one_of_each,
    study_in_each_partition,
    value_in,
    watching,
)

pytestmark = pytest.mark.stack

GROUP = "validate"
PARTITIONS = load_topics().partitions["local"]
TOOL = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"


@pytest.fixture(scope="module")
def studies(stack: RunningStack) -> list[str]:
    return study_in_each_partition(stack, PARTITIONS)


@pytest.fixture(scope="module")
def backlog(stack: RunningStack, studies: list[str]) -> Iterator[int]:
    """The group stands still with so many records before it, in every partition. The last test sets it going."""
    send_one_of_each(stack, studies)
    settled(stack)
    stack.down((GROUP,))
    try:
        send_one_of_each(stack, studies)
        send_one_of_each(stack, studies[:2], modality="MR")
        yield len(studies) + 2
    finally:
        stack.up()


def kafkas_own(stack: RunningStack) -> dict[tuple[str, int], tuple[int, int, int]]:
    """Committed offset, end and lag of each partition that has them, as Kafka's tool prints them."""
    servers = stack.config.section("kafka", Kafka).bootstrap
    jars = java.kafka_jars(lambda line: print(line, file=sys.stderr))  # noqa: T201
    command = [str(java.java()), "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/*", TOOL, "--bootstrap-server", servers]
    ended = subprocess.run(
        [*command, "--describe", "--group", GROUP, "--offsets"], capture_output=True, text=True, check=True, timeout=300
    )
    rows = [line.split() for line in ended.stdout.splitlines() if line.startswith(f"{GROUP} ")]
    return {(row[1], int(row[2])): (int(row[3]), int(row[4]), int(row[5])) for row in rows if row[3] != "-"}


def ours(stack: RunningStack) -> dict[str, Any]:
    command = [sys.executable, "-m", "radstream", "lag", GROUP, "--json", "--config", str(stack.config_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    (group,) = json.loads(ended.stdout)["groups"]
    assert isinstance(group, dict)
    return group


def test_offsets_ends_and_lag_are_those_of_kafkas_own_tool(stack: RunningStack, backlog: int) -> None:
    theirs, found = kafkas_own(stack), ours(stack)
    told = {
        (one["topic"], one["partition"]): (one["committed"], one["end"], one["lag"])
        for one in found["partitions"]
        if one["committed"] is not None
    }
    assert told == theirs
    assert {partition for topic, partition in theirs if topic == "imaging.instance.received"} == set(range(PARTITIONS))
    assert found["lag"] == sum(lag for _, _, lag in theirs.values()) == backlog


def test_prometheus_reads_the_same_and_no_uid(stack: RunningStack, backlog: int, studies: list[str]) -> None:
    place = {"group": GROUP, "lane": "routine"}
    wait_until(
        lambda: metric(stack, "lag", "radstream_group_lag_records", **place) == backlog, "the lag in the metrics"
    )
    # Of one measurement: by the next, all are older.
    text = metrics_text(stack, "lag")
    age = value_in(text, "radstream_group_oldest_seconds", **place)
    of_ct = value_in(text, "radstream_group_oldest_of_modality_seconds", modality="CT", **place)
    of_mr = value_in(text, "radstream_group_oldest_of_modality_seconds", modality="MR", **place)
    assert age is not None
    assert of_ct is not None
    assert of_mr is not None
    assert of_mr <= of_ct
    text += metrics_text(stack, "windows")
    assert "2.25." not in text
    assert not any(study in text for study in studies)


def test_the_age_grows_while_it_stands_and_is_gone_when_it_runs(stack: RunningStack, backlog: int) -> None:
    with watching(stack, GROUP) as watch:
        # A look at a broker that is too busy to answer shows what was seen before.
        lines = [watch.until(lambda look: look["away"] is None, "a measurement") for _ in range(3)]
        looks = [lane_of(line, GROUP, "routine") for line in lines]
        assert [look["lag"] for look in looks] == [backlog] * 3
        assert looks[0]["oldest_age_s"] < looks[1]["oldest_age_s"] < looks[2]["oldest_age_s"]
        assert (looks[-1]["in_per_s"], looks[-1]["out_per_s"], looks[-1]["catch_up_s"]) == (0.0, 0.0, None)
        assert {seen["modality"] for seen in looks[-1]["modalities"]} == {"CT", "MR"}
        stack.up((GROUP,))
        look = watch.until(lambda look: lane_of(look, GROUP, "routine")["lag"] == 0, "nothing to wait")
    done = lane_of(look, GROUP, "routine")
    assert (done["oldest_age_s"], done["catch_up_s"], done["modalities"]) == (None, 0.0, [])
    assert done["out_per_s"] > 0


def test_a_load_is_counted_within_its_windows(stack: RunningStack, studies: list[str]) -> None:
    """Received and validated, by modality, and how long after receipt."""
    settled(stack)
    began = time.time() // 10 * 10
    send_one_of_each(stack, studies, modality="US")
    counted: dict[tuple[float, str], float] = {}

    def count(topic: str) -> int:
        for one in parsed(metrics_text(stack, "windows")):
            if one.start >= began and one.modality == "US":
                counted[one.start, one.topic] = one.per_s * one.length_s
                assert one.latency_max_s is not None
                assert one.latency_mean_s is not None
                assert 0 <= one.latency_mean_s <= one.latency_max_s <= time.time() - began
        return round(sum(records for (_, name), records in counted.items() if name == topic))

    for topic in ("imaging.instance.received", "imaging.instance.validated"):
        wait_until(lambda topic=topic: count(topic) >= len(studies), f"the windows of {topic}")
        assert count(topic) == len(studies)
