"""`radstream reconcile`, as a person or a timer runs it: what it says, and how it ends."""

from __future__ import annotations

import errno
import json
from datetime import timedelta
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from producers.dicom_router.reconciling.reconciling import Counts, Difference
from radstream import reconcile
from radstream.options import Duration
from radstream.reconcile_lines import Report, print_report
from streams.memory_store import MemoryStore
from streams.step import NewObject
from tests.routers import Ct, memory_log
from tests.spools import incoming, opened, unreadable
from tests.unit.test_reconciling import World

CONFIGURATION = """
[site]
tenant = "t"
site = "here"
[kafka]
bootstrap = "127.0.0.1:1"
[store]
endpoint = "http://127.0.0.1:1"
buckets = {{hot = "hot"}}
[router]
http_port = 1
port = 2
[router.spool]
folder = "{folder}"
"""


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    held, log = MemoryStore(), memory_log()
    monkeypatch.setattr(reconcile, "open_log", lambda _: log)
    monkeypatch.setattr(reconcile, "S3Store", lambda _: held)
    return held


def run(tmp_path: Path, *arguments: str) -> Result:
    path = tmp_path / "radstream.toml"
    path.write_text(CONFIGURATION.format(folder=tmp_path / "spool"), encoding="utf-8")
    return CliRunner().invoke(reconcile.reconcile, [*arguments, "--config", str(path)], env={"COLUMNS": "300"})


def test_it_ends_with_0_where_all_agrees_and_with_1_where_a_person_is_needed(
    store: MemoryStore, tmp_path: Path
) -> None:
    opened(tmp_path / "spool")
    done = run(tmp_path, "--older-than", "0s")
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "bucket, spool and log agree")

    store.create(NewObject("t", "hot", "t/notes.txt", b"x"))
    done = run(tmp_path, "--older-than", "0s")
    assert done.exit_code == 0, "a foreign key is told of, and does no harm"
    assert "t/notes.txt" in done.stdout

    image = Ct()
    key = World(tmp_path, store=store).put(b"torn", image, digest="0" * 64)
    done = run(tmp_path, "--older-than", "0s", "--json")
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert (found["agree"], found["differences"]) == (False, {"damaged": 1, "foreign": 1})
    assert key in [one["key"] for one in found["named"]]
    assert "have the image sent again" in " ".join(run(tmp_path, "--older-than", "0s").stdout.split())


def test_what_waits_on_the_spool_is_said_and_is_no_difference(store: MemoryStore, tmp_path: Path) -> None:
    opened(tmp_path / "spool").append(incoming(b"an image"))
    done = run(tmp_path, "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["counts"]["on_spool"] == 1


def test_a_spool_that_cannot_be_read_from_here_ends_it_with_2(store: MemoryStore, tmp_path: Path) -> None:
    done = run(tmp_path)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "on the router's machine, as its user" in done.stderr


def test_what_may_wait_in_a_segment_that_cannot_be_read_is_not_published_without_its_sender(
    store: MemoryStore, tmp_path: Path
) -> None:
    opened(tmp_path / "spool").append(incoming(b"an image"))
    with unreadable(OSError(errno.EIO, "Input/output error")):
        done = run(tmp_path, "--publish", "--older-than", "0s")
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"1 segments of the router's spool {tmp_path / 'spool'} cannot be read" in done.stderr


def test_of_many_differences_so_many_are_named_and_all_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    named = [Difference("lost", "hot", f"t/{number}", 1, "in no store") for number in range(60)]
    print_report(Report(False, False, Counts(), {"lost": 2000}, named))
    said = capsys.readouterr().out
    assert "2000 lost" in said
    assert "and 1950 more" in said
    assert "do not agree" in said


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("2h", timedelta(hours=2)),
        ("1d", timedelta(days=1)),
    ],
)
def test_durations_have_a_unit(text: str, wanted: timedelta) -> None:
    assert Duration().convert(text, None, None) == wanted


@pytest.mark.parametrize("text", ["15", "m", "", "-1m", "1.5h", "15 m", "9999999d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        Duration().convert(text, None, None)
