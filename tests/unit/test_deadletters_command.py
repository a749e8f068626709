"""`radstream deadletters list | show | redrive`, as a person uses them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from radstream import deadletters
from radstream.errors import Failure
from schemas import load_topics
from streams.deadletters import dead_letter
from streams.events import AuditEvent
from streams.log import TopicPartition
from streams.memory_log import MemoryLog
from streams.wire import Message, Record, SchemaIds, decode, encode
from tests.runner_bench import arrivals

CONFIGURATION = """
[site]
tenant = "t"
site = "here"

[kafka]
bootstrap = "127.0.0.1:1"
"""


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> MemoryLog:
    made, topics = MemoryLog(), load_topics()
    for name in topics.topics:
        for physical in topics.physical(name):
            made.create_topic(physical, 1)
    monkeypatch.setattr(deadletters, "open_log", lambda _: made)
    return made


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "radstream.toml"
    path.write_text(CONFIGURATION, encoding="utf-8")
    return str(path)


def held(log: MemoryLog, topic: str) -> list[Record]:
    return list(
        log.read(TopicPartition(topic, 0), 0, log.bounds([TopicPartition(topic, 0)])[TopicPartition(topic, 0)][1])
    )


def die(log: MemoryLog, group: str, reason: str, message: Message | None = None) -> None:
    place = log.append(message or encode(arrivals(1, 1)[0], SchemaIds(), source="test"))
    (record,) = log.read(TopicPartition(place.topic, 0), place.offset, place.offset + 1)
    log.append(dead_letter(record, group, reason, datetime.now(UTC)))


def run(config: str, *arguments: str) -> Result:
    return CliRunner().invoke(deadletters.deadletters, [*arguments, "--config", config], env={"COLUMNS": "300"})


def facts(config: str, *arguments: str) -> Any:
    done = run(config, *arguments, "--json")
    assert done.exception is None, (done.output, done.exception)
    return json.loads(done.stdout)


def test_list_says_whose_they_are_and_why(log: MemoryLog, config: str) -> None:
    assert run(config, "list").stdout == "no dead letters\n"
    for group, reason in (
        ("validate", "ValueError at a place"),
        ("catalog", "not Avro"),
        ("validate", "contradicts itself"),
    ):
        die(log, group, reason)
    every = facts(config, "list")["letters"]
    assert {(one["group"], one["letter"], one["reason"]) for one in every} == {
        ("validate", "0/0", "ValueError at a place"),
        ("catalog", "0/0", "not Avro"),
        ("validate", "0/1", "contradicts itself"),
    }
    assert [one["letter"] for one in facts(config, "list", "validate", "--reason", "valueerror")["letters"]] == ["0/0"]
    assert facts(config, "list", "--topic", "imaging.study.revision")["letters"] == []
    assert len(facts(config, "list", "--topic", "imaging.instance.received")["letters"]) == 3
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert facts(config, "list", "--since", later)["letters"] == []
    assert len(facts(config, "list", "--until", later)["letters"]) == 3
    short = facts(config, "list", "validate", "--limit", "1")
    assert ([one["letter"] for one in short["letters"]], short["left_out"]) == (["0/1"], 1)
    assert "contradicts itself" in run(config, "list").stdout


def test_show_gives_the_event_or_why_there_is_none(log: MemoryLog, config: str) -> None:
    good = encode(arrivals(1, 1)[0], SchemaIds(), source="test")
    die(log, "validate", "a reason", good)
    die(log, "validate", "another", replace(good, value=b"\0\0\0\0\1junk"))
    shown = facts(config, "show", "validate", "0/0")
    assert shown["event"]["meta"]["event_id"] == shown["headers"]["ce_id"]
    assert shown["line"]["reason"] == shown["headers"]["reason"] == "a reason"
    assert facts(config, "show", "validate", "0/1")["undecodable"].startswith("Undecodable")
    assert "a reason" in run(config, "show", "validate", "0/0").stdout
    assert isinstance(run(config, "show", "validate", "0/7").exception, Failure)


def test_redrive_puts_back_what_is_meant_and_says_who_did(log: MemoryLog, config: str) -> None:
    for reason in ("old cause", "old cause", "other"):
        die(log, "validate", reason)
    dry = facts(config, "redrive", "validate", "--reason", "cause", "--dry-run")
    assert [one["letter"] for one in dry["put_back"]] == ["0/0", "0/1"]
    assert held(log, "imaging.retry.validate") == []

    first = facts(config, "redrive", "validate", "--reason", "cause", "--limit", "1")
    assert ([one["letter"] for one in first["put_back"]], first["left"]) == (["0/0"], 1)
    (audit,) = [decode(record) for record in held(log, "imaging.audit.event")]
    assert isinstance(audit, AuditEvent)
    assert (audit.action, audit.meta.subject) == ("deadletters.redrive", "validate")

    assert [one["letter"] for one in facts(config, "redrive", "validate", "0/2")["put_back"]] == ["0/2"]
    again = run(config, "redrive", "validate", "0/2")
    assert isinstance(again.exception, Failure)
    assert "--again" in str(again.exception)
    assert [one["letter"] for one in facts(config, "redrive", "validate")["put_back"]] == ["0/1"]
    assert facts(config, "redrive", "validate")["put_back"] == []
    assert len(facts(config, "redrive", "validate", "--again")["put_back"]) == 3
    assert len(held(log, "imaging.retry.validate")) == 6
    listed = facts(config, "list", "validate")
    assert (listed["letters"], listed["redriven"]) == ([], 3)
    assert {one["redrives"] for one in facts(config, "list", "validate", "--all")["letters"]} == {2}


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_redrive_stops_at_the_first_that_cannot_be_put_back(log: MemoryLog, config: str, more: tuple[str, ...]) -> None:
    good = encode(arrivals(1, 1)[0], SchemaIds(), source="test")
    for message in (good, replace(good, value=b"junk"), good):
        die(log, "validate", "a reason", message)
    done = run(config, "redrive", "validate", "--json", *more)
    assert isinstance(done.exception, Failure)
    assert "0/1" in str(done.exception)
    found = json.loads(done.stdout)
    assert [one["letter"] for one in found["put_back"]] == ["0/0"]
    assert "cannot read it either" in found["stopped"]
    assert len(held(log, "imaging.retry.validate")) == (0 if more else 1)


def test_a_group_that_is_not_ours_is_named(log: MemoryLog, config: str) -> None:
    done = run(config, "redrive", "valdate")
    assert isinstance(done.exception, Failure)
    assert "validate" in str(done.exception)
