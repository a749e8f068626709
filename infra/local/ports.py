"""Ports: chosen once for each home, kept for ever, never those of another home or of somebody else's server.

They lie below the range that the kernel gives to outgoing connections (32768 and up): a part that is down for a while
would lose such a port to any client.
"""

from __future__ import annotations

import fcntl
import socket
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil

from infra.local.errors import StackError

HOST = "127.0.0.1"
STEP = 100
CEILING = 32768


@contextmanager
def choosing(registry: Path, home: Path) -> Iterator[Collection[int]]:
    """One home chooses at a time. Gives the ports of this user's other homes, whether they run or not."""
    registry.mkdir(parents=True, exist_ok=True)
    with (registry / "homes.json").open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        known = _decoded(file.read())
        alive = sorted({other for other in known if (Path(other) / "stack.json").exists()} | {str(home)})
        yield {port for other in alive if other != str(home) for port in _ports_of(Path(other))}
        file.truncate(0)
        file.write(msgspec.json.encode(alive))


def _decoded(data: bytes) -> list[str]:
    try:
        return msgspec.json.decode(data or b"[]", type=list[str])
    except msgspec.MsgspecError:
        return []


def _ports_of(home: Path) -> Collection[int]:
    """The ports in another home's state; none where it cannot be read, since a taken port is tried again anyway."""
    try:
        found = msgspec.json.decode((home / "stack.json").read_bytes())
    except (OSError, msgspec.MsgspecError):
        return ()
    return tuple(found.get("ports", {}).values()) if isinstance(found, dict) else ()


def choose(preferred: Mapping[str, int], taken: Collection[int]) -> dict[str, int]:
    """A free port for each name: the preferred one, else one some hundreds above it. Raises StackError."""
    chosen: dict[str, int] = {}
    for name, first in preferred.items():
        for port in range(first, CEILING, STEP):
            if port not in taken and port not in chosen.values() and is_free(port):
                chosen[name] = port
                break
        else:
            raise StackError(f"no free port for {name}: {first}, {first + STEP}, ... are all in use; stop a server")
    return chosen


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        # Servers set it too: a port whose old connections are only waiting to be forgotten is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def owner(port: int) -> str:
    """Who listens on a port, as far as this user may know."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return "another process"
    for connection in connections:
        where = connection.laddr
        if connection.status == psutil.CONN_LISTEN and where and where.port == port and connection.pid:
            try:
                return f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
            except psutil.NoSuchProcess:
                break
    return "another process"


def is_listening(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False
