"""Readers: HTTP requests one after the other on a connection of their own, timed to the last byte."""

from __future__ import annotations

import hashlib
import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

_TIMEOUT_S: Final = 120.0
_PIECE_BYTES: Final = 1 << 18


@dataclass(frozen=True)
class Asked:
    """`check` says whether the body is what is stored; a request without one is right with any body."""

    path: str
    accept: str
    check: Callable[[bytes, str], bool] | None = None


@dataclass
class Answered:
    """`seconds` of each request that was answered with 200."""

    seconds: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    bytes: int = 0

    def add(self, other: Answered) -> None:
        self.seconds += other.seconds
        self.failures += other.failures
        self.wrong += other.wrong
        self.bytes += other.bytes


def read(root: str, requests: Sequence[Asked], readers: int = 1) -> Answered:
    """All requests, shared out among so many readers at once."""
    parts = [requests[number::readers] for number in range(readers)]
    found = [Answered() for _ in parts]
    threads = [
        threading.Thread(target=_reader, args=(root, part, answered))
        for part, answered in zip(parts, found, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole = Answered()
    for one in found:
        whole.add(one)
    return whole


def _reader(root: str, requests: Sequence[Asked], answered: Answered) -> None:
    url = urlsplit(root)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=_TIMEOUT_S)
    try:
        for asked in requests:
            _one(connection, url.path, asked, answered)
    finally:
        connection.close()


def _one(connection: http.client.HTTPConnection, prefix: str, asked: Asked, answered: Answered) -> None:
    began = time.perf_counter()
    try:
        connection.request("GET", prefix + asked.path, headers=_headers(asked))
        response = connection.getresponse()
        body = b"".join(iter(lambda: response.read(_PIECE_BYTES), b""))
    except (OSError, http.client.HTTPException) as error:
        answered.failures[type(error).__name__] += 1
        connection.close()
        return
    seconds = time.perf_counter() - began
    if response.status != 200:
        answered.failures[f"{response.status}"] += 1
        return
    answered.seconds.append(seconds)
    answered.bytes += len(body)
    if asked.check is not None and not asked.check(body, response.headers.get("content-type", "")):
        answered.wrong += 1


def _headers(asked: Asked) -> Mapping[str, str]:
    return {"accept": asked.accept}


def is_frame(sha256: str) -> Callable[[bytes, str], bool]:
    """Whether a body holds the frame of this SHA-256 (hex), alone or as the one part of a multipart body."""

    def check(body: bytes, content_type: str) -> bool:
        if content_type.startswith("multipart/"):
            body = body.partition(b"\r\n\r\n")[2].rpartition(b"\r\n--")[0]
        return hashlib.sha256(body).hexdigest() == sha256

    return check
