"""Several C-STOREs outstanding on one association (PS3.7 annex D.3.3.3), through the router to store and log."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE
from pynetdicom.pdu_primitives import AsynchronousOperationsWindowNegotiation, SOPClassExtendedNegotiation

from streams.memory_store import MemoryStore
from streams.step import NewObject, Stored
from tests.held_operations import store, windowed
from tests.raw_peer import RELEASE_RP, RELEASE_RQ, RawPeer, status_of
from tests.routers import CT, EXPLICIT, Ct, Router, running_router
from tests.secured import hospital, secured, trusted
from tests.waiting import wait_until

AT_ONCE = 4


class Together(MemoryStore):
    """Takes an original only when `count` of them are there at the same time."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._barrier = threading.Barrier(count, timeout=120)

    def create(self, new: NewObject) -> Stored:
        if "/studies/" in new.key:
            self._barrier.wait()
        return super().create(new)


class Slow(MemoryStore):
    """Takes no original until it may, and says how many wait."""

    def __init__(self) -> None:
        super().__init__()
        self.may = threading.Event()
        self.waiting: list[str] = []

    def create(self, new: NewObject) -> Stored:
        if "/studies/" in new.key:
            self.waiting.append(new.key)
            assert self.may.wait(120)
        return super().create(new)


def images(count: int) -> bytes:
    return b"".join(image(number, Ct(instance=f"1.2.3.{number}")) for number in range(1, count + 1))


def image(message_id: int, ct: Ct) -> bytes:
    return store(message_id, ct.instance, ct.data_set())


def statuses(peer: RawPeer, count: int) -> list[int]:
    answers = [peer.read() for _ in range(count)]
    assert None not in answers
    return [status_of(answer) for answer in answers if answer is not None]


def test_objects_of_one_association_are_written_at_the_same_time() -> None:
    """Each waits in the store for the others: one after the other, none would ever be acknowledged."""
    held = Together(AT_ONCE)
    with running_router(store=held, held=held) as router, RawPeer(router.target).associated(windowed(0)) as peer:
        peer.send(images(2 * AT_ONCE))
        assert statuses(peer, 2 * AT_ONCE) == [0] * 2 * AT_ONCE
        peer.send(RELEASE_RQ)
        assert peer.read() == (6, bytes(4))
        assert len(router.received()) == len(router.originals()) == 2 * AT_ONCE
        assert len({event.source.association for event in router.received()}) == 1


def test_over_tls_they_are_too(tmp_path: Path) -> None:
    site, held = hospital(tmp_path), Together(AT_ONCE)
    context = trusted(site, site.scanner())
    with site.router(store=held, held=held) as router, tls_peer(router, context) as peer:
        peer.associated(windowed(0).replace(b"PEER".ljust(16), b"CT1".ljust(16)))
        peer.send(images(2 * AT_ONCE))
        assert statuses(peer, 2 * AT_ONCE) == [0] * 2 * AT_ONCE
        peer.send(RELEASE_RQ)
        assert peer.read() == (6, bytes(4))


@contextmanager
def tls_peer(router: Router, context: Any) -> Iterator[RawPeer]:
    target = secured(router)
    peer = RawPeer.unconnected()
    peer.socket.close()
    peer.socket = context.wrap_socket(socket.create_connection((target.host, target.port), 15))
    with peer:
        yield peer


def test_a_site_may_turn_it_off() -> None:
    held = Slow()
    with running_router(store=held, held=held, operations_per_association_max=1) as router:
        with RawPeer(router.target).associated(windowed(0)) as peer:
            peer.send(images(3))
            wait_until(lambda: held.waiting, "the first to be in the store")
            held.may.set()
            assert statuses(peer, 3) == [0] * 3
        assert [key.split("/")[-2] for key in held.waiting] == ["1.2.3.1", "1.2.3.2", "1.2.3.3"]


def test_of_one_instance_the_first_that_was_sent_is_the_first_in_the_log() -> None:
    with running_router() as router, RawPeer(router.target).associated(windowed(0)) as peer:
        contents = [bytes((number, 0)) * 64 for number in range(12)]
        peer.send(b"".join(image(number + 1, Ct(pixels=pixels)) for number, pixels in enumerate(contents)))
        assert statuses(peer, 12) == [0] * 12
        logged = [router.held.read(event.object)[-128:] for event in router.received()]
        assert logged == contents


def test_the_same_bytes_in_one_window_are_stored_once_and_announced_with_one_id() -> None:
    with running_router() as router, RawPeer(router.target).associated(windowed(0)) as peer:
        peer.send(image(1, Ct()) + image(2, Ct()))
        assert statuses(peer, 2) == [0, 0]
        first, second = router.received()
        assert first.meta.event_id == second.meta.event_id
        assert len(router.originals()) == 1


def test_a_router_that_stops_answers_what_is_outstanding_and_then_asks_to_release() -> None:
    held = Slow()
    running = running_router(store=held, held=held)
    router = running.__enter__()
    with ThreadPoolExecutor(1) as pool, RawPeer(router.target).associated(windowed(0)) as peer:
        peer.send(images(3))
        wait_until(lambda: len(held.waiting) == 3, "three to be outstanding")
        stopping = pool.submit(running.__exit__, None, None, None)
        wait_until(lambda: not listens(router), "the router to stop listening")
        held.may.set()
        assert statuses(peer, 3) == [0] * 3
        assert peer.read() == (5, bytes(4))
        peer.send(RELEASE_RP)
        assert peer.is_closed()
        stopping.result(timeout=120)
        assert len(router.received()) == 3


def listens(router: Router) -> bool:
    try:
        RawPeer(router.target).socket.close()
    except OSError:
        return False
    return True


def test_pynetdicom_reads_what_was_negotiated_and_stores() -> None:
    entity = AE(ae_title="SCANNER")
    entity.add_requested_context(CT, EXPLICIT)
    window, storage = AsynchronousOperationsWindowNegotiation(), SOPClassExtendedNegotiation()
    window.maximum_number_operations_invoked, window.maximum_number_operations_performed = 0, 0
    storage.sop_class_uid, storage.service_class_application_information = CT, b"\x03\0\0\0\0\0"
    with running_router() as router:
        association = entity.associate(router.target.host, router.target.port, ext_neg=[window, storage])
        assert association.is_established
        assert association.acceptor.asynchronous_operations == (16, 1)
        assert association.acceptor.sop_class_extended == {CT: b"\x02\0\x03\0\0\0"}
        assert association.send_c_store(Ct().dataset()).Status == 0x0000
        association.release()
        assert association.is_released


@pytest.mark.parametrize("associations", [1, 3])
def test_threads_are_used_again(associations: int) -> None:
    """Eighty operations of an association leave no more threads than can have been in use at once."""
    before = threading.active_count()
    with running_router() as router:
        for _ in range(10):
            with ExitStack() as stack:
                asked = [RawPeer(router.target) for _ in range(associations)]
                peers = [stack.enter_context(peer).associated(windowed(0)) for peer in asked]
                for peer in peers:
                    peer.send(images(8) + RELEASE_RQ)
                for peer in peers:
                    assert statuses(peer, 8) == [0] * 8
                    assert peer.read() == (6, bytes(4))
        # One round may begin before the one before has let go of its threads.
        assert threading.active_count() - before <= 2 + 2 * associations * (1 + 8)
