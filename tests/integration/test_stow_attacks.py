"""STOW-RS by senders who are slow, endless, lying or gone: they end, the others go on, and what was kept is told."""

from __future__ import annotations

import gzip
import select
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest
import urllib3

from producers.dicom_router.stow.answer import Answer
from producers.dicom_router.stow.config import Settings
from producers.dicom_router.stow.connection import HEAD_BYTES_MAX, Connection
from producers.dicom_router.stow.parts import EPILOGUE_BYTES_MAX, PARTS_MAX, PREAMBLE_BYTES_MAX
from producers.dicom_router.stow.storing import STRANGE_PARTS_MAX
from streams.peers.exceptions import Excepted
from tests.routers import Ct
from tests.stow import BOUNDARY, Stow, StowAnswer, answered, body_of, file_of, request_head, running_stow
from tests.waiting import wait_until


def test_a_compressed_body_is_never_inflated() -> None:
    with running_stow() as stow:
        answer = stow.post(gzip.compress(bytes(10 << 20)), Content_Encoding="gzip")
        assert (answer.status, answer.headers["accept-encoding"]) == (415, "identity")


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b"", 0),
        (b"no boundary anywhere", 0),
        (b"x" * (PREAMBLE_BYTES_MAX + 1), 0),
        (f"--{BOUNDARY}--".encode(), 0),
        (body_of([file_of()])[:-8], 0),
        (body_of([file_of()], boundary="another"), 0),
        (body_of([file_of()]).rpartition(b"--")[0], 0),
        (f"--{BOUNDARY}\r\n{'X: y' * 2000}\r\n\r\n".encode(), 0),
        (f"--{BOUNDARY}\r\n".encode() + b"X: y\r\n" * 50 + b"\r\n", 0),
        (f"--{BOUNDARY}\r\nno colon\r\n\r\n".encode(), 0),
        (body_of([file_of(), file_of()])[:-8], 1),
    ],
)
def test_a_body_that_is_not_what_its_boundary_says(body: bytes, kept: int) -> None:
    with running_stow() as stow:
        answer = stow.post(body)
        assert answer.status == (202 if kept else 400)
        assert len(answer.kept) == len(stow.router.received()) == kept
        assert answer.others == [0x0110]
        assert "299" in answer.headers["warning"]
        assert stow.store(file_of()).status == 200


def test_a_boundary_that_is_in_the_pixels_but_for_the_end_is_pixels() -> None:
    pixels = f"\r\n--{BOUNDARY}x\r\n--{BOUNDARY[:-1]}\r\n\r\n--".encode() * 100
    with running_stow() as stow:
        assert stow.store(file_of(Ct(pixels=pixels))).status == 200
        (event,) = stow.router.received()
        assert pixels in stow.router.held.read(event.object)


def test_an_endless_epilogue_is_not_read_and_what_came_before_is_kept() -> None:
    with running_stow() as stow, stow.raw() as peer:
        body = body_of([file_of()]) + bytes(4 * EPILOGUE_BYTES_MAX)
        peer.sendall(request_head(1 << 40) + body)
        answer = answered(peer)
        assert (answer.status, answer.kept, answer.headers["connection"]) == (200, ["1.2.3.4.5"], "close")


def test_endless_parts_come_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producers.dicom_router.stow.parts.PARTS_MAX", 20)
    with running_stow() as stow:
        answer = stow.store(*[file_of()] * 30)
        assert (answer.status, len(answer.kept), answer.others) == (202, 20, [0x0110])
        assert PARTS_MAX > 5000


def test_a_request_of_parts_that_are_no_files_does_not_fill_the_log() -> None:
    with running_stow() as stow:
        answer = stow.store(file_of(), *[b"no DICOM"] * (2 * STRANGE_PARTS_MAX), file_of())
        assert (answer.status, len(answer.kept)) == (202, 1)
        assert len(stow.router.audited()) == STRANGE_PARTS_MAX


def test_a_body_in_a_great_many_chunks_of_a_byte_is_not_read_to_its_end() -> None:
    with running_stow() as stow, stow.raw() as peer:
        peer.sendall(request_head(None) + b"1\r\nx\r\n" * 30_000)
        answer = answered(peer)
        assert (answer.status, answer.headers["connection"]) == (400, "close")


@pytest.mark.parametrize(
    "begin",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"\x01\x00\x00\x00\x00\xcd",
        b"POST\r\n\r\n",
        b"POST /studies HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /studies HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /studies HTTP/1.1\r\n" + b"X: " + b"y" * (2 * HEAD_BYTES_MAX),
        b"POST /" + b"s" * (2 * HEAD_BYTES_MAX),
    ],
)
def test_a_peer_that_talks_no_http_is_told_so_and_harms_nobody(begin: bytes) -> None:
    with running_stow() as stow, stow.raw() as peer:
        peer.sendall(begin)
        peer.shutdown(socket.SHUT_WR)
        assert answered(peer).status in (0, 400, 431)
        assert stow.store(file_of()).status == 200


