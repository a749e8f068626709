"""STOW-RS by HTTP: what is acknowledged is kept, what fails says why, and who attacks harms nobody."""

from __future__ import annotations

import gzip
import hashlib
import socket
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from producers.dicom_router.arrival import MEDIA_DIRECTORY
from producers.dicom_router.data_set import Room
from producers.dicom_router.incoming_file import Door
from producers.dicom_router.object_buffer import Budget, BufferPool
from producers.dicom_router.spool.config import Settings as SpoolSettings
from producers.dicom_router.stow.config import Settings as StowSettings
from producers.dicom_router.stow.connection import HEAD_BYTES_MAX
from producers.dicom_router.stow.listening import StowListener
from producers.dicom_router.stow.parts import EPILOGUE_BYTES_MAX, PARTS_MAX, PREAMBLE_BYTES_MAX
from producers.dicom_router.stow.storing import STRANGE_PARTS_MAX
from streams.config import ConfigError
from streams.memory_store import MemoryStore
from streams.objects import StoreAway
from streams.part10 import EXPLICIT_VR_BIG_ENDIAN
from streams.step import NewObject, Stored
from streams.stored_file import stored_file
from tests.routers import CT, EXPLICIT, IMPLICIT, Ct, explicit
from tests.stow import BOUNDARY, MULTIPART, StowAnswer, answered, body_of, file_of, request_head, running_stow
from tests.waiting import wait_until

DEFLATED = "1.2.840.10008.1.2.1.99"


class AwayStore(MemoryStore):
    away = True

    def create(self, new: NewObject) -> Stored:
        if self.away:
            raise StoreAway("the store is away")
        return super().create(new)


def test_a_file_is_kept_as_a_c_store_would_keep_it() -> None:
    with running_stow(lanes={"STOW-RS": "bulk"}) as stow:
        answer = stow.store(file_of())
        assert (answer.status, answer.kept, answer.failed) == (200, ["1.2.3.4.5"], {})
        assert answer.headers["content-type"] == "application/dicom+json"
        (event,) = stow.router.received("imaging.instance.received.bulk")
        kept = stored_file(CT, "1.2.3.4.5", EXPLICIT, Ct().data_set())
        assert stow.router.held.read(event.object) == kept
        assert event.instance.digest == hashlib.sha256(kept).hexdigest()
        source = event.source
        assert (source.protocol, source.calling_ae, source.called_ae) == ("STOW-RS", "STOW-RS", "RADSTREAM")


def test_by_either_door_the_same_instance_is_stored_once() -> None:
    with running_stow() as stow:
        assert stow.router.send(Ct().item()).acknowledged == 1
        assert stow.store(file_of(), file_of()).kept == ["1.2.3.4.5", "1.2.3.4.5"]
        assert len(stow.router.originals()) == 1
        assert len({event.meta.event_id for event in stow.router.received()}) == 1
        assert len(stow.router.received()) == 3


def test_many_parts_and_many_requests_on_one_connection() -> None:
    with running_stow() as stow:
        for number in range(3):
            files = [file_of(Ct(instance=f"1.2.3.{number}.{part}")) for part in range(20)]
            assert len(stow.store(*files).kept) == 20
        assert len(stow.router.originals()) == 60


def test_a_preamble_with_something_in_it_and_private_file_meta_are_left_behind() -> None:
    private = explicit(0x00020100, b"UI", b"1.2.826.0.1") + explicit(0x00020102, b"OB", bytes(70_000))
    meta = explicit(0x00020010, b"UI", EXPLICIT.encode()) + private
    file = b"II*\0" + bytes(124) + b"DICM" + meta + Ct().data_set()
    with running_stow() as stow:
        assert stow.store(file).status == 200
        (event,) = stow.router.received()
        assert stow.router.held.read(event.object) == file_of()


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT_VR_BIG_ENDIAN, DEFLATED])
def test_the_data_set_stays_in_the_transfer_syntax_that_its_header_names(syntax: str) -> None:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    data = {
        IMPLICIT: Ct().implicit_data_set(),
        EXPLICIT_VR_BIG_ENDIAN: b"".join(explicit(tag, vr, value, ">") for tag, vr, value in Ct().elements()),
        DEFLATED: deflater.compress(Ct().data_set()) + deflater.flush(),
    }[syntax]
    with running_stow() as stow:
        assert stow.store(stored_file(CT, "1.2.3.4.5", syntax, data)).kept == ["1.2.3.4.5"]
        (event,) = stow.router.received()
        assert event.instance.transfer_syntax_uid == syntax
        assert event.instance.study_uid == "1.2.3"
        assert stow.router.held.read(event.object).endswith(data)


