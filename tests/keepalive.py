"""What the kernel does about a connection that is silent, as /proc/net/tcp says it (proc_net_tcp of the kernel)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_KEEPALIVE: Final = 2


def asked_after_in_s(port: int, to: int) -> float | None:
    """When the end at `port` of a connection on loopback asks after the other, at `to`; None where it does not."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        ends, timer = line.split()[1:3], line.split()[5]
        if [int(end.split(":")[1], 16) for end in ends] == [port, to] and int(timer.split(":")[0], 16) == _KEEPALIVE:
            return int(timer.split(":")[1], 16) / os.sysconf("SC_CLK_TCK")
    return None
