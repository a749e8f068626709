"""Ports for what starts later, in a process of its own."""

from __future__ import annotations

import random
import socket
from contextlib import suppress
from itertools import islice

# Below those that the kernel gives to connections and listeners of other programs, who could have it meanwhile.
_PORTS = range(20_000, 32_000)
_DRAWING = random.SystemRandom()


def free_port() -> int:
    (port,) = free_ports(1)
    return port


def free_ports(count: int) -> list[int]:
    """Each another one, and free at all addresses."""
    found = list(islice(filter(_is_free, _DRAWING.sample(_PORTS, 1000)), count))
    assert len(found) == count, "no port is free"
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe, suppress(OSError):
        probe.bind(("0.0.0.0", port))  # noqa: S104 - some listen there
        return True
    return False
