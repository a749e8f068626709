"""What the local stack decides without starting anything."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumers.commitment.places import of_stores
from infra.local import durable, founding, home, ports, process, settings_file, state, topics
from infra.local.errors import StackError
from infra.local.parts.part import Site
from infra.local.parts.store import BUCKETS
from infra.local.process import Launch, Running
from infra.local.stack import Stack
from schemas import load_topics
from streams.config import ConfigError, load
from tests.waiting import wait_until


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


@pytest.fixture
def founded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("RADSTREAM_TOOLS", str(tmp_path / "cache" / "tools"))
    place = tmp_path / "home"
    home.make(place)
    founding.found(place, None)
    found = state.read(place)
    assert found is not None
    return Site(place, found, lambda _: None)


def test_a_port_in_use_is_not_chosen(taken_port: int) -> None:
    assert not ports.is_free(taken_port)
    assert ports.choose({"one": 20000, "two": 20000}, taken=(20000,)).keys() == {"one", "two"}
    assert 20000 not in ports.choose({"one": 20000, "two": 20000}, taken=(20000,)).values()


def test_two_homes_never_share_a_port_even_when_neither_runs(founded: Site, tmp_path: Path) -> None:
    other = tmp_path / "other"
    home.make(other)
    founding.found(other, None)
    found = state.read(other)
    assert found is not None
    assert not set(found.ports.values()) & set(founded.state.ports.values())


def test_ports_lie_below_those_of_outgoing_connections(founded: Site) -> None:
    assert all(1024 < port < 32768 for port in founded.state.ports.values())
    assert len(set(founded.state.ports.values())) == len(founded.state.ports)


def test_a_home_keeps_its_number_of_brokers(founded: Site) -> None:
    with pytest.raises(StackError, match=r"made with 1 broker.*down --wipe"):
        founding.found(founded.home, 3)


def test_a_folder_with_other_things_in_it_is_no_home(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(StackError, match="not empty"):
        home.make(tmp_path)


def test_a_path_that_the_parts_cannot_use_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="cannot use a path with ','"):
        home.make(tmp_path / "one,two")


def test_a_spoilt_state_is_one_message(founded: Site) -> None:
    (founded.home / "stack.json").write_text("{")
    with pytest.raises(StackError, match=r"stack\.json: cannot be used.*down --wipe"):
        state.read(founded.home)


def test_secrets_are_for_their_owner_alone(founded: Site) -> None:
    settings_file.ensure(founded)
    for name in ("stack.json", "radstream.toml"):
        assert (founded.home / name).stat().st_mode & 0o777 == 0o600


def test_the_settings_file_is_the_persons_own_and_only_gains_sections(founded: Site) -> None:
    settings_file.ensure(founded)
    text = founded.config.read_text()
    mine = text.replace("[site]\n", "# mine\n[site]\n")
    start = mine.index("[derive]")
    founded.config.write_text(mine[:start] + mine[mine.index("[revisions]") :])
    settings_file.ensure(founded)
    assert "# mine" in founded.config.read_text()
    assert tomllib.loads(founded.config.read_text()) == tomllib.loads(text)


def test_a_stack_of_before_goes_on_committing_and_is_marked_as_what_it_is(founded: Site) -> None:
    settings_file.ensure(founded)
    before = re.sub(r"\n\[copies\]\n[^\[]*", "\n", founded.config.read_text())
    founded.config.write_text(before)
    with pytest.raises(ConfigError, match="in 2 places"):
        of_stores(load(founded.config), 2)
    settings_file.ensure(founded)
    assert "in_one_place = true" in founded.config.read_text()
    assert len(of_stores(load(founded.config), 2)) == len(BUCKETS)


def test_large_objects_are_on_the_disk_that_the_spool_is_on(founded: Site) -> None:
    settings_file.ensure(founded)
    router = tomllib.loads(founded.config.read_text())["router"]
    assert Path(router["objects_folder"]).parent == Path(router["spool"]["folder"]).parent


def test_a_gateway_beside_a_router_without_stow_hands_nothing_to_it(founded: Site) -> None:
    settings_file.ensure(founded)
    text = founded.config.read_text()
    assert "stow_url" in tomllib.loads(text)["gateway"]
    before = re.sub(r"\n\[router\.stow\]\n[^\[]*|\n\[gateway\]\n[^\[]*", "\n", text)
    founded.config.write_text(before)
    settings_file.ensure(founded)
    found = tomllib.loads(founded.config.read_text())
    assert "stow" not in found["router"]
    assert "port" in found["gateway"]
    assert "stow_url" not in found["gateway"]


def test_a_killed_process_is_dead_and_a_pid_used_again_is_not_it(tmp_path: Path) -> None:
    running = process.start(Launch([sys.executable, "-c", "input()"]), tmp_path / "log", tmp_path)
    wait_until(lambda: not process.is_alive(running), "the process to end: its standard input is empty")
    mine = Running(os.getpid(), started_ticks=1, boot=running.boot)
    assert not process.is_alive(mine)
    process.kill(mine)  # would end this test run if it took a pid for a process
    assert not process.is_alive(Running(os.getpid(), running.started_ticks, boot="another"))


def test_what_does_not_stop_is_killed_with_all_it_started(tmp_path: Path) -> None:
    script = "trap '' TERM; sleep 600 & echo up; wait; wait"
    log = tmp_path / "log"
    running = process.start(Launch(["/bin/sh", "-c", script]), log, tmp_path)
    wait_until(lambda: "up" in log.read_text(), "the shell to start its child")
    assert process.end(process.ask(running, signal.SIGTERM), deadline_s=0.2) is False
    process.reap()

    def left() -> list[str]:
        command = ["ps", "-o", "pid=", "-g", str(running.pid)]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()

    wait_until(lambda: not left(), "the end of what it started")


def test_topics_of_truth_are_flushed_while_there_is_one_copy() -> None:
    listed = load_topics()
    one, three = topics.wanted(1), topics.wanted(3)
    assert one.keys() == three.keys() == {name for topic in listed.topics for name in listed.physical(topic)}
    for name in one:
        truth = listed.topics[listed.logical(name)].truth
        assert one[name].copies == 1
        assert one[name].config.get("flush.messages") == ("1" if truth else None)
        assert three[name].copies == 3
        assert three[name].config["min.insync.replicas"] == "2"
        assert "flush.messages" not in three[name].config


def test_a_file_system_that_cannot_write_through_says_so() -> None:
    assert durable.make_synchronous(Path("/proc/self")) is False


def test_a_home_of_an_older_version_is_taken_down_and_removed(founded: Site) -> None:
    """It has no ports for parts that came later, and gets them with its next start, not before."""
    record = founded.home / "stack.json"
    older = json.loads(record.read_text())
    older["ports"] = {name: port for name, port in older["ports"].items() if not name.startswith(("triton", "ai"))}
    record.write_text(json.dumps(older))
    stack = Stack(founded.home)
    assert stack.running() == {}
    stack.wipe()
    assert not founded.home.exists()