def test_a_head_that_comes_by_drops_is_not_waited_for_and_costs_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producers.dicom_router.stow.connection._HEAD_S_MAX", 3.0)
    with running_stow({"requests_max": 1, "requests_per_peer_max": 1}) as stow, stow.raw() as peer:
        peer.sendall(b"POST /studies HTTP/1.1\r\nX: ")
        assert stow.store(file_of()).status == 200
        assert answered(peer).status == 0


def test_a_body_that_comes_by_drops_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each drop is in time for itself: it is the rate that is too low."""
    monkeypatch.setattr("producers.dicom_router.stow.connection._BYTES_PER_S_MIN", 1 << 30)
    body = body_of([file_of(), file_of()])
    with running_stow({"idle_timeout_s": 2.0}) as stow, stow.raw() as peer:
        peer.sendall(request_head(len(body)) + body[:-30])
        answer = dripped(peer)
        assert (answer.status, answer.kept, answer.others) == (202, ["1.2.3.4.5"], [0x0110])


def dripped(peer: socket.socket) -> StowAnswer:
    """Sends a byte each tenth of a second until there is an answer."""
    peer.settimeout(0.1)
    came = b""
    while not came:
        try:
            came = peer.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            peer.sendall(b"x")
    peer.settimeout(30.0)
    peer.shutdown(socket.SHUT_WR)
    return answered(peer)


def test_a_request_is_answered_when_its_time_is_over_with_what_was_kept() -> None:
    body = body_of([file_of(), file_of()])
    with running_stow({"request_timeout_s": 3.0}) as stow, stow.raw() as peer:
        peer.sendall(request_head(len(body)) + body[:-30])
        answer = answered(peer)
        assert (answer.status, answer.kept) == (202, ["1.2.3.4.5"])
        assert "in time" in answer.headers["warning"]


def test_a_silent_sender_without_a_whole_part_gets_408() -> None:
    with running_stow({"idle_timeout_s": 1.0}) as stow, stow.raw() as peer:
        peer.sendall(request_head(1000))
        assert answered(peer).status == 408


def test_a_connection_cut_in_the_middle_leaves_what_was_whole() -> None:
    body = body_of([file_of(), file_of(Ct(instance="1.2.9"))])
    with running_stow() as stow:
        with stow.raw() as peer:
            peer.sendall(request_head(len(body)) + body[:-300])
        wait_until(stow.router.received, "the first part")
        assert stow.store(file_of(Ct(instance="1.2.10"))).status == 200
        assert {event.instance.sop_instance_uid for event in stow.router.received()} == {"1.2.3.4.5", "1.2.10"}


def test_room_for_objects_is_given_back_however_a_request_ends() -> None:
    large = body_of([file_of(Ct(pixels=bytes(3 << 20)))])
    room = {"objects_memory_bytes_max": 0, "objects_disk_bytes_max": 5 << 20, "object_bytes_max": 4 << 20}
    with running_stow(**room) as stow:
        for _ in range(4):
            with stow.raw() as peer:
                peer.sendall(request_head(len(large)) + large[:-300])
            assert stow.post(large[:-300]).status == 400
            too_large = file_of(Ct(pixels=bytes(5 << 20)))
            wait_until(lambda: stow.store(too_large).status == 413, "the room that the cut request had")  # noqa: B023
            assert stow.post(large, path="/studies/1.9").status == 409
            assert stow.post(large).status == 200


def test_without_room_for_an_object_the_sender_is_told_to_come_again() -> None:
    with running_stow(objects_memory_bytes_max=0, objects_disk_bytes_max=1 << 20) as stow:
        answer = stow.store(file_of(Ct(pixels=bytes(3 << 20))), file_of())
        assert (answer.status, answer.kept, answer.failed) == (202, ["1.2.3.4.5"], {"1.2.3.4.5": 0xA700})
        assert stow.store(file_of(Ct(pixels=bytes(3 << 20)))).status == 503


def test_more_requests_than_the_limit_are_told_to_come_again() -> None:
    body = body_of([file_of()])
    with running_stow({"requests_max": 2, "requests_per_peer_max": 1}) as stow, stow.raw() as peer:
        peer.sendall(request_head(len(body), "Expect: 100-continue", "Connection: close"))
        assert b" 100 " in peer.recv(100)
        refused = stow.store(file_of())
        assert refused.status == 503
        assert "retry-after" in refused.headers
        peer.sendall(body)
        assert answered(peer).kept == ["1.2.3.4.5"]
        wait_until(lambda: is_taken(stow), "room for another")


def is_taken(stow: Stow) -> bool:
    """Whether a request is; its connection is closed where those that were answered have not left yet."""
    try:
        return stow.store(file_of()).status == 200
    except urllib3.exceptions.ProtocolError:
        return False


def test_more_connections_than_the_limit_are_closed_and_the_others_go_on() -> None:
    with running_stow({"requests_max": 1, "requests_per_peer_max": 1}) as stow:
        with stow.raw() as first, stow.raw() as second, stow.raw() as third:
            assert answered(third).status == 0
            for peer in (first, second):
                peer.sendall(request_head(3) + b"abc")
                assert peer.recv(9) == b"HTTP/1.1 "
        wait_until(lambda: is_taken(stow), "room for another")


def test_who_comes_while_there_is_no_thread_keeps_no_place_and_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for them to read what they are told, who are told nothing."""
    really = threading.Thread.start

    def none_left(thread: threading.Thread) -> None:
        if thread.name == "stow-request":
            raise RuntimeError("can't start new thread")
        really(thread)

    with running_stow() as stow:
        with monkeypatch.context() as patched, ExitStack() as open_ones:
            patched.setattr(threading.Thread, "start", none_left)
            silent = [open_ones.enter_context(stow.raw()) for _ in range(40)]
            closed: set[int] = set()

            def all_closed() -> bool:
                closed.update(peer.fileno() for peer in select.select(silent, [], [], 0.0)[0])
                return len(closed) == len(silent)

            wait_until(all_closed, "all to be let go")
        assert stow.store(file_of()).status == 200


