"""STOW-RS as a test talks it: by urllib3 as a client would, and by a bare socket as an attacker would."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import urllib3

from producers.dicom_router.stow.config import Settings
from streams.stored_file import stored_file
from tests.routers import EXPLICIT, Ct, Router, running_router

BOUNDARY = "a boundary of 'parts'"
MULTIPART = f'multipart/related; type="application/dicom"; boundary="{BOUNDARY}"'
DICOM_PART = "Content-Type: application/dicom\r\n\r\n"


def file_of(ct: Ct = Ct()) -> bytes:  # noqa: B008 - it is frozen
    return stored_file(ct.sop_class, ct.instance, EXPLICIT, ct.data_set())


def body_of(files: Iterable[bytes], head: str = DICOM_PART, boundary: str = BOUNDARY) -> bytes:
    parts = b"".join(f"\r\n--{boundary}\r\n{head}".encode() + file for file in files)
    return parts + f"\r\n--{boundary}--\r\n".encode()


@dataclass
class StowAnswer:
    status: int
    headers: dict[str, str]
    body: bytes
    kept: list[str] = field(default_factory=list)
    failed: dict[str, int] = field(default_factory=dict)
    others: list[int] = field(default_factory=list)

    @property
    def text(self) -> str:
        return self.body.decode()

    @classmethod
    def of(cls, status: int, headers: dict[str, str], body: bytes) -> StowAnswer:
        found = cls(status, headers, body)
        if headers.get("content-type") == "application/dicom+json":
            said: dict[str, Any] = json.loads(body)
            found.kept = [uid(item) for item in said.get("00081199", {}).get("Value", [])]
            found.failed = {uid(item): reason(item) for item in said.get("00081198", {}).get("Value", [])}
            found.others = [reason(item) for item in said.get("0008119A", {}).get("Value", [])]
        return found


def uid(item: dict[str, Any]) -> str:
    assert item["00081150"]["Value"][0]
    return str(item["00081155"]["Value"][0])


def reason(item: dict[str, Any]) -> int:
    assert item["00081197"]["vr"] == "US"
    return int(item["00081197"]["Value"][0])


@dataclass
class Stow:
    router: Router
    port: int
    client: urllib3.PoolManager

    def post(self, body: bytes, path: str = "/studies", **headers: str) -> StowAnswer:
        """Header names with '_' for '-'."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        response = self.client.request(
            "POST",
            f"http://127.0.0.1:{self.port}{path}",
            body=body,
            headers={"Content-Type": MULTIPART, "Accept": "application/dicom+json", **named},
            retries=False,
            timeout=30.0,
        )
        return StowAnswer.of(response.status, {k.lower(): v for k, v in response.headers.items()}, response.data)

    def store(self, *files: bytes, path: str = "/studies") -> StowAnswer:
        return self.post(body_of(files), path)

    def close(self) -> None:
        """No more connections are taken."""
        assert self.router.doors.stow is not None
        self.router.doors.stow.close()

    def stop(self, timeout_s: float) -> None:
        assert self.router.doors.stow is not None
        self.router.doors.stow.stop(timeout_s)

    @contextmanager
    def raw(self) -> Iterator[socket.socket]:
        with socket.create_connection(("127.0.0.1", self.port), timeout=30.0) as connection:
            yield connection


@contextmanager
def running_stow(stow: dict[str, Any] | None = None, **router: Any) -> Iterator[Stow]:
    with (
        running_router(stow=Settings(**{"port": 0, **(stow or {})}), **router) as running,
        urllib3.PoolManager(maxsize=16) as client,
    ):
        assert running.doors.stow is not None
        yield Stow(running, running.doors.stow.port, client)


def request_head(length: int | None = None, *more: str, content_type: str = MULTIPART) -> bytes:
    """Of a request whose body the test sends itself."""
    framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    lines = ("POST /studies HTTP/1.1", "Host: archive", f"Content-Type: {content_type}", framing, *more)
    return "\r\n".join((*lines, "", "")).encode()


def answered(connection: socket.socket) -> StowAnswer:
    """What comes until the server closes, as one answer; status 0 where there is none."""
    came = bytearray()
    try:
        while piece := connection.recv(65536):
            came += piece
    except ConnectionError:
        pass
    head, _, body = bytes(came).partition(b"\r\n\r\n")
    if not head:
        return StowAnswer(0, {}, b"")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return StowAnswer.of(int(first.split()[1]), headers, body)
