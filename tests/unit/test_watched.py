"""A file that changes while a service runs: whatever is wrong with it, the service goes on with what it has."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest

from producers.dicom_router.trust.config import Tls
from streams.config import ConfigError
from streams.peers.reading import PeersWrong, read_peers
from streams.tls.ours import as_server
from streams.watched import Watched
from tests.certificates import Authority


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("1")
    return path


def look(watched: Watched[int]) -> None:
    """A file counts as changed when it has stood still for one look."""
    watched.look()
    watched.look()


def test_what_nobody_planned_changes_nothing_and_is_said_until_it_is_mended(file: Path) -> None:
    def read() -> int:
        if (number := int(file.read_text())) < 0:
            raise RuntimeError("a name that is in no log")
        return number

    watched = Watched("test", (file,), read)
    file.write_text("-1")
    look(watched)
    assert watched.value == 1
    assert watched.problem is not None
    assert "RuntimeError" in watched.problem
    assert "name" not in watched.problem

    file.write_text("22")
    look(watched)
    assert (watched.value, watched.problem) == (22, None)


def test_a_file_that_lacked_nothing_but_its_mode_is_read_once_it_has_that(file: Path) -> None:
    def read() -> int:
        if file.stat().st_mode & 0o007:
            raise ConfigError("chmod 600")
        return int(file.read_text())

    file.chmod(0o600)
    watched = Watched("test", (file,), read)
    file.write_text("2")
    file.chmod(0o644)
    look(watched)
    assert (watched.value, watched.problem) == (1, "chmod 600")

    file.chmod(0o600)
    look(watched)
    assert (watched.value, watched.problem) == (2, None)


def test_a_key_that_only_another_user_may_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate that was renewed at night, by root."""

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, os.strerror(13))

    authority = Authority(tmp_path)
    ours = authority.issue("router.example")
    files = Tls(port=0, certificate=ours.certificate_file, key=ours.key_file, ca=authority.file)
    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", denied)
    with pytest.raises(ConfigError, match=r"Permission denied.*by the user"):
        as_server(files, "router.tls")


@pytest.mark.parametrize("text", ["a = " + "[" * 5000, "a = " + "9" * 5000], ids=["brackets", "digits"])
def test_what_no_reader_of_toml_has_words_for_is_a_peers_file_that_cannot_be_used(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(PeersWrong, match=r"file:1: not a file of peers"):
        read_peers(file)