def test_the_study_of_the_path_has_to_be_that_of_the_instance() -> None:
    with running_stow() as stow:
        assert stow.store(file_of(), path="/studies/1.2.3").status == 200
        answer = stow.store(file_of(Ct(study="1.2.9", instance="1.2.9.1")), path="/studies/1.2.3")
        assert (answer.status, answer.failed) == (409, {"1.2.9.1": 0xA901})
        both = stow.store(file_of(), file_of(Ct(study="1.2.9", instance="1.2.9.1")), path="/studies/1.2.3")
        assert (both.status, both.kept, both.failed) == (202, ["1.2.3.4.5"], {"1.2.9.1": 0xA901})
        assert len(stow.router.originals()) == 1
        assert {event.action for event in stow.router.audited()} == {"stow-rs.refused"}


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"hello",
        bytes(128) + b"DICM",
        bytes(128) + b"DICM" + b"\xff" * 400,
        bytes(128) + b"DICM" + explicit(0x00020010, b"UI", EXPLICIT.encode()),
        b"\x08\x00\x05\x00CS\xff\xff",
    ],
)
def test_what_is_no_dicom_file_fails_alone_with_a_reason(file: bytes) -> None:
    with running_stow() as stow:
        answer = stow.store(file)
        assert (answer.status, answer.kept, answer.failed, answer.others) == (409, [], {}, [0xC000])
        mixed = stow.store(file_of(), file, file_of())
        assert (mixed.status, mixed.kept, mixed.others) == (202, ["1.2.3.4.5"] * 2, [0xC000])
        assert len(stow.router.audited()) == 2


def test_a_broken_data_set_whose_header_names_it_is_kept_for_validation_to_judge() -> None:
    with running_stow() as stow:
        answer = stow.store(stored_file(CT, "1.2.9", EXPLICIT, b"\xff" * 500))
        assert (answer.status, answer.kept) == (200, ["1.2.9"])
        assert stow.router.originals()[0].startswith("t/unkeyed/")


def test_a_media_directory_is_refused() -> None:
    with running_stow() as stow:
        answer = stow.store(stored_file(MEDIA_DIRECTORY, "1.2.9", EXPLICIT, b""))
        assert (answer.status, answer.failed) == (409, {"1.2.9": 0x0122})


def test_a_file_over_the_ceiling_fails_and_the_others_are_kept() -> None:
    large = file_of(Ct(instance="1.2.9", pixels=bytes(3 << 20)))
    with running_stow(object_bytes_max=1 << 20) as stow:
        alone = stow.store(large)
        assert (alone.status, alone.failed) == (413, {"1.2.9": 0xA701})
        mixed = stow.store(large, file_of(), large)
        assert (mixed.status, mixed.kept, mixed.failed) == (202, ["1.2.3.4.5"], {"1.2.9": 0xA701})


def test_store_away_means_503_and_when_to_come_again() -> None:
    store = AwayStore()
    with running_stow(store=store, held=store) as stow:
        answer = stow.store(file_of(Ct(name="")))
        assert (answer.status, answer.failed) == (503, {"1.2.3.4.5": 0xA700})
        assert int(answer.headers["retry-after"]) > 0
        store.away = False
        assert stow.store(file_of(Ct(name=""))).status == 200


def test_log_away_means_503() -> None:
    with running_stow() as stow:
        stow.router.log.away = True
        assert stow.store(file_of()).status == 503
        stow.router.log.away = False
        assert stow.store(file_of()).status == 200


