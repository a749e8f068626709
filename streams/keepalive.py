"""Connections on which an answer is waited for: that the machine at the other end is gone is known within a minute.

While nothing is on its way TCP is silent, and a machine without power ends no connection; the kernel asks after it (RFC
9293 section 3.8.4). What is sent and not acknowledged has TCP's own end, a quarter of an hour (RFC 1122 section
4.2.3.5): TCP_USER_TIMEOUT would be shorter, and would end those of a peer that takes nothing while it stores, too.
"""

from __future__ import annotations

import socket
from typing import Final

# How long it may be silent, how often it is asked then, and how many questions it may leave without an answer.
_IDLE_S, _INTERVAL_S, _PROBES = 30, 10, 3
# As `socket.setsockopt` takes them.
OPTIONS: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _IDLE_S),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _INTERVAL_S),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES),
)


def keep_alive(connection: socket.socket) -> None:
    for level, option, value in OPTIONS:
        connection.setsockopt(level, option, value)