def test_stopping_lets_a_request_in_hand_come_to_its_end() -> None:
    body = body_of([file_of()])
    with running_stow() as stow, ThreadPoolExecutor(1) as pool, stow.raw() as peer:
        peer.sendall(request_head(len(body), "Expect: 100-continue"))
        assert b" 100 " in peer.recv(100)
        stopping = pool.submit(stow.stop, 30.0)
        wait_until(lambda: refuses(stow.port), "the listener to stop")
        peer.sendall(body)
        answer = answered(peer)
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        stopping.result(timeout=120)


def test_who_was_told_that_it_may_ask_on_is_answered_by_a_router_that_hands_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was closed on where the router began to stop between its answer and the next request."""
    really, body = Connection.answer, body_of([file_of()])
    request = request_head(len(body)) + body

    def answer(self: Connection, answered: Answer, *, last: bool) -> bool:
        goes_on = really(self, answered, last=last)
        stow.close()
        return goes_on

    with running_stow() as stow, stow.raw() as peer:
        monkeypatch.setattr(Connection, "answer", answer)
        peer.sendall(request)
        assert peer.recv(12) == b"HTTP/1.1 200"
        wait_until(lambda: refuses(stow.port), "the listener to stop")
        peer.sendall(request)
        heard = b"".join(iter(lambda: peer.recv(65536), b""))
        assert heard.count(b"HTTP/1.1 200") == 1
        assert b"connection: close" in heard.lower()
        assert len(stow.router.received()) == 2


def refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5.0).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        return False  # It was just closing.
    return False


def test_stopping_cuts_who_does_not_come_to_an_end() -> None:
    with running_stow() as stow, stow.raw() as peer:
        peer.sendall(request_head(1000))
        stow.stop(0.2)
        assert refuses(stow.port)
        assert answered(peer).status in (0, 400)


def test_an_address_that_may_not_send_is_heard_out_by_nobody() -> None:
    with running_stow({"addresses": ("127.0.0.2/32", "10.20.0.0/16")}) as stow, stow.raw() as stranger:
        stranger.sendall(request_head(10) + b"0123456789")
        assert answered(stranger).status == 0
        with socket.create_connection(("127.0.0.1", stow.port), timeout=30.0, source_address=("127.0.0.2", 0)) as known:
            known.sendall(request_head(10) + b"0123456789")
            assert answered(known).status == 400


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1"])
def test_an_exception_from_tls_lets_its_address_send_until_its_day_is_over(address: str) -> None:
    """As loopback is all that a test has, it is that what the exception is for."""
    today = datetime.now(UTC).date()
    exception = Excepted(address=address, until=today)
    body = body_of([file_of()])
    whole = request_head(len(body)) + body
    with running_stow({"addresses": ("127.0.0.2/32",), "plain": (exception,)}) as stow:
        with stow.raw() as known:
            known.sendall(request_head(10) + b"0123456789")
            assert answered(known).status == 400
        with stow.raw() as kept_open:
            kept_open.sendall(whole)
            assert kept_open.recv(12) == b"HTTP/1.1 200"
            stow.router.clock.ahead_s = 86_400.0
            kept_open.sendall(whole)
            heard = b"".join(iter(lambda: kept_open.recv(65536), b""))
            assert b"HTTP/1.1" not in heard, "who is connected already is not heard out either"
            assert len(stow.router.received()) == 1
        with stow.raw() as ended:
            ended.sendall(request_head(10) + b"0123456789")
            assert answered(ended).status == 0


def test_addresses_that_are_none_are_a_mistake_in_the_configuration() -> None:
    with pytest.raises(ValueError, match="is no address and no network"):
        Settings(port=0, addresses=("10.20.0.300",))
