"""Replays as a person runs them, on the running stack: beside what is current, killed, resumed, compared, switched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from radstream.__main__ import cli
from radstream.errors import Failure
from radstream.phantom import Study, encoded
from schemas import load_topics
from streams.config import Kafka
from streams.events import InstanceDerived
from streams.kafka_log import KafkaLog
from streams.log import Log, TopicPartition
from streams.replays import group_of
from streams.wire import decode
from tests.frozen import freeze
from tests.pipeline_run import Load, settled
from tests.running_stack import RunningStack
from tests.waiting import wait_until

pytestmark = pytest.mark.stack

ONE, OTHER = Study(seed=811, slices=(1, 4, 3), matrix=64), Study(seed=812, slices=(1, 30, 25), matrix=64)
LIVE = ("validate", "derive")


@dataclass(frozen=True)
class Site:
    """The stack, with two studies in its catalog; the second was sent after `between`."""

    stack: RunningStack
    between: datetime

    @property
    def log(self) -> Log:
        return KafkaLog(self.stack.config.section("kafka", Kafka))

    def run(self, *arguments: str, config: Path | None = None) -> Result:
        return CliRunner().invoke(cli, ["replay", *arguments, "--config", str(config or self.stack.config_path)])

    def facts(self, *arguments: str, config: Path | None = None, code: int = 0) -> Any:
        done = self.run(*arguments, "--json", config=config)
        assert done.exit_code == code, (done.output, done.exception)
        return json.loads(done.stdout)

    def offsets(self, group: str) -> dict[TopicPartition, int | None]:
        names = [
            TopicPartition(topic, number)
            for topic in load_topics().read_by(group)
            for number in range(self.log.partitions(topic))
        ]
        return dict(self.log.committed(group, names))

    def shown(self, study: Study) -> dict[str, dict[str, Any]]:
        """The study's copies by kind, as `radstream study` shows them."""
        command = ["study", study.uid, "--json", "--config", str(self.stack.config_path)]
        done = CliRunner().invoke(cli, command)
        assert done.exit_code == 0, (done.output, done.exception)
        return {copy["kind"]: copy for copy in json.loads(done.stdout)["copies"]}

    def made(self, generation: int, topic: str = "imaging.replay") -> list[InstanceDerived]:
        names = [TopicPartition(topic, number) for number in range(self.log.partitions(topic))]
        records = [
            record
            for name, (first, end) in self.log.bounds(names).items()
            for record in self.log.read(name, first, end)
        ]
        events = [event for record in records if isinstance(event := decode(record), InstanceDerived)]
        return [event for event in events if event.provenance.generation == generation]

    def line(self, generation: int) -> Any:
        lines = self.facts("list")["replays"]
        return next(line for line in lines if (line["step"], line["generation"]) == ("derive", generation))


@pytest.fixture(scope="module")
def site(stack: RunningStack) -> Site:
    between = None
    for study in (ONE, OTHER):
        between = datetime.now(UTC)
        result = Load(stack, list(encoded(study.seed, study.slices, study.matrix))).finish()
        assert result.statuses == {"0000": sum(study.slices)}
        settled(stack)
    assert between is not None
    return Site(stack, between)


@pytest.fixture(scope="module", autouse=True)
def live_groups_are_untouched(site: Site) -> Iterator[None]:
    """Whatever is replayed here, the services' groups stay where they are and are given nothing to read."""
    before = {group: site.offsets(group) for group in LIVE}
    yield
    assert {group: site.offsets(group) for group in LIVE} == before


def changed(site: Site, folder: Path, text: str, name: str = "changed.toml") -> Path:
    """The configuration with a section more."""
    path = folder / name
    path.write_text(site.stack.config_path.read_text() + text)
    path.chmod(0o600)
    return path


def test_a_dry_run_counts_and_claims_nothing(site: Site) -> None:
    before = site.facts("list")
    found = site.facts("run", "derive", "--study", ONE.uid, "--dry-run")
    assert (found["records"], found["instances"], found["unreadable"]) == (8, 8, 0)
    assert found["bytes"] > 8 * 64 * 64 * 2
    assert found["seconds"] > 0
    assert site.facts("list") == before
    assert "about" in site.run("run", "derive", "--study", ONE.uid, "--dry-run").stdout


def test_the_same_configuration_makes_the_same_copies_and_changes_nothing(site: Site) -> None:
    current = site.shown(ONE)
    report = site.facts("run", "derive", "--study", ONE.uid)
    assert (report["complete"], report["left_behind"]) == (True, 0)
    generation = report["generation"]
    compared = site.facts("compare", "derive", str(generation))
    assert (compared["equal"], compared["same"]) == (True, 8)
    assert site.shown(ONE) == current
    assert site.line(generation)["state"] == "completed"
    assert site.made(generation, "imaging.instance.derived.bulk") == [], "nobody downstream hears of it"
    again = site.facts("run", "derive", "--study", ONE.uid)["generation"]
    assert again == generation + 1, "the same code and configuration, once more"


