"""An old PACS is connected, tested and migrated on the running stack, as a person does it, and across a SIGKILL."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from radstream import phantom
from radstream.__main__ import cli
from radstream.errors import Failure
from tests.orthanc import AE_TITLE, Orthanc, orthanc
from tests.running_stack import RunningStack
from tests.waiting import wait_until

pytestmark = pytest.mark.stack

STUDIES = 5
SLICES, MATRIX = (0, 2, 0), 32
SEEDS = range(7300, 7300 + STUDIES)
LANES = f'\n[router.lanes]\n"{AE_TITLE}" = "bulk"\n'


def run(stack: RunningStack, *arguments: str) -> Result:
    return CliRunner().invoke(cli, [*arguments, "--config", str(stack.config_path)])


def facts(done: Result) -> Any:
    assert done.exception is None or isinstance(done.exception, SystemExit), (done.output, done.exception)
    return json.loads(done.stdout)


@pytest.fixture
def old(stack: RunningStack, tmp_path: Path) -> Iterator[Orthanc]:
    """An Orthanc with some studies, which the site knows as `old` and the router has no lane for."""
    with orthanc(tmp_path, ("RADSTREAM", stack.ports["router"])) as running:
        for seed in SEEDS:
            assert running.fill(list(phantom.encoded(seed, SLICES, MATRIX))).acknowledged == sum(SLICES)
        where = ("--ae", AE_TITLE, "--host", "127.0.0.1", "--port", str(running.port))
        assert run(stack, "modality", "add", "old", *where).exit_code == 0
        yield running
        assert run(stack, "modality", "remove", "old").exit_code == 0


@contextmanager
def lane(stack: RunningStack) -> Iterator[None]:
    """The router has a lane for the old PACS until the block ends."""
    before = stack.config_path.read_text(encoding="utf-8")
    try:
        stack.config_path.write_text(before + LANES, encoding="utf-8")
        stack.down(("router",))
        stack.up(("router",))
        yield
    finally:
        stack.config_path.write_text(before, encoding="utf-8")
        stack.down(("router",))
        stack.up(("router",))


def killed_after_one_study(stack: RunningStack, journal: Path) -> None:
    """Kills a migration when it has settled its first study, and waits for ten minutes before the next."""
    command = [sys.executable, "-m", "radstream", "migrate", "old", "--per-minute", "0.1", "--journal", str(journal)]
    with subprocess.Popen([*command, "--config", str(stack.config_path)]) as process:
        try:
            wait_until(lambda: journal.exists() and journal.read_bytes().endswith(b"\n"), "the first study")
        finally:
            process.send_signal(signal.SIGKILL)


def test_an_old_pacs_is_tested_and_migrated_across_a_kill(stack: RunningStack, old: Orthanc, tmp_path: Path) -> None:
    journal, report = tmp_path / "journal.jsonl", tmp_path / "report.csv"
    refused = run(stack, "migrate", "old", "--journal", str(journal))
    assert isinstance(refused.exception, Failure)
    assert f'"{AE_TITLE}" = "bulk"' in str(refused.exception)
    with lane(stack):
        tested = facts(run(stack, "modality", "test", "old", "--store", "--json"))
        found = {(check["part"], check["name"]): check for check in tested["checks"]}
        assert tested["well"], found
        assert found.keys() >= {("node", "C-ECHO"), ("node", "storage"), ("router", "C-STORE"), ("router", "catalog")}
        assert "lane bulk" in found["router", "catalog"]["found"]
        assert "CT Image Storage" in found["router", "images"]["found"]
        enter = {"ae_title": "RADSTREAM", "host": "127.0.0.1", "port": stack.ports["router"], "tls": False}
        assert tested["enter"] == enter

        planned = run(stack, "migrate", "old", "--dry-run", "--json")
        assert planned.exit_code == 3
        assert facts(planned)["studies"] == {"short": STUDIES}
        assert old.moves() == 0

        killed_after_one_study(stack, journal)
        assert old.moves() == 1
        ran = facts(run(stack, "migrate", "old", "--journal", str(journal), "--report", str(report), "--json"))
        assert (ran["complete"], ran["studies"], ran["done_before"]) == (True, {"pulled": STUDIES}, 1)
        assert ran["instances"] == {"listed": STUDIES * 2, "here": STUDIES * 2, "held": 0}
        assert (ran["retrievals"], old.moves()) == (STUDIES - 1, STUDIES)
        with report.open(newline="", encoding="utf-8") as file:
            lines = {line["study"]: line for line in csv.DictReader(file)}
        assert lines.keys() == {phantom.Study(seed, SLICES, MATRIX).uid for seed in SEEDS}

        assert facts(run(stack, "migrate", "old", "--dry-run", "--json"))["studies"] == {"there": STUDIES}
        absent = run(stack, "migrate", "old", "--study", "1.2.3", "--dry-run", "--json")
        assert (absent.exit_code, facts(absent)["studies"]) == (3, {"failed": 1})
    uid = phantom.Study(SEEDS[0], SLICES, MATRIX).uid
    assert facts(run(stack, "study", uid, "--json"))["counts"]["instances"] == 2
    assert "PHANTOM" not in journal.read_text(encoding="utf-8") + report.read_text(encoding="utf-8")


def test_what_stands_between_a_scanner_and_the_archive_is_said_with_what_to_do(stack: RunningStack) -> None:
    assert run(stack, "modality", "add", "off", "--ae", "OFF", "--host", "127.0.0.1", "--port", "1").exit_code == 0
    tested = run(stack, "modality", "test", "off", "--json")
    assert tested.exit_code == 1
    checks = {(check["part"], check["name"]): check for check in facts(tested)["checks"]}
    assert "127.0.0.1:1 cannot be reached" in checks["node", "reach"]["found"]
    assert "firewall" in checks["node", "reach"]["mend"]
    assert checks["router", "C-ECHO"]["state"] == "well"
    assert checks["router", "images"]["state"] == "note"
    shown = run(stack, "modality", "test", "off").stdout
    assert f"AE title RADSTREAM, host 127.0.0.1, port {stack.ports['router']}" in shown
    assert run(stack, "modality", "remove", "off").exit_code == 0
