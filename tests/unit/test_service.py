"""How a service starts and ends: its exit code, one message for a person, and what it says while it waits."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import urllib3

from streams.config import ConfigError
from streams.log import OffsetOutOfRange
from streams.service import STOPPED, UNPLANNED, _guarded
from streams.stop import Stop
from streams.wire import UnknownSchema
from tests.ports import free_port
from tests.waiting import wait_until

NAME = "DOE^JANE"


def raising(error: Exception) -> Callable[[], None]:
    def body() -> None:
        raise error

    return body


def test_a_clean_end_is_0() -> None:
    assert _guarded("testing", lambda: None) == 0


def test_a_configuration_error_is_1_and_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert _guarded("testing", raising(ConfigError("file:3: [kafka] what to do"))) == 1
    assert capsys.readouterr().err == "radstream testing: file:3: [kafka] what to do\n"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Stop("too many dead letters; look at them"), "too many dead letters; look at them"),
        (OffsetOutOfRange("imaging.instance.received/0: no offset 7"), "OffsetOutOfRange: imaging.instance.received/0"),
        (UnknownSchema("imaging.instance.received version 9"), "imaging.instance.received version 9"),
    ],
)
def test_a_service_that_stops_itself_is_3_and_says_why(
    error: Exception, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _guarded("testing", raising(error)) == STOPPED == 3
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("radstream testing: stopped: ")
    assert reason in last


def test_what_nobody_planned_is_4_without_its_text() -> None:
    body = (
        "from streams import service\n"
        f"def fail(*_): raise ValueError('cannot parse {NAME}')\n"
        "service.configuration.load = fail\n"
        "service.run('testing', None, None)\n"
    )
    ended = subprocess.run([sys.executable, "-c", body], capture_output=True, text=True, check=False)
    assert ended.returncode == UNPLANNED == 4
    assert NAME not in ended.stdout + ended.stderr
    assert json.loads(ended.stderr)["error"] == "ValueError"


@pytest.fixture
def http_port() -> int:
    return free_port()


@pytest.fixture
def config(tmp_path: Path, http_port: int) -> Path:
    """A site whose broker and store are away."""
    path = tmp_path / "radstream.toml"
    path.write_text(
        f"""
[site]
tenant = "hospital"
site = "north"
[kafka]
bootstrap = "127.0.0.1:{free_port()}"
[store]
endpoint = "http://127.0.0.1:{free_port()}"
access_key = "a"
secret_key = "s"
[store.buckets]
hot = "hot"
[revisions]
http_port = {http_port}
""",
        encoding="utf-8",
    )
    return path


@contextmanager
def started(config: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "streams.revisions", "--config", str(config)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str], deadline_s: float = 240) -> list[str]:
    _, text = process.communicate(timeout=deadline_s)
    return text.splitlines()


def test_a_service_waits_for_what_is_away_says_so_and_ends_when_told(config: Path, http_port: int) -> None:
    def failing() -> dict[str, str]:
        try:
            answer = urllib3.request("GET", f"http://127.0.0.1:{http_port}/readyz", retries=False, timeout=5)
        except urllib3.exceptions.HTTPError:
            return {}
        return dict(answer.json()["failing"]) if answer.status == 503 else {}

    with started(config) as process:
        wait_until(lambda: "log" in failing(), "the service saying that the log is away", 240)
        process.send_signal(signal.SIGTERM)
        lines = [json.loads(line) for line in said(process)]
        assert process.returncode == 0
    events = {line["event"]: line for line in lines}
    assert events["waiting"]["part"] == "log"
    assert "service_ended" in events


def test_a_port_in_use_is_one_message(config: Path, http_port: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", http_port))
        taken.listen()
        with started(config) as process:
            (line,) = said(process)
            assert process.returncode == 1
    assert line == (
        f"radstream revisions: 127.0.0.1:{http_port} cannot be listened on (Address already in use): "
        "stop what uses it, or set another http_port"
    )


def test_a_misspelt_setting_is_one_message_that_points_at_the_line(config: Path) -> None:
    with config.open("a", encoding="utf-8") as file:
        file.write("quiet = 3\n")
    with started(config) as process:
        (line,) = said(process)
        assert process.returncode == 1
    count = len(config.read_text(encoding="utf-8").splitlines())
    assert line.startswith(f"radstream revisions: {config}:{count}: [revisions]")
    assert "quiet" in line


def test_no_configuration_is_one_message(tmp_path: Path) -> None:
    with started(tmp_path / "absent.toml") as process:
        (line,) = said(process)
        assert process.returncode == 1
    assert line.endswith("absent.toml: no such file; `radstream up` writes one for the local stack")
