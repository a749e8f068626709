"""A sender waits for what is large for as long as it takes, by either way."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest

from radstream import stow_scu
from radstream.stow_scu import Studies
from streams import store_scu
from streams.memory_store import MemoryStore
from streams.step import NewObject, Stored
from streams.store_scu import Lost, StoreScu
from tests.keepalive import asked_after_in_s
from tests.routers import CT, EXPLICIT, Ct, running_router
from tests.waiting import wait_until

IMAGE = Ct(pixels=bytes(8 << 20))
# An association is set up in it, too, on a busy machine.
PATIENCE_S = 5.0
DEADLINE_S = 180.0
STORED = b'{"00081199": {"vr": "SQ", "Value": [{}]}}'


class SlowStore(MemoryStore):
    """Takes no image before `gate` is open."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.gate = threading.Event(), threading.Event()

    def create(self, new: NewObject) -> Stored:
        if new.key.endswith(".dcm"):
            self.entered.set()
            self.gate.wait()
        return super().create(new)


def test_an_answer_is_waited_for_as_long_as_it_takes_to_write_what_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_scu, "WRITTEN_BYTES_PER_S_MIN", 1 << 18)
    store = SlowStore()
    with running_router(store, store) as router, ThreadPoolExecutor(1) as threads:
        scu = StoreScu(router.target, "SCANNER", [(CT, EXPLICIT)], answer_s_max=PATIENCE_S)
        sent = threads.submit(scu.store, CT, IMAGE.instance, EXPLICIT, IMAGE.data_set())
        assert store.entered.wait(DEADLINE_S)
        over = time.monotonic() + PATIENCE_S
        wait_until(lambda: time.monotonic() > over, "a small object's time to be over")
        store.gate.set()
        assert sent.result(DEADLINE_S) == 0
        scu.close()


def test_an_answer_to_what_is_small_is_not_waited_for_as_long() -> None:
    store = SlowStore()
    with running_router(store, store) as router:
        scu = StoreScu(router.target, "SCANNER", [(CT, EXPLICIT)], answer_s_max=PATIENCE_S)
        try:
            with pytest.raises(Lost):
                scu.store(CT, "1.2.3.4.5", EXPLICIT, Ct().data_set())
        finally:
            store.gate.set()
            scu.close()


@contextmanager
def slow_receiver(pause_s: float) -> Iterator[int]:
    """Takes a part of what is posted, then nothing for a while, and so on; its port."""
    stopping = threading.Event()

    def serve(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with closing(connection), connection.makefile("rb") as request:
            left = 0
            while (line := request.readline().strip()) != b"":
                name, _, value = line.partition(b":")
                left = int(value) if name.lower() == b"content-length" else left
            while left and (piece := request.read(min(left, 1 << 20))) and not stopping.wait(pause_s):
                left -= len(piece)
            if not left:
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(STORED), STORED))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        # What the kernel takes for a receiver would hide that it is slow.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        try:
            yield int(listening.getsockname()[1])
        finally:
            stopping.set()
            thread.join()


def test_what_is_posted_may_be_on_its_way_for_longer_than_a_receiver_may_take_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data_set = Ct(pixels=bytes(20 << 20)).data_set()
    monkeypatch.setattr(stow_scu, "_CONNECT_S_MAX", 6.0)
    with slow_receiver(pause_s=0.5) as port:
        sender = Studies(f"http://127.0.0.1:{port}/studies").open("SCANNER", [])
        assert sender.store(CT, "1.2.3.4.5", EXPLICIT, data_set) == 0
        sender.close()


@contextmanager
def silent_receiver() -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Takes a request and says nothing; its port, and the two ports of the connection once the request is there."""
    ended, ends = threading.Event(), list[tuple[int, int]]()

    def serve(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with closing(connection):
            while not connection.recv(1 << 20).endswith(b"--\r\n"):
                pass
            ends.append((connection.getpeername()[1], connection.getsockname()[1]))
            ended.wait(DEADLINE_S)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        try:
            yield int(listening.getsockname()[1]), ends
        finally:
            ended.set()
            thread.join()


def test_a_receiver_that_is_waited_for_is_asked_after_by_the_kernel() -> None:
    """By STOW-RS. One whose machine died says nothing more, and was waited for as long as a large object may take."""
    with ThreadPoolExecutor(1) as threads:
        with silent_receiver() as (port, ends):
            sender = Studies(f"http://127.0.0.1:{port}/studies").open("SCANNER", [])
            sent = threads.submit(sender.store, CT, "1.2.3.4.5", EXPLICIT, Ct().data_set())
            wait_until(lambda: ends and (asked_after_in_s(*ends[0]) or 99) <= 30, "the question after the receiver")
        with pytest.raises(Lost):
            sent.result(DEADLINE_S)
        sender.close()


def test_a_peer_that_is_waited_for_is_asked_after_by_the_kernel() -> None:
    """By C-STORE."""
    store = SlowStore()
    with running_router(store, store) as router, ThreadPoolExecutor(1) as threads:
        scu = StoreScu(router.target, "SCANNER", [(CT, EXPLICIT)])
        ends = scu._socket.getsockname()[1], router.target.port
        sent = threads.submit(scu.store, CT, "1.2.3.4.5", EXPLICIT, Ct().data_set())
        assert store.entered.wait(DEADLINE_S)
        try:
            wait_until(lambda: (asked_after_in_s(*ends) or 99) <= 30, "the question after the peer")
        finally:
            store.gate.set()
        assert sent.result(DEADLINE_S) == 0
        scu.close()
