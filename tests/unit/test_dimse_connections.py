"""What one peer may ask of a listener that pynetdicom serves."""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress
from typing import Any

import pytest
from pynetdicom import evt
from pynetdicom.dimse_primitives import C_ECHO

from streams.clock import SystemClock
from streams.config import Site
from streams.dimse.config import Listening
from streams.dimse.connections import REQUESTS_MAX
from streams.dimse.door import Door, door_of
from streams.dimse.listening import COMMAND_BYTES_MAX, Listener
from streams.health import Health
from streams.memory_log import MemoryLog
from streams.peers.refusal_audit import RefusalAudit
from streams.peers.refusals import Refusals
from streams.scu import Entity
from streams.sop_classes import VERIFICATION
from streams.store_scu import Target
from streams.wire import SchemaIds
from tests.raw_peer import RawPeer, associate_rq, context_item, echo_rq, p_data, pdv, status_of
from tests.routers import IMPLICIT
from tests.waiting import wait_until

WAIT_S = 60.0


def opened(settings: Listening) -> Door:
    """Nobody reads who is refused."""
    clock = SystemClock()
    audit = RefusalAudit(Site(tenant="t", site="here"), SchemaIds(), clock, "test")
    return door_of("test", settings, Health(clock), clock, Refusals(audit.made, MemoryLog().producer(), clock))


def test_who_asks_on_and_on_without_waiting_for_answers_loses_the_association() -> None:
    """Requests wait in memory, with their data sets, for as long as the first of them takes."""
    go_on, asked = threading.Event(), []

    def slow(event: Any) -> int:
        asked.append(event.request.MessageID)
        go_on.wait(WAIT_S)
        return 0x0000

    settings = Listening(http_port=0, port=0, stop_timeout_s=0.5)
    door = opened(settings)
    listener = Listener("test", settings, door, [VERIFICATION], [(evt.EVT_C_ECHO, slow)])
    try:
        entity = Entity("FLOOD")
        entity.add_requested_context(VERIFICATION)
        association = entity.associate("127.0.0.1", listener.port, ae_title="RADSTREAM")
        assert association.is_established
        (context,) = association.accepted_contexts
        for number in range(1, 4 * REQUESTS_MAX):
            request: Any = C_ECHO()
            request.MessageID, request.AffectedSOPClassUID = number, VERIFICATION
            association.dimse.send_msg(request, context.context_id or 0)
        wait_until(lambda: not association.is_established, "the end of the association")
    finally:
        go_on.set()
        listener.stop()
    assert len(asked) <= REQUESTS_MAX + 1


def test_a_command_set_that_does_not_end_costs_its_sender_the_association_and_us_nothing() -> None:
    """A data set has a ceiling; what says which data set it is had none."""
    settings = Listening(http_port=0, port=0, stop_timeout_s=0.5)
    door = opened(settings)
    listener = Listener("test", settings, door, [VERIFICATION], [])
    asked = associate_rq(context_item(1, VERIFICATION, (IMPLICIT,)))
    part = p_data(pdv(bytes(16_000), command=True, last=False))
    try:
        with RawPeer(Target("RADSTREAM", "127.0.0.1", listener.port)) as endless:
            endless.associated(asked)
            with suppress(OSError):
                for _ in range(1000):
                    endless.send(part)
            assert endless.is_closed()
        with RawPeer(Target("RADSTREAM", "127.0.0.1", listener.port)) as large:
            large.associated(asked)
            large.send(p_data(pdv(bytes(COMMAND_BYTES_MAX + 1), command=True)))
            assert large.is_closed()
        with RawPeer(Target("RADSTREAM", "127.0.0.1", listener.port)) as good:
            good.associated(asked)
            good.send(p_data(pdv(echo_rq()[:10], command=True, last=False), pdv(echo_rq()[10:], command=True)))
            assert (answer := good.read()) is not None
            assert status_of(answer) == 0x0000
    finally:
        listener.stop()


def test_who_left_before_there_was_an_association_keeps_nobody_out_but_itself() -> None:
    """Its place was kept until the set-up timed out: four addresses that came and went closed the port to all."""
    settings = Listening(http_port=0, port=0, associations_max=8, set_up_timeout_s=600.0)
    door = opened(settings)
    listener = Listener("test", settings, door, [VERIFICATION], [])
    target = Target("RADSTREAM", "127.0.0.1", listener.port)
    try:
        # One address has six of eight associations, and twice as many connections; another has the rest.
        gone = [RawPeer(target, source) for source in ["127.0.0.9"] * 12 + ["127.0.0.10"] * 4]
        wait_until(lambda: len(listener._associations()) == len(gone), "all its places to be taken")
        for one in gone:
            one.socket.close()
        wait_until(lambda: is_taken(target), "an association of somebody else")
        with RawPeer(target, "127.0.0.9") as again:
            assert again.is_closed()
    finally:
        listener.stop()


def is_taken(target: Target) -> bool:
    """An association from here; its connection is closed where others have not left yet."""
    with suppress(ConnectionError), RawPeer(target) as good:
        good.send(associate_rq())
        return (answer := good.read()) is not None and answer.kind == 2
    return False


@pytest.mark.parametrize("set_up_timeout_s", [600.0, 4.0])
def test_who_asks_and_is_gone_at_once_leaves_no_association_behind(set_up_timeout_s: float) -> None:
    """One that was closed before its request was read had its association counted until somebody else came; for good
    where the time of its connection was over by then.
    """
    door: Door

    def read_late(event: Any) -> None:
        association = event.assoc
        if association.requestor.address != "127.0.0.1" and association.requestor.primitive is None:
            wait_until(lambda: association.dul.socket.has_left, "the end of the connection")
            if set_up_timeout_s < WAIT_S:
                over_s = time.monotonic() + set_up_timeout_s
                wait_until(lambda: time.monotonic() > over_s, "the end of its time")
                door.left.let_go()
            left.append(association.requestor.address)

    left: list[str] = []
    settings = Listening(http_port=0, port=0, associations_max=4, set_up_timeout_s=set_up_timeout_s)
    clock = SystemClock()
    door = door_of("test", settings, Health(clock), clock, lambda *_: None)
    listener = Listener("test", settings, door, [VERIFICATION], [(evt.EVT_ACSE_RECV, read_late)])
    target = Target("RADSTREAM", "127.0.0.1", listener.port)
    gone = [f"127.0.1.{number}" for number in range(1, 5)]
    try:
        for address in gone:
            with RawPeer(target, address) as peer:
                peer.send(associate_rq())
                # Closed by a reset.
                peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wait_until(lambda: sorted(left) == gone and not listener._associations(), "the end of all four")
        assert is_taken(target)
        wait_until(lambda: door.admission.associations == 0, "all places of associations to be free")
    finally:
        listener.stop()
