"""Peers that stall, flood and lie, while a good one is answered all the time."""

from __future__ import annotations

import io
import re
import resource
import shutil
import stat
import struct
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from producers.dicom_router.spool.config import Settings as Spool
from producers.dicom_router.upper_layer.pdu import PDU_BYTES_MAX
from streams.config import ConfigError
from tests.power import mounted
from tests.raw_peer import (
    RELEASE_RP,
    RELEASE_RQ,
    RawPeer,
    associate_rq,
    command,
    context_item,
    echo_rq,
    element,
    item,
    p_data,
    pdu,
    pdv,
    short,
    status_of,
    store_rq,
)
from tests.routers import CT, Ct, Router, running_router
from tests.waiting import wait_until

OTHER = "127.0.0.2"
MIB = 1 << 20
# Of a router that ends what takes longer: whoever is good is to be in time on a busy machine, too.
PATIENCE_S = 3.0


def echo(peer: RawPeer) -> int:
    peer.send(p_data(pdv(echo_rq(), command=True, context=3)))
    answer = peer.read()
    assert answer is not None, "the connection was closed"
    return status_of(answer)


@contextmanager
def answered_all_the_while(router: Router) -> Iterator[None]:
    """A good peer opens associations and asks C-ECHO until the block ends; each is answered."""
    going, answers = [True], 0

    def ask() -> int:
        nonlocal answers
        while going:
            with RawPeer(router.target, OTHER).associated() as good:
                assert echo(good) == 0
                good.send(RELEASE_RQ)
                assert good.read() is not None
            answers += 1
        return answers

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        wait_until(lambda: answers or asking.done(), "the first answer")
        try:
            yield
            before = answers
            wait_until(lambda: answers > before or asking.done(), "an answer after it all")
        finally:
            going.clear()
        assert asking.result(timeout=120)


def test_a_connection_that_says_nothing_is_closed_at_its_deadline() -> None:
    with (
        running_router(set_up_timeout_s=PATIENCE_S) as router,
        answered_all_the_while(router),
        RawPeer(router.target) as peer,
    ):
        assert peer.is_closed()


def test_a_byte_now_and_then_does_not_move_the_deadline_of_set_up() -> None:
    with running_router(set_up_timeout_s=0.8) as router, RawPeer(router.target) as peer:
        request = iter(associate_rq())

        def closed() -> bool:
            try:
                peer.send(bytes((next(request),)))
            except OSError:
                return True
            return False

        wait_until(closed, "the connection to be cut")
        assert next(request, None) is not None, "the whole request went through first"


def test_a_silent_association_is_aborted_and_a_slow_answer_is_not_silence() -> None:
    with running_router(idle_timeout_s=0.5) as router, RawPeer(router.target).associated() as peer:
        assert peer.aborted() == (2, 0)


def test_an_object_that_stops_coming_ends_its_association() -> None:
    with running_router(idle_timeout_s=PATIENCE_S) as router, answered_all_the_while(router):
        with RawPeer(router.target).associated() as peer:
            peer.send(p_data(pdv(store_rq(), command=True)) + p_data(pdv(bytes(5000), last=False)))
            assert peer.aborted() == (2, 0)
        assert router.received() == []


def test_an_object_that_comes_by_drops_ends_its_association() -> None:
    slow = {"idle_timeout_s": 0.6, "message_bytes_per_s_min": 1000}
    with running_router(**slow) as router, RawPeer(router.target).associated() as peer:
        peer.send(p_data(pdv(store_rq(), command=True)))

        def cut() -> bool:
            try:
                peer.send(p_data(pdv(b"\0", last=False)))
            except OSError:
                return True
            return False

        wait_until(cut, "the association to be cut")


def test_at_the_end_of_its_time_an_association_is_asked_to_release() -> None:
    with running_router(association_timeout_s=PATIENCE_S) as router, RawPeer(router.target).associated() as peer:
        assert peer.read() == (5, bytes(4))
        peer.send(RELEASE_RP)
        assert peer.is_closed()


def test_a_release_that_collides_with_ours_is_answered_second() -> None:
    with running_router(association_timeout_s=PATIENCE_S) as router, RawPeer(router.target).associated() as peer:
        assert peer.read() == (5, bytes(4))
        # What crosses our request is let go: no response, so its sender keeps it.
        peer.send(p_data(pdv(store_rq(), command=True), pdv(Ct().data_set())) + RELEASE_RQ + RELEASE_RP)
        assert peer.read() == (6, bytes(4))
        assert peer.is_closed()
        assert router.received() == []


