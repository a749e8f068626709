"""`radstream send` as a person has it: interrupted, audited, and without a word that is not its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from radstream import send_audited
from radstream.__main__ import cli
from streams.events import AuditEvent
from streams.log import TopicPartition
from streams.memory_log import MemoryLog
from streams.memory_store import MemoryStore
from streams.step import NewObject, Stored
from streams.wire import decode
from tests.nodes import node
from tests.routers import EXPLICIT, TOPICS, Ct, Router, memory_log, running_router
from tests.stow import file_of, running_stow
from tests.waiting import wait_until

FILES = 40


class Gate(MemoryStore):
    """Takes an object for each time that it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self._opened = threading.Semaphore(0)
        self.waiting = 0

    def open(self) -> None:
        self.waiting -= 1
        self._opened.release()

    def create(self, new: NewObject) -> Stored:
        if "/protected/" not in new.key:
            self.waiting += 1
            self._opened.acquire()
        return super().create(new)


@contextmanager
def sending(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "radstream", "send", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def written(folder: Path, count: int) -> Path:
    for number in range(count):
        (folder / f"{number:03}.dcm").write_bytes(file_of(Ct(instance=f"1.2.3.4.{number}")))
    return folder


def test_who_interrupts_it_is_told_what_was_sent_and_the_rest_stays_unsent(tmp_path: Path) -> None:
    gate = Gate()
    with (
        running_router(gate, gate) as router,
        sending(str(written(tmp_path, FILES)), "--to", str(router.target), "--json", *config(tmp_path)) as process,
    ):
        wait_until(lambda: gate.waiting, "the first image")
        process.send_signal(signal.SIGINT)
        while process.poll() is None:
            gate.open()
            wait_until(lambda: gate.waiting or process.poll() is not None, "the next image or the end")
        said, errors = process.communicate()
        assert process.returncode == 1
        assert "Aborted" not in errors
        result: dict[str, Any] = json.loads(said)
        sent = len(router.received())
        assert 1 <= sent < FILES // 2
        assert (result["files"], result["statuses"]) == (FILES, {"0000": sent})
        assert [one["reason"] for one in result["unsent"]] == ["interrupted"] * (FILES - sent)


def config(folder: Path) -> tuple[str, str]:
    return "--config", str(folder / "radstream.toml")


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MemoryLog:
    """The log of a site whose configuration lies in `tmp_path`."""
    made = memory_log()
    monkeypatch.setattr(send_audited, "open_log", lambda _: made)
    text = '[site]\ntenant = "t"\nsite = "here"\n\n[kafka]\nbootstrap = "127.0.0.1:9"\n'
    (tmp_path / "radstream.toml").write_text(text, encoding="utf-8")
    return made


def audited(log: MemoryLog) -> list[tuple[str, str, str]]:
    partition = TopicPartition(TOPICS[1], 0)
    first, end = log.bounds([partition])[partition]
    found = [decode(record) for record in log.read(partition, first, end)]
    return [(one.action, one.meta.subject, one.outcome) for one in found if isinstance(one, AuditEvent)]


def test_what_is_sent_to_others_is_audited(log: MemoryLog, tmp_path: Path) -> None:
    file = str(written(tmp_path, 1) / "000.dcm")
    with running_stow() as stow:
        router: Router = stow.router
        port = router.target.port
        (tmp_path / "nodes.toml").write_text(f'[pacs]\nae_title = "RADSTREAM"\nhost = "127.0.0.1"\nport = {port}\n')
        url = f"http://127.0.0.1:{stow.port}/studies"
        for whom in (("--to", "pacs"), ("--to", str(router.target)), ("--stow", url)):
            assert CliRunner().invoke(cli, ["send", file, *whom, *config(tmp_path)]).exit_code == 0
    assert audited(log) == [("send", str(whom), "success") for whom in (router.target, router.target, url)]


def test_what_a_node_keeps_with_a_warning_was_not_refused(log: MemoryLog, tmp_path: Path) -> None:
    """An archive that coerces says so with each image (0xB000, PS3.4 table B.2-1), and has it."""
    files = [str(written(tmp_path, 3) / f"00{number}.dcm") for number in range(3)]
    with node([EXPLICIT], lambda count: (0x0000, 0xB000, 0xC000)[count % 3]) as there:
        whom = ("--to", f"NODE@127.0.0.1:{there.port}", *config(tmp_path))
        done = CliRunner().invoke(cli, ["send", *files[:2], *whom])
        assert done.exit_code == 0
        assert "2 of 2 files acknowledged" in done.stdout
        assert "1 with a warning" in done.stdout
        there.instances.clear()
        done = CliRunner().invoke(cli, ["send", *files, *whom, "--json"])
    said = json.loads(done.stdout)
    assert done.exit_code == 3
    assert said["warned"] == [{"file": files[1], "status": "0xB000"}]
    assert said["refused"] == [{"file": files[2], "status": "0xC000"}]
    assert [outcome for _, _, outcome in audited(log)] == ["success", "refused"]


def test_who_has_no_configuration_sends_to_an_address_all_the_same(tmp_path: Path) -> None:
    file = str(written(tmp_path, 1) / "000.dcm")
    with running_router() as router:
        done = CliRunner().invoke(cli, ["send", file, "--to", str(router.target), *config(tmp_path)])
        assert (done.exit_code, "audit" in done.stderr) == (0, False)
        (tmp_path / "radstream.toml").write_text('[site]\ntenant = "t"\nsite = "here"\n', encoding="utf-8")
        done = CliRunner().invoke(cli, ["send", file, "--to", str(router.target), *config(tmp_path)])
        assert done.exit_code == 0
        assert "is not in the audit" in done.stderr


def test_pynetdicom_says_nothing_beside_what_the_command_says(tmp_path: Path) -> None:
    (tmp_path / "000.dcm").write_bytes(file_of())
    whom = ("--to", "RADSTREAM@127.0.0.1:9", "--retries", "0")
    with sending(str(tmp_path / "000.dcm"), *whom, *config(tmp_path)) as process:
        said, errors = process.communicate()
    assert process.returncode == 1
    assert "0 of 1 files acknowledged" in said
    assert errors == ""


@pytest.mark.parametrize("title", ["TOOLONGAETITLE1234567", "A\\B", "   ", ""])
def test_what_is_no_ae_title_is_a_usage_error(tmp_path: Path, title: str) -> None:
    (tmp_path / "000.dcm").write_bytes(file_of())
    for command in (["send", str(tmp_path)], ["import", str(tmp_path)], ["modality", "test", "a", "--archive"]):
        done = CliRunner().invoke(cli, [*command, "--calling", title, *config(tmp_path)])
        assert (done.exit_code, "an AE title has 1 to 16 ASCII characters" in done.stderr) == (2, True)
