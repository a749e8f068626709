"""A receiver in a process of its own: how it is started, when it listens, what it holds in the end."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from bench.ingest_uids import instance_in
from infra.local.ports import CEILING

_STARTED_S_MAX: Final = 30.0
_ENDED_S_MAX: Final = 20.0
_POLL_S: Final = 0.02
_PORTS: Final = range(20_000, CEILING)
_HEAD_BYTES: Final = 4096
# Where Debian has servers, which is not on everybody's path.
_MORE_PROGRAMS: Final = "/usr/sbin"
# DCMTK reads it: a setting of whoever calls must not tune a receiver that is to run as installed.
_NODELAY: Final = "TCP_NODELAY"


class NotMeasured(Exception):
    """A receiver that did not listen in time, or ended before it was told to; the text says which."""


@dataclass(frozen=True)
class Place:
    """`folder` is where it keeps what it receives; its own files go into `work`. `other_port` is free as well."""

    work: Path
    port: int
    other_port: int

    @property
    def folder(self) -> Path:
        return self.work / "received"

    @property
    def log(self) -> Path:
        return self.work / "log"


def files_held(place: Place, bytes_min: int) -> set[str]:
    """SOP Instance UIDs of the whole files in its folder and below: those of at least `bytes_min` bytes."""
    found = set()
    for path in place.folder.rglob("*"):
        if path.is_file() and path.stat().st_size >= bytes_min:
            with path.open("rb") as file:
                uid = instance_in(file.read(_HEAD_BYTES))
            if uid:
                found.add(uid)
    return found


@dataclass(frozen=True)
class Receiver:
    """`command` gives the arguments after the program, and writes what the program must find there.

    `version` are the arguments that make it say its version; `install` is a command line for a person. `held` gives
    the SOP Instance UIDs of what is there once it has ended, where a whole image has at least so many bytes.
    """

    name: str
    what: str
    program: str
    command: Callable[[Place], Sequence[str]]
    version: Sequence[str]
    install: str
    environment: Mapping[str, str] = field(default_factory=dict)
    held: Callable[[Place, int], set[str]] = files_held
    is_ours: bool = False

    def path(self, programs: Path | None) -> str | None:
        """The program's, looked for in `programs` first; None where there is none."""
        folders = [str(programs)] if programs else []
        return shutil.which(self.program, path=os.pathsep.join([*folders, os.environ.get("PATH", ""), _MORE_PROGRAMS]))


@dataclass(frozen=True)
class Running:
    pid: int
    host: str
    port: int
    place: Place


@contextlib.contextmanager
def running(receiver: Receiver, program: str, work: Path) -> Iterator[Running]:
    """Until the block ends. What it wrote is still there afterwards.

    Raises NotMeasured where it does not start, and where it ended before the block did.
    """
    place = Place(work, *_free_ports(2))
    place.folder.mkdir(parents=True)
    environment = {name: value for name, value in os.environ.items() if name != _NODELAY}
    with place.log.open("wb") as log:
        process = subprocess.Popen(
            [program, *receiver.command(place)],
            cwd=place.folder,
            env={**environment, **receiver.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_it_listens(process, place)
        yield Running(process.pid, "127.0.0.1", place.port, place)
        if process.poll() is not None:
            raise NotMeasured(f"it ended in between with exit code {process.returncode}: {_last_line(place.log)}")
    finally:
        _end(process)


def version(receiver: Receiver, program: str) -> str:
    """The first line in which it says a version."""
    said = subprocess.run([program, *receiver.version], capture_output=True, text=True, check=False, timeout=60)
    lines = [line.strip(" $").removeprefix("dcmtk: ") for line in (said.stdout + said.stderr).splitlines()]
    named = next((line for line in lines if any(sign.isdigit() for sign in line)), "unknown")
    return named.replace(program, receiver.program)


def _wait_until_it_listens(process: subprocess.Popen[bytes], place: Place) -> None:
    deadline = time.monotonic() + _STARTED_S_MAX
    while not _listens(place.port):
        if process.poll() is not None:
            raise NotMeasured(f"it ended with exit code {process.returncode}: {_last_line(place.log)}")
        if time.monotonic() > deadline:
            raise NotMeasured(f"it did not listen within {_STARTED_S_MAX:.0f} s: {_last_line(place.log)}")
        time.sleep(_POLL_S)


def _listens(port: int) -> bool:
    """Asked of the kernel: a connection that ends at once is an event in a receiver's life."""
    return any(
        one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port
        for one in psutil.net_connections(kind="tcp")
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, so that it can write what it has; then the whole session that was started for it."""
    process.terminate()
    try:
        process.wait(_ENDED_S_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1][:200] if lines else "it said nothing"


def _free_ports(count: int) -> list[int]:
    """Drawn below the range that the kernel gives to outgoing connections, and free on every interface: some peers
    listen on all, and none of them takes a port with an old connection that waits to be forgotten."""
    found: list[int] = []
    with contextlib.ExitStack() as stack:
        while len(found) < count:
            one, port = stack.enter_context(socket.socket()), secrets.choice(_PORTS)
            with contextlib.suppress(OSError):
                one.bind(("", port))
                found.append(port)
    return found