def test_who_does_not_answer_a_release_is_aborted() -> None:
    with running_router(association_timeout_s=PATIENCE_S) as router, RawPeer(router.target).associated() as peer:
        assert peer.read() == (5, bytes(4))
        assert peer.aborted() == (2, 0)


def test_a_router_that_stops_asks_idle_associations_to_release() -> None:
    with ExitStack() as stack:
        with running_router() as router:
            peer = stack.enter_context(RawPeer(router.target)).associated()
        assert peer.read() == (5, bytes(4))


def test_one_peer_cannot_take_the_room_of_the_others() -> None:
    with running_router(associations_max=4, associations_per_peer_max=2) as router, ExitStack() as stack:
        greedy = [stack.enter_context(RawPeer(router.target)) for _ in range(3)]
        for peer in greedy[:2]:
            peer.associated()
        greedy[2].send(associate_rq())
        # Rejected transient, by the service provider's presentation part: local limit exceeded.
        assert greedy[2].read() == (3, bytes((0, 2, 3, 2)))
        with RawPeer(router.target, OTHER).associated() as good:
            assert echo(good) == 0
        greedy[0].send(RELEASE_RQ)
        assert greedy[0].read() == (6, bytes(4))

        def room_again() -> bool:
            with RawPeer(router.target) as peer:
                peer.send(associate_rq())
                answer = peer.read()
                return answer is not None and answer.kind == 2

        wait_until(room_again, "the place that was given back")


def test_a_small_router_has_room_for_others_too_though_nothing_says_how_much_one_may_take() -> None:
    with running_router(associations_max=4) as router, ExitStack() as stack:
        greedy = [stack.enter_context(RawPeer(router.target)) for _ in range(4)]
        for peer in greedy[:3]:
            peer.associated()
        greedy[3].send(associate_rq())
        assert greedy[3].read() == (3, bytes((0, 2, 3, 2)))
        with RawPeer(router.target, OTHER).associated() as good:
            assert echo(good) == 0


def test_the_folder_for_large_objects_is_made_and_is_the_routers_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "not yet" / "there"
    # Where they would go that do not go there.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with running_router(objects_folder=folder, objects_memory_bytes_max=0) as router:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        large = Ct(pixels=bytes(2 << 20))
        assert router.send(large.item()).statuses == {"0000": 1}
    assert list(folder.iterdir()) == []


def test_large_objects_are_taken_again_once_a_disk_has_room_that_had_none_for_their_folder(tmp_path: Path) -> None:
    large = Ct(pixels=bytes(2 << 20))
    with mounted(tmp_path, 48 << 20) as disk:
        fillers = disk.fill_inodes()
        folder = disk.path / "spool" / "objects"
        with running_router(objects_folder=folder, objects_memory_bytes_max=0) as router:
            assert router.send(large.item()).statuses == {"A700": 1}
            shutil.rmtree(fillers)
            assert router.send(large.item()).statuses == {"0000": 1}
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def with_a_spool_that_leaves(free_bytes: int, folder: Path, objects: Path) -> AbstractContextManager[Router]:
    """No object has room in memory."""
    spool = Spool(folder=folder, free_bytes_min=free_bytes)
    return running_router(objects_folder=objects, objects_memory_bytes_max=0, spool=spool)


def test_large_objects_leave_of_the_spools_disk_what_the_spool_leaves_of_it(tmp_path: Path) -> None:
    large, spool, objects = Ct(pixels=bytes(2 << 20)), tmp_path / "spool", tmp_path / "objects"
    with with_a_spool_that_leaves(1 << 60, spool, objects) as router:
        assert router.send(large.item()).statuses == {"A700": 1}
        assert router.health.failing() == {}
        assert "twice [router.spool] free_bytes_min" in router.health.warnings()["room"]
        assert router.send(Ct().item()).statuses == {"0000": 1}
        router.clock.ahead_s = 61.0
        router.receiver.settle()
        assert router.health.warnings() == {}
    with with_a_spool_that_leaves(1, spool, objects) as router:
        assert router.send(large.item()).statuses == {"0000": 1}


def test_large_objects_may_have_a_disk_of_their_own(tmp_path: Path) -> None:
    large = Ct(pixels=bytes(2 << 20))
    with (
        mounted(tmp_path, 48 << 20) as disk,
        with_a_spool_that_leaves(1 << 60, tmp_path / "spool", disk.path / "objects") as router,
    ):
        assert router.send(large.item()).statuses == {"0000": 1}


def test_a_folder_for_large_objects_that_cannot_be_used_is_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with (
        pytest.raises(ConfigError, match=r"\[router\] objects_folder .*file cannot be used"),
        running_router(objects_folder=tmp_path / "file"),
    ):
        pass


