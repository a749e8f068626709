"""A large object is put for as long as its bytes need; who takes none of a small one is away."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import timedelta
from typing import BinaryIO

import pytest

from streams import s3_clients
from streams.config import Store
from streams.objects import StoreAway
from streams.s3 import S3Store
from streams.step import NewObject

PIECE_BYTES, PIECES, PACE_S = 1 << 20, 8, 0.2
CREATED = b'HTTP/1.1 200 OK\r\netag: "x"\r\ncontent-length: 0\r\n\r\n'


class SlowStore:
    """Takes a piece of what is put, then nothing for PACE_S, and so on."""

    def __init__(self) -> None:
        self.taken = 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with closing(connection), suppress(OSError), connection.makefile("rb") as request:
                left = _body_bytes(request)
                while left and not self._stopping.wait(PACE_S):
                    piece = request.read(min(PIECE_BYTES, left))
                    if not piece:
                        break
                    left -= len(piece)
                    self.taken += len(piece)
                if not left:
                    connection.sendall(CREATED)


def _body_bytes(request: BinaryIO) -> int:
    found = 0
    while (line := request.readline().strip()) != b"":
        name, _, value = line.partition(b":")
        found = int(value) if name.lower() == b"content-length" else found
    return found


@pytest.fixture
def slow() -> Iterator[SlowStore]:
    made = SlowStore()
    yield made
    made.stop()


@pytest.fixture
def store(slow: SlowStore, monkeypatch: pytest.MonkeyPatch) -> S3Store:
    """Impatient, and what is large begins soon."""
    monkeypatch.setattr(s3_clients, "READ_TIMEOUT", timedelta(seconds=PIECES * PACE_S / 2))
    monkeypatch.setattr(s3_clients, "PROMPT_BYTES", PIECE_BYTES * PIECES // 2)
    monkeypatch.setattr(s3_clients, "PUT_BYTES_PER_S_MIN", 1 << 18)
    endpoint = f"http://127.0.0.1:{slow.socket.getsockname()[1]}"
    return S3Store(Store(endpoint=endpoint, access_key="a", secret_key="s", buckets={"hot": "hot"}))


def test_a_large_object_may_be_on_its_way_for_longer_than_a_store_may_be_silent(
    store: S3Store, slow: SlowStore
) -> None:
    data = bytes(PIECE_BYTES * PIECES)
    assert store.create(NewObject("t", "hot", "large", data, "ab" * 32)).created
    assert slow.taken == len(data)


def test_a_small_object_is_not_waited_for_as_long(
    store: S3Store, slow: SlowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_clients, "PROMPT_BYTES", PIECE_BYTES * PIECES)
    with pytest.raises(StoreAway):
        store.create(NewObject("t", "hot", "small", bytes(PIECE_BYTES * PIECES), "ab" * 32))


@pytest.mark.parametrize("size", [0, 64 << 20, (64 << 20) + 1, 1 << 30, (4 << 30) + 512, 5 << 30])
def test_there_is_time_for_all_of_it_at_the_slowest_rate(size: int) -> None:
    most = s3_clients.waited_for(size)
    assert most == 0 if size <= s3_clients.PROMPT_BYTES else size <= most <= min(4 * size, s3_clients.PUT_BYTES_MAX)