def test_a_refusal_that_cannot_be_audited_is_to_be_tried_again() -> None:
    with running_stow() as stow:
        stow.router.log.away = True
        assert stow.store(b"hello").status == 503


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content_Type": "application/dicom"}, 415),
        ({"Content_Type": "multipart/form-data; boundary=b"}, 415),
        ({"Content_Type": 'multipart/related; type="application/dicom+json"; boundary=b'}, 415),
        ({"Content_Type": 'multipart/related; type="application/dicom+xml"; boundary=b'}, 415),
        ({"Content_Type": "multipart/mixed; boundary=b"}, 415),
        ({"Content_Type": ""}, 415),
        ({"Content_Type": "\xff;;=;"}, 415),
        ({"Content_Type": 'multipart/related; type="application/dicom"'}, 400),
        ({"Content_Type": 'multipart/related; type="application/dicom"; boundary=""'}, 400),
        ({"Content_Type": f'multipart/related; type="application/dicom"; boundary="{"b" * 71}"'}, 400),
        ({"Content_Encoding": "gzip"}, 415),
        ({"Accept": "application/dicom+xml"}, 406),
        ({"Accept": "application/dicom+json;q=0"}, 406),
        ({"Accept": "text/html, application/json;q=0.1"}, 200),
        ({"Accept": "*/*"}, 200),
    ],
)
def test_the_head_alone_decides_with_a_sentence(headers: dict[str, str], status: int) -> None:
    with running_stow() as stow:
        answer = stow.post(body_of([file_of()]), **headers)
        assert answer.status == status
        if status != 200:
            assert answer.text.endswith(".\n")
            assert stow.router.received() == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 404),
        ("/studies/", 400),
        ("/studies/abc", 400),
        (f"/studies/{'1' * 65}", 400),
        ("/studies/1.2/series", 404),
        ("/studies/../etc", 404),
        ("/studies?purpose=test", 200),
    ],
)
def test_paths(path: str, status: int) -> None:
    with running_stow() as stow:
        assert stow.store(file_of(), path=path).status == status


def test_other_methods_are_told_which_one_there_is() -> None:
    with running_stow() as stow:
        response = stow.client.request("GET", f"http://127.0.0.1:{stow.port}/studies", retries=False)
        assert (response.status, response.headers["Allow"]) == (405, "POST")


def test_a_compressed_body_is_never_inflated() -> None:
    with running_stow() as stow:
        assert stow.post(gzip.compress(bytes(10 << 20)), Content_Encoding="gzip").status == 415


@pytest.mark.parametrize(
    "head",
    [
        "Content-Type: multipart/related; boundary=inner\r\n\r\n",
        "Content-Type: application/dicom+json\r\n\r\n",
        "Content-Type: application/dicom\r\nContent-Transfer-Encoding: base64\r\n\r\n",
    ],
)
def test_parts_of_another_kind_fail_and_say_so(head: str) -> None:
    with running_stow() as stow:
        inner = b"--inner\r\nContent-Type: application/dicom\r\n\r\nhello\r\n--inner--\r\n"
        answer = stow.post(body_of([inner], head=head))
        assert (answer.status, answer.others) == (409, [0xC000])
        assert stow.router.received() == []
        assert len(stow.router.audited()) == 1


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


def test_preamble_and_epilogue_are_passed_over() -> None:
    with running_stow() as stow:
        body = b"This is a message in\r\nseveral parts.\r\n" + body_of([file_of()]) + b"and that was that"
        assert stow.post(body).kept == ["1.2.3.4.5"]


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


def test_the_body_may_come_in_chunks_of_any_size() -> None:
    body = body_of([file_of(), file_of(Ct(instance="1.2.9"))])
    with running_stow() as stow, stow.raw() as peer:
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in cut(body, 7))
        peer.sendall(request_head(None, "Connection: close") + chunks + b"0\r\n\r\n")
        answer = answered(peer)
        assert (answer.status, answer.kept) == (200, ["1.2.3.4.5", "1.2.9"])


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def test_a_client_that_asks_first_is_told_to_go_on() -> None:
    body = body_of([file_of()])
    with running_stow() as stow, stow.raw() as peer:
        peer.sendall(request_head(len(body), "Expect: 100-continue", "Connection: close"))
        assert peer.recv(12) == b"HTTP/1.1 100"
        peer.sendall(body)
        assert b" 200 " in all_of(peer)


def test_a_client_that_asks_first_with_the_wrong_thing_sends_no_body() -> None:
    with running_stow() as stow, stow.raw() as peer:
        peer.sendall(request_head(1 << 30, "Expect: 100-continue", content_type="text/plain"))
        assert peer.recv(12) == b"HTTP/1.1 415"


def all_of(peer: socket.socket) -> bytes:
    return b"".join(iter(lambda: peer.recv(65536), b""))


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
    monkeypatch.setattr("producers.dicom_router.stow.connection._HEAD_S_MAX", 0.5)
    with running_stow({"requests_max": 1, "requests_per_peer_max": 1}) as stow, stow.raw() as peer:
        peer.sendall(b"POST /studies HTTP/1.1\r\nX: ")
        assert stow.store(file_of()).status == 200
        assert answered(peer).status == 0