def test_who_heard_that_an_association_is_released_finds_its_room() -> None:
    with running_router(associations_max=1) as router, RawPeer(router.target).associated() as first:
        first.send(RELEASE_RQ)
        assert first.read() == (6, bytes(4))
        # The first connection is still open.
        with RawPeer(router.target).associated() as second:
            assert echo(second) == 0


def test_more_connections_than_there_is_room_for_are_reset_at_once() -> None:
    # The good peer, which has as much room, may be back before the router is done with its connections of before.
    with running_router(associations_max=12, associations_per_peer_max=5) as router, ExitStack() as stack:
        silent = [stack.enter_context(RawPeer(router.target)) for _ in range(10)]
        # The reset may be there before the connection is.
        with suppress(ConnectionError), RawPeer(router.target) as one_more:
            assert one_more.is_closed()
        with answered_all_the_while(router):
            pass
        silent[0].socket.close()

        def room_again() -> bool:
            with suppress(ConnectionError), RawPeer(router.target) as peer:
                peer.send(associate_rq())
                answer = peer.read()
                return answer is not None and answer.kind == 2
            return False

        wait_until(room_again, "the place that was given back")


def test_a_flood_of_connections_leaves_the_router_as_it_was() -> None:
    with (
        running_router(associations_per_peer_max=4, set_up_timeout_s=PATIENCE_S) as router,
        answered_all_the_while(router),
    ):
        for _ in range(300):
            with suppress(OSError), RawPeer(router.target) as peer:
                peer.send(b"\x01\x00\xff")
    assert router.health.failing() == {}


def test_a_router_that_is_out_of_files_goes_on_when_there_are_some_again(written: io.StringIO) -> None:
    with running_router() as router, RawPeer.unconnected() as peer:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            peer.connect(router.target)
            wait_until(lambda: "connection_not_taken" in written.getvalue(), "a connection that finds no file")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert echo(peer.associated()) == 0


CLAIMS: dict[str, Callable[[], bytes]] = {
    "a PDU of 4 GB before an association": lambda: struct.pack(">BxI", 1, 0xFFFFFFFF),
    "a request just over the ceiling": lambda: struct.pack(">BxI", 1, PDU_BYTES_MAX + 1) + bytes(65_536),
    "a request of 1 MB that does not come": lambda: struct.pack(">BxI", 1, PDU_BYTES_MAX),
    "a PDU of 4 GB": lambda: associate_rq() + struct.pack(">BxI", 4, 0xFFFFFFFF),
    "an object of which the PDU does not come": lambda: (
        associate_rq()
        + p_data(pdv(store_rq(), command=True))
        + struct.pack(">BxIIBB", 4, PDU_BYTES_MAX, PDU_BYTES_MAX - 4, 1, 0)
    ),
    "a command of 1 MB": lambda: associate_rq() + p_data(pdv(bytes(MIB - 16), command=True, last=False)),
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_memory_is_not_used_for_what_is_only_promised(claim: str) -> None:
    with running_router() as router, answered_all_the_while(router), ExitStack() as stack:
        tracemalloc.start()
        for _ in range(20):
            stack.enter_context(RawPeer(router.target)).send(CLAIMS[claim]())
        with RawPeer(router.target, OTHER).associated() as good:
            assert echo(good) == 0
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 16 * MIB


CLASS = element(0x0002, b"1.2\0")


def resident_bytes() -> int:
    """Of this process: memory of its own, and not pages of files."""
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.findall(r"RssAnon:\s*(\d+) kB", text)[0]) * 1024


