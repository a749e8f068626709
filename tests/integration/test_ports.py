"""Connections that come faster than they are taken: they wait, and none is dropped."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from streams.ports import Ports
from tests.waiting import wait_until

_FLOOD = 3000
_LET_WAIT = int(Path("/proc/sys/net/core/somaxconn").read_text())


@pytest.mark.skipif(_LET_WAIT < _FLOOD, reason=f"this machine lets {_LET_WAIT} connections wait (net.core.somaxconn)")
def test_a_flood_of_connections_waits_in_the_queue_and_nobody_is_told_to_come_again() -> None:
    taken: list[object] = []

    def take(connected: socket.socket, _: Any) -> None:
        connected.close()
        taken.append(None)

    port = Ports().open("dicom", "127.0.0.1", 0)
    try:
        for _ in range(_FLOOD):
            # Who is dropped gets no answer: the first try of the kernel's is a second later.
            socket.create_connection(("127.0.0.1", port.number), timeout=0.9).close()
        port.start(take)
        wait_until(lambda: len(taken) == _FLOOD, "all that waited")
    finally:
        port.close()
