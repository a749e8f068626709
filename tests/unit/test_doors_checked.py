"""`radstream peers check` without a file: each door of the configuration, as the doctor sees it, too."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from radstream.__main__ import cli
from tests.certificates import Authority

SOON = datetime.now(UTC).date() + timedelta(days=9)
PEERS = f"""\
[[peer]]
ae_title = "CT1"
addresses = ["10.20.3.7"]
plain = {{ address = "10.20.3.7", until = {SOON} }}
"""
DOORS = f"""\
[router]
http_port = 1
port = 2
[worklist]
http_port = 3
port = 4
dsn = "x"
host = "10.20.3.1"
peers = "peers.toml"
[retrieve]
http_port = 5
port = 6
dsn = "x"
[orders]
http_port = 7
port = 8
host = "10.20.3.1"
plain = [{{ address = "10.20.3.9", until = {SOON} }}]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "peers.toml").write_text(PEERS, encoding="utf-8")
    file = tmp_path / "radstream.toml"
    file.write_text(DOORS, encoding="utf-8")
    return file


def checked(file: Path) -> tuple[int, list[dict[str, Any]]]:
    run = CliRunner().invoke(cli, ["peers", "check", "--config", str(file), "--json"])
    return run.exit_code, json.loads(run.stdout)["checks"]


def test_each_door_says_who_may_come_and_what_ends(file: Path) -> None:
    code, checks = checked(file)
    assert code == 0
    assert [(one["part"], one["found"]) for one in checks if one["state"] == "well"] == [
        ("router", "No peers file: anybody on this machine may come, nobody else (127.0.0.1)."),
        ("worklist", "1 may come, 0 of them by certificate."),
        ("retrieve", "No peers file: anybody on this machine may come, nobody else (127.0.0.1)."),
        ("orders", "0 may send by certificate, 1 by an exception from TLS, and who is on this machine."),
    ]
    assert [(one["part"], one["found"].partition(" ends on ")[0]) for one in checks if one["state"] == "note"] == [
        ("worklist", "The exception from TLS of CT1"),
        ("orders", "The exception from TLS of 10.20.3.9 in [orders]"),
    ]


def test_what_cannot_be_used_is_broken_and_the_others_are_looked_at(file: Path, tmp_path: Path) -> None:
    (tmp_path / "peers.toml").write_text(PEERS.replace("10.20.3.7", "10.20.3.777"), encoding="utf-8")
    file.write_text(DOORS.replace("plain =", "addresses = ['10.20.3.9'] #"), encoding="utf-8")
    code, checks = checked(file)
    assert code == 1
    worklist, orders = (one for one in checks if one["state"] == "broken")
    assert "peers.toml:3: [[peer]] CT1: addresses: 10.20.3.777" in worklist["found"]
    assert 'plain = [{ address = "10.20.3.9", until = ' in orders["found"]
    assert {one["part"] for one in checks if one["state"] == "well"} == {"router", "retrieve"}


def test_our_side_of_tls_of_orders_is_looked_at(file: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    ours = authority.issue("orders.example", days=(-1, 9))
    tls = (
        f'[orders.tls]\nport = 9\ncertificate = "{ours.certificate_file}"\nkey = "{ours.key_file}"\n'
        f'ca = "{authority.file}"\ncommon_names = ["ris.example"]\n'
    )
    file.write_text(DOORS + tls, encoding="utf-8")
    _, checks = checked(file)
    ends = [one["found"] for one in checks if one["part"] == "orders" and one["name"] == "ends"]
    assert [one.partition(" ends on ")[0] for one in ends] == [
        "The certificate in [orders.tls]",
        "The exception from TLS of 10.20.3.9 in [orders]",
    ]