def test_objects_that_never_end_take_no_more_memory_than_the_budget() -> None:
    many, size = 40, 6 * MIB
    piece = p_data(pdv(bytes(65_536), last=False))
    with running_router() as router, ExitStack() as stack:
        before = resident_bytes()
        with answered_all_the_while(router):
            peers = [stack.enter_context(RawPeer(router.target)).associated() for _ in range(many)]
            for peer in peers:
                peer.send(p_data(pdv(store_rq(), command=True)) + piece * (size // 65_536))
            grown = resident_bytes() - before
        assert grown < 128 * MIB
        # None was refused for it.
        peers[0].send(p_data(pdv(b"")))
        answer = peers[0].read()
        assert answer is not None
        assert status_of(answer) == 0x0000


LYING_COMMANDS = {
    "empty": b"",
    "rubbish": bytes(range(64)),
    "an absurd length": command(struct.pack("<HHI", 0, 0x0002, 0xFFFFFFF0)),
    "a length beyond the end": command(struct.pack("<HHI", 0, 0x0002, 100) + b"1.2"),
    "another group": command(struct.pack("<HHIH", 8, 0x0100, 2, 1)),
    "an element twice": command(short(0x0100, 1), short(0x0100, 1), short(0x0110, 1), short(0x0800, 1)),
    "no command field": command(short(0x0110, 1), short(0x0800, 0x0101)),
    "no message id": command(short(0x0100, 0x0030), short(0x0800, 0x0101)),
    "no data set type": command(short(0x0100, 0x0030), short(0x0110, 1)),
    "a message id of four bytes": command(short(0x0100, 0x0030), element(0x0110, bytes(4)), short(0x0800, 0x0101)),
    "a C-STORE of nothing": command(short(0x0100, 1), short(0x0110, 1), short(0x0800, 1)),
    "a C-STORE without an instance": command(CLASS, short(0x0100, 1), short(0x0110, 1), short(0x0800, 1)),
    "a C-ECHO with a data set": echo_rq(data_set_type=1),
    "a response": command(short(0x0100, 0x8001), short(0x0120, 1), short(0x0800, 0x0101), short(0x0900, 0)),
    "an operation that is not offered": command(CLASS, short(0x0100, 0x20), short(0x0110, 1), short(0x0800, 0)),
}


@pytest.mark.parametrize("lie", LYING_COMMANDS)
def test_a_command_that_lies_ends_its_association_alone(lie: str) -> None:
    with running_router() as router, answered_all_the_while(router):
        with RawPeer(router.target).associated() as peer:
            peer.send(p_data(pdv(LYING_COMMANDS[lie], command=True)))
            assert peer.aborted() == (0, 0)
        assert router.received() == []
        assert router.audited() == []


BAD_REQUESTS = {
    "too short": pdu(1, bytes(60)),
    "no contexts": associate_rq(b""),
    "an even id": associate_rq(context_item(2)),
    "an id twice": associate_rq(context_item(1), context_item(1, "1.2.3")),
    "an item that is cut": associate_rq(context_item(1) + b"\x20\0"),
    "an item beyond the end": associate_rq(context_item(1) + b"\x20\0\xff\xff"),
    "a context without an id": associate_rq(item(0x20, b"\1")),
    "a maximum length of two bytes": associate_rq(user=item(0x51, b"\1\1")),
    "a role that is cut": associate_rq(user=item(0x54, b"\0\xff1.2")),
}


@pytest.mark.parametrize("request_", BAD_REQUESTS)
def test_a_request_that_is_none_is_aborted(request_: str) -> None:
    with running_router() as router, answered_all_the_while(router), RawPeer(router.target) as peer:
        peer.send(BAD_REQUESTS[request_])
        assert peer.aborted() == (0, 0)


def test_many_large_objects_at_once_stay_within_the_budget_and_arrive_whole() -> None:
    with running_router(objects_memory_bytes_max=4 * MIB) as router, answered_all_the_while(router):
        images = [Ct(instance=f"1.2.{number}", pixels=bytes((number,)) * (12 * MIB)) for number in range(6)]
        assert router.send(*(image.item() for image in images), associations=6).statuses == {"0000": 6}
        kept = {event.instance.sop_instance_uid: router.held.read(event.object) for event in router.received()}
    assert all(kept[image.instance].endswith(image.data_set()) for image in images)


def test_without_room_an_object_is_to_be_sent_again_and_the_association_goes_on() -> None:
    with running_router(objects_memory_bytes_max=0, objects_disk_bytes_max=MIB) as router:
        large = Ct(pixels=bytes(4 * MIB))
        assert router.send(large.item(), Ct().item()).statuses == {"A700": 1, "0000": 1}
        assert router.health.failing() == {}
        assert "no disk" in router.health.warnings()["room"]


def test_a_peer_that_does_not_read_its_answers_harms_nobody() -> None:
    with running_router() as router, answered_all_the_while(router), RawPeer(router.target).associated() as peer:
        peer.socket.settimeout(2.0)
        echo_ = p_data(pdv(echo_rq(), command=True, context=3))
        with suppress(TimeoutError, ConnectionError):
            for _ in range(200):
                peer.send(echo_ * 500)
        with RawPeer(router.target, OTHER).associated() as good:
            assert echo(good) == 0


def test_what_a_peer_calls_itself_reaches_no_log_of_record_as_it_is() -> None:
    hostile = associate_rq().replace(b"PEER".ljust(16), b"PEER\x00\xff\\\n".ljust(16))
    with running_router() as router, RawPeer(router.target).associated(hostile) as peer:
        peer.send(p_data(pdv(store_rq(), command=True), pdv(Ct().data_set())))
        assert peer.read() is not None
        assert router.received()[0].source.calling_ae == "PEER???"
        assert router.received()[0].instance.sop_class_uid == CT