def test_a_body_that_comes_by_drops_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each drop is in time for itself: it is the rate that is too low."""
    monkeypatch.setattr("producers.dicom_router.stow.connection._BYTES_PER_S_MIN", 1 << 30)
    body = body_of([file_of(), file_of()])
    with running_stow({"idle_timeout_s": 0.5}) as stow, stow.raw() as peer:
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
    with running_stow({"request_timeout_s": 0.5}) as stow, stow.raw() as peer:
        peer.sendall(request_head(len(body)) + body[:-30])
        answer = answered(peer)
        assert (answer.status, answer.kept) == (202, ["1.2.3.4.5"])
        assert "in time" in answer.headers["warning"]


def test_a_silent_sender_without_a_whole_part_gets_408() -> None:
    with running_stow({"idle_timeout_s": 0.3}) as stow, stow.raw() as peer:
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
            assert stow.store(file_of(Ct(pixels=bytes(5 << 20)))).status == 413
            assert stow.post(large, path="/studies/1.9").status == 409
            wait_until(lambda: stow.post(large).status == 200, "the room that the cut request had")


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
        assert stow.store(file_of()).status == 200


def test_more_connections_than_the_limit_are_closed_and_the_others_go_on() -> None:
    with running_stow({"requests_max": 1, "requests_per_peer_max": 1}) as stow:
        with stow.raw() as first, stow.raw() as second, stow.raw() as third:
            assert answered(third).status == 0
            for peer in (first, second):
                peer.sendall(request_head(3) + b"abc")
                assert peer.recv(9) == b"HTTP/1.1 "
        wait_until(lambda: stow.store(file_of()).status == 200, "room for another")


def test_many_at_once_lose_nothing() -> None:
    def one(number: int) -> int:
        return len(stow.store(*(file_of(Ct(instance=f"1.2.{number}.{part}")) for part in range(10))).kept)

    with running_stow() as stow, ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(one, range(16))) == 160
        assert len(stow.router.originals()) == len(stow.router.received()) == 160


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
        stopping.result(timeout=30)


def refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5.0).close()
    except ConnectionRefusedError:
        return True
    return False


def test_stopping_cuts_who_does_not_come_to_an_end() -> None:
    with running_stow() as stow, stow.raw() as peer:
        peer.sendall(request_head(1000))
        stow.stop(0.2)
        assert refuses(stow.port)
        assert answered(peer).status in (0, 400)


def test_a_port_in_use_is_one_clear_message() -> None:
    door = Door("STOW-RS", "A", "B", Room(1, BufferPool(Budget(0)), Budget(0)))
    with running_stow() as stow, pytest.raises(ConfigError, match=r"\[router.stow\].*set another port"):
        StowListener(StowSettings(port=stow.port), door, lambda _: 0)


def test_no_patient_data_is_in_events_or_answers() -> None:
    with running_stow() as stow:
        answer = stow.store(file_of(), b"Doe^Jane", stored_file(MEDIA_DIRECTORY, "1.2.9", EXPLICIT, Ct().data_set()))
        text = answer.text + str(stow.router.events()) + str(stow.router.audited()) + str(answer.headers)
        assert not [word for word in ("Doe", "Jane", "MRN-4711", "Chest", "Lung") if word in text]


def test_the_answer_is_the_dicom_json_model() -> None:
    with running_stow() as stow:
        said: dict[str, Any] = stow.client.request(
            "POST",
            f"http://127.0.0.1:{stow.port}/studies",
            body=body_of([file_of(), b"?"]),
            headers={"Content-Type": MULTIPART},
        ).json()
        assert said == {
            "00081190": {"vr": "UR"},
            "00081199": {
                "vr": "SQ",
                "Value": [
                    {
                        "00081150": {"vr": "UI", "Value": [CT]},
                        "00081155": {"vr": "UI", "Value": ["1.2.3.4.5"]},
                        "00081190": {"vr": "UR"},
                    }
                ],
            },
            "0008119A": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [0xC000]}}]},
        }


def test_what_came_by_another_door_and_waited_on_the_spool_says_so(tmp_path: Path) -> None:
    store = AwayStore()
    spool = SpoolSettings(folder=tmp_path, patience_s=0.2)
    with running_stow(store=store, held=store, spool=spool) as stow:
        assert stow.store(file_of(Ct(name=""))).status == 200
        assert stow.router.received() == []
        store.away = False
        (event,) = wait_until(stow.router.received, "the spool to be drained")
        assert (event.source.protocol, event.source.calling_ae) == ("STOW-RS", "STOW-RS")
