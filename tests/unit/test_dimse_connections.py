"""What one peer may ask of a listener that pynetdicom serves."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

from pynetdicom import evt
from pynetdicom.dimse_primitives import C_ECHO

from streams.clock import SystemClock
from streams.dimse.config import Listening
from streams.dimse.connections import REQUESTS_MAX
from streams.dimse.listening import COMMAND_BYTES_MAX, Listener
from streams.dimse.trust import Trust
from streams.health import Health
from streams.scu import Entity
from streams.sop_classes import VERIFICATION
from streams.store_scu import Target
from tests.raw_peer import RawPeer, associate_rq, context_item, echo_rq, p_data, pdv, status_of
from tests.routers import IMPLICIT
from tests.waiting import wait_until

WAIT_S = 20.0


def test_who_asks_on_and_on_without_waiting_for_answers_loses_the_association() -> None:
    """Requests wait in memory, with their data sets, for as long as the first of them takes."""
    go_on, asked = threading.Event(), []

    def slow(event: Any) -> int:
        asked.append(event.request.MessageID)
        go_on.wait(WAIT_S)
        return 0x0000

    settings, clock = Listening(http_port=0, port=0, stop_timeout_s=0.5), SystemClock()
    trust = Trust("test", settings, Health(clock), clock)
    listener = Listener("test", settings, trust, [VERIFICATION], [(evt.EVT_C_ECHO, slow)])
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
    settings, clock = Listening(http_port=0, port=0, stop_timeout_s=0.5), SystemClock()
    listener = Listener("test", settings, Trust("test", settings, Health(clock), clock), [VERIFICATION], [])
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
