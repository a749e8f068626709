"""`radstream send --stow`: the same facts as by DIMSE, whatever the other side answers."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from radstream.__main__ import cli
from radstream.items import items_of
from radstream.sending import send_items
from radstream.stow_scu import Studies
from streams.sop_classes import MEDIA_DIRECTORY
from streams.stored_file import stored_file
from tests.routers import EXPLICIT, Ct
from tests.stow import file_of, running_stow
from tests.waiting import wait_until


def studies(port: int) -> Studies:
    return Studies(f"http://127.0.0.1:{port}/studies")


def test_the_command_sends_a_folder_and_says_how_it_went(tmp_path: Path) -> None:
    with running_stow() as stow:
        (tmp_path / "image").write_bytes(file_of())
        (tmp_path / "directory").write_bytes(stored_file(MEDIA_DIRECTORY, "1.2.9", EXPLICIT, b""))
        (tmp_path / "text").write_bytes(b"hello")
        (tmp_path / "bare").write_bytes(Ct(instance="1.2.3.4.6").implicit_data_set())

        no_site = ("--config", str(tmp_path / "none.toml"))
        run = CliRunner().invoke(cli, ["send", str(tmp_path), "--stow", str(studies(stow.port)), "--json", *no_site])

        said = json.loads(run.stdout)
        assert run.exit_code == 3
        assert said["statuses"] == {"0000": 3, "0122": 1}
        assert [refused["file"] for refused in said["refused"]] == [str(tmp_path / "directory")]
        assert said["unsent"] == []
        assert said["p50_ms"] > 0


def test_by_either_way_the_same_objects_are_stored(tmp_path: Path) -> None:
    files = {"image": file_of(), "text": b"hello", "bare": Ct(instance="1.2.3.4.6").implicit_data_set()}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    with running_stow() as stow:
        assert stow.router.send(*items_of([tmp_path])).acknowledged == 3
        assert send_items(items_of([tmp_path]), studies(stow.port)).acknowledged == 3
        assert len(stow.router.originals()) == 3
        assert len(stow.router.received()) == 6


def test_it_tries_again_until_the_log_is_back() -> None:
    with running_stow() as stow, ThreadPoolExecutor(1) as pool:
        stow.router.log.away = True
        sending = pool.submit(send_items, [Ct().item()], studies(stow.port), retries=8)
        wait_until(lambda: "commit" in stow.router.health.failing(), "the first refusal")
        stow.router.log.away = False
        assert sending.result(timeout=120).statuses == {"0000": 1}


def test_many_at_once() -> None:
    with running_stow() as stow:
        items = [Ct(instance=f"1.2.3.4.{number}").item() for number in range(40)]
        assert send_items(items, studies(stow.port), associations=4).statuses == {"0000": 40}
        assert len(stow.router.originals()) == 40


def test_nobody_there_is_one_message_and_everything_is_in_the_result() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        result = send_items([Ct().item(), Ct().item()], studies(unused.getsockname()[1]), retries=0)
    assert [fault["reason"].partition(": ")[2] for fault in result.unsent] == [
        "nothing listens there, or the host name is not known"
    ] * 2


def test_a_wrong_address_of_the_right_server_is_said() -> None:
    with running_stow() as stow:
        result = send_items([Ct().item()], Studies(f"http://127.0.0.1:{stow.port}/dicom"), retries=0)
        assert result.unsent[0]["reason"] == "HTTP 404, and not a word of the object"


@contextmanager
def server_that_says(status: int, body: bytes) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"null", b'{"00081199": 7}', b'{"00081199": {"Value": []}}', b"<x/>"]
)
def test_an_answer_that_names_no_object_acknowledges_none(body: bytes) -> None:
    with server_that_says(200, body) as port:
        result = send_items([Ct().item()], studies(port), retries=0)
        assert result.acknowledged == 0
        assert len(result.unsent) == 1


def test_503_without_a_word_is_to_be_tried_again() -> None:
    with server_that_says(503, b"") as port:
        assert send_items([Ct().item()], studies(port), retries=0).statuses == {"A700": 1}


@pytest.mark.parametrize(
    "url", ["127.0.0.1:80", "ftp://a/studies", "http://", "http://a b/studies", "http://[::1/studies"]
)
def test_what_is_no_url_is_said(url: str, tmp_path: Path) -> None:
    run = CliRunner().invoke(cli, ["send", str(tmp_path), "--stow", url])
    assert run.exit_code != 0
    assert "--stow" in str(run.exception)


def test_two_destinations_are_one_too_many(tmp_path: Path) -> None:
    run = CliRunner().invoke(cli, ["send", str(tmp_path), "--stow", "http://a/studies", "--to", "A@b:1"])
    assert run.exit_code != 0
    assert "one of them" in str(run.exception)
