"""`radstream lag` and `radstream tail` on the running stack, as a person or a script calls them."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from schemas import load_topics
from streams.clock import SystemClock
from streams.config import Kafka, Site
from streams.events import Meta, StepGeneration
from streams.kafka_log import KafkaLog
from streams.lagging.meter import lane_of
from streams.wire import SchemaIds, encode
from tests.running_stack import RunningStack

pytestmark = pytest.mark.stack

TOPIC = "imaging.step.generation"


def radstream(stack: RunningStack, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "radstream", *arguments, "--config", str(stack.config_path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def words(ended: subprocess.CompletedProcess[str]) -> list[str]:
    """Its own, beside the facts. On a busy machine Kafka's client has something to say of its connections."""
    return [line for line in ended.stderr.splitlines() if '"kafka_client"' not in line]


def ends_well(ended: subprocess.CompletedProcess[str]) -> None:
    """And says nothing but the facts."""
    assert (ended.returncode, words(ended)) == (0, [])


def facts(stack: RunningStack, *arguments: str) -> Any:
    ended = radstream(stack, *arguments, "--json")
    ends_well(ended)
    return json.loads(ended.stdout)


def say(stack: RunningStack, count: int) -> list[str]:
    """Records that no service acts on."""
    site = stack.config.section("site", Site)
    producer = KafkaLog(stack.config.section("kafka", Kafka)).producer()
    ids = []
    for number in range(count):
        made = str(uuid.uuid4())
        meta = Meta(
            event_id=made,
            tenant=site.tenant,
            site=site.site,
            lane="routine",
            subject="lag-and-tail",
            occurred_at=SystemClock().now(),
        )
        event = StepGeneration(
            meta=meta, step="lag-and-tail", digest=made, number=number + 1, build="0", config_digest=""
        )
        producer.send(encode(event, SchemaIds(), source="test")).result()
        ids.append(made)
    producer.close(10)
    return ids


def test_lag_names_every_group_and_sums_up(stack: RunningStack) -> None:
    found = facts(stack, "lag")
    assert [group["group"] for group in found["groups"]] == list(load_topics().groups)
    assert found["lag"] == sum(group["lag"] for group in found["groups"])
    for group in found["groups"]:
        assert group["lag"] == sum(one["lag"] for one in group["partitions"])
        lanes = {lane for topic in load_topics().read_by(group["group"]) if (lane := lane_of(topic))}
        assert {one["lane"] for one in group["partitions"]} == lanes == {one["lane"] for one in group["lanes"]}
        assert group["lag"] == sum(one["lag"] for one in group["lanes"])


def test_lag_of_one_group_as_a_table(stack: RunningStack) -> None:
    ended = radstream(stack, "lag", "catalog")
    assert ended.returncode == 0
    assert "│ catalog " in ended.stdout
    assert "│ validate " not in ended.stdout


def test_an_unknown_group_or_topic_is_one_message(stack: RunningStack) -> None:
    ended = radstream(stack, "lag", "nobody")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert words(ended) == [f"radstream: no group nobody; there are: {', '.join(load_topics().groups)}"]
    ended = radstream(stack, "tail", "nothing")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert words(ended)[:2] == ["radstream: no topic nothing; there are:", "  imaging.access.read"]


def test_tail_prints_decoded_events_a_line_each(stack: RunningStack) -> None:
    ids = say(stack, 3)
    ended = radstream(stack, "tail", TOPIC, "--json", "--max", "3")
    ends_well(ended)
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [line["event"]["meta"]["event_id"] for line in lines] == ids
    ended = radstream(stack, "tail", TOPIC, "--max", "1")
    assert "StepGeneration routine lag-and-tail" in ended.stdout


def test_tail_follows(stack: RunningStack) -> None:
    say(stack, 1)
    arguments = ["tail", TOPIC, "--follow", "--json", "--config", str(stack.config_path)]
    command = [sys.executable, "-m", "radstream", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as following:
        assert following.stdout is not None
        before = [json.loads(following.stdout.readline())["offset"]]
        (made,) = say(stack, 1)
        while (line := json.loads(following.stdout.readline()))["event"]["meta"]["event_id"] != made:
            before.append(line["offset"])
        following.terminate()
    assert line["offset"] > before[-1]


def test_a_broker_that_is_away_is_one_message(stack: RunningStack, tmp_path: Path) -> None:
    config = tmp_path / "radstream.toml"
    config.write_text('[kafka]\nbootstrap = "127.0.0.1:1"\n', encoding="utf-8")
    command = [sys.executable, "-m", "radstream", "lag", "--json", "--config", str(config)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.splitlines()[-1].startswith("radstream: the broker does not answer")