def test_another_configuration_is_killed_resumed_compared_and_switched_to(site: Site, tmp_path: Path) -> None:
    slow = "\n[derive.output]\nthumbnail_px = 32\n\n[derive.runner]\nthreads = 1\nbatch_max = 1\n"
    config = changed(site, tmp_path, slow)
    before, before_one = site.shown(OTHER), site.shown(ONE)
    generation = killed_midway(site, config)
    line = site.line(generation)
    assert 0 < line["done"] < line["records"]
    wait_until(lambda: site.line(generation)["state"] == "interrupted", "the group noticing")

    refused = site.run("switch", "derive", str(generation), "--why", "a test")
    assert isinstance(refused.exception, Failure)
    assert "is not complete" in str(refused.exception)
    other = site.run("run", "derive", "--resume", str(generation))
    assert isinstance(other.exception, Failure)
    assert "configuration" in str(other.exception)

    report = site.facts("run", "derive", "--resume", str(generation), config=config)
    assert (report["complete"], report["done"], report["records"]) == (True, line["records"], line["records"])
    assert report["read"] < line["records"], "what was committed is not read again"
    effects: dict[str, set[tuple[str, ...]]] = {}
    for event in site.made(generation):
        assert event.meta.lane == "bulk"
        keys = tuple(copy.object.key for copy in event.representations)
        effects.setdefault(event.meta.event_id, set()).add(keys)
    assert len(effects) >= sum(OTHER.slices)
    assert all(len(keys) == 1 for keys in effects.values()), "a second effect"

    compared = site.facts("compare", "derive", str(generation), code=3)
    # What inference made of the study since then was derived again as well; without a thumbnail it is the same.
    assert (compared["same"] + compared["different"], compared["missing"], compared["extra"]) == (len(effects), 0, 0)
    assert compared["different"] >= sum(OTHER.slices)
    assert set(compared["differences"]) == {f"thumbnail {part}" for part in ("length", "sha256", "rows", "columns")}
    assert site.shown(OTHER) == before

    switched = site.facts("switch", "derive", str(generation), "--why", "smaller thumbnails")
    assert switched["published"] >= len(effects)
    assert site.line(generation)["state"] == "published"
    settled(site.stack)
    after = site.shown(OTHER)
    assert after["thumbnail"]["bytes"] < before["thumbnail"]["bytes"] / 2
    assert after["lossless"] == before["lossless"]
    assert site.shown(ONE) == before_one, "what was not replayed stays"
    published = Counter(event.meta.event_id for event in site.made(generation, "imaging.instance.derived.bulk"))
    assert published.keys() == effects.keys()
    assert site.facts("switch", "derive", str(generation), "--why", "again")["published"] == 0


def killed_midway(site: Site, config: Path) -> int:
    """The generation of a replay that was killed before its end."""
    while True:
        line = site.line(generation := killed_after_a_commit(site, config))
        # Where this machine paused between the first output and the hold, all of it may be done: then once more.
        if line["done"] < line["records"]:
            return generation


def killed_after_a_commit(site: Site, config: Path) -> int:
    """Begins a replay of what was sent since the second study, and kills it with SIGKILL after its first commit.

    From its first output on the store is held, so that it cannot come to its end before it is killed.
    """
    argv = [sys.executable, "-m", "radstream", "replay", "run", "derive", "--since", site.between.isoformat()]
    generation = 1 + max(line["generation"] for line in site.facts("list")["replays"] if line["step"] == "derive")
    log, store = site.log, site.stack.pid("store")
    outputs = [TopicPartition("imaging.replay", number) for number in range(log.partitions("imaging.replay"))]

    def written() -> int:
        return sum(end for _, end in log.bounds(outputs).values())

    before = written()
    process = subprocess.Popen([*argv, "--config", str(config)], stdout=subprocess.DEVNULL, env=dict(os.environ))
    try:
        wait_until(lambda: written() > before, "the first output of the replay")
        freeze(store)
        wait_until(lambda: site.line(generation)["done"], "the first commit of the replay")
    finally:
        process.kill()
        process.wait()
        os.kill(store, signal.SIGCONT)
    return generation


def test_a_stricter_validation_is_seen_in_the_comparison_and_nowhere_else(site: Site, tmp_path: Path) -> None:
    config = changed(site, tmp_path, "\n[validate.limits]\nelements_max = 5\n")
    before = site.shown(ONE)
    report = site.facts("run", "validate", "--study", ONE.uid, config=config)
    compared = site.facts("compare", "validate", str(report["generation"]), code=3)
    assert (compared["different"], compared["missing"]) == (8, 0)
    assert compared["differences"]["verdict"] == 8
    assert site.shown(ONE) == before
    assert "verdict" in site.run("compare", "validate", str(report["generation"])).stdout


def test_a_rebuild_of_all_that_has_the_same_checksum(site: Site) -> None:
    settled(site.stack)
    done = CliRunner().invoke(cli, ["catalog", "rebuild", "--json", "--config", str(site.stack.config_path)])
    assert done.exit_code == 0, (done.output, done.exception)
    assert json.loads(done.stdout)["equal"] is True
    done = CliRunner().invoke(cli, ["status", "--json", "--config", str(site.stack.config_path)])
    assert json.loads(done.stdout)["agree"] is True, done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "derive"), "say what to replay by one of"),
        (("run", "derive", "--all", "--study", "1.2"), "say what to replay by one of"),
        (("run", "derive", "--since", "yesterday"), "not a time"),
        (("run", "derive", "--study", "1.2.3.4.5.6.7.8.9"), "nothing to replay"),
        (("run", "derive", "--resume", "9999"), "no replay of derive has generation 9999"),
        (("compare", "validate", "9999"), "no replay of validate"),
        (("switch", "derive", "9999", "--why", " "), "--why is empty"),
    ],
)
def test_what_cannot_be_done_is_said(site: Site, arguments: tuple[str, ...], said: str) -> None:
    done = site.run(*arguments)
    assert isinstance(done.exception, Failure)
    assert said in str(done.exception)
    assert group_of("derive", 9999) not in str(done.exception)
