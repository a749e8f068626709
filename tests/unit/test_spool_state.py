"""What `radstream status` and `lag` say of the router's spool, and what of it as JSON."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from radstream.output import show
from radstream.spool import SpoolState, look, waiting_too
from radstream.status import print_spool
from streams.config import Config, load
from tests.spools import incoming, opened, unreadable

GONE = OSError(errno.EIO, "Input/output error")
CONFIGURATION = """
[router]
http_port = 1
port = 2
[router.spool]
folder = "{folder}"
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    opened(tmp_path / "spool").append(incoming(b"an image"))
    path = tmp_path / "radstream.toml"
    path.write_text(CONFIGURATION.format(folder=tmp_path / "spool"), encoding="utf-8")
    return load(path)


def state(config: Config) -> SpoolState:
    found = look(config)
    assert found is not None
    return found.state


def test_a_segment_that_cannot_be_read_is_said_with_what_to_do(
    config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    with unreadable(GONE):
        found = state(config)
        waiting = waiting_too(config)
    assert (found.instances, found.unreadable) == (0, 1)
    print_spool(found)
    assert "1 segments of it cannot be read: radstream doctor" in capsys.readouterr().out
    assert "1 segments of it cannot be read: radstream doctor" in waiting
    show(True, found, lambda: None)
    assert '"unreadable": 1' in capsys.readouterr().out


def test_of_one_that_can_be_read_nothing_is_said(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    found = state(config)
    assert (found.instances, found.unreadable) == (1, 0)
    print_spool(found)
    assert "cannot be read" not in capsys.readouterr().out


def test_a_folder_that_the_disk_does_not_give_back_is_a_spool_all_the_same(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise GONE

    monkeypatch.setattr(os, "scandir", gone)
    assert state(config).unreadable == 1
