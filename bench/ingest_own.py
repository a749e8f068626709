"""This router's receive path without store and log: `python -m bench.ingest_own --port N --keep files`.

The listener and the receiver are the router's own, so association, reading, tags, digest and answer cost what they cost
there. Images become files in the working folder, or are let go; when told to end, it writes the SOP Instance UIDs of
those that it let go into `let-go.txt` there. With --processes it is so many, which take connections from one queue.
`--keep bare` is association, reading and answer alone, in front of files (`bench.ingest_bare`).
"""

from __future__ import annotations

import argparse
import os
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.ingest_bare import BareStore
from producers.dicom_router.arrival import Arrival, Refusal
from producers.dicom_router.config import Settings
from producers.dicom_router.header import Header
from producers.dicom_router.listening import Listener
from producers.dicom_router.receiver import Receiver
from producers.dicom_router.trust.current import trust_of
from producers.dicom_router.upper_layer import command_set
from producers.dicom_router.upper_layer.messages import Operation
from streams import logs
from streams.allocating import give_back_large_blocks
from streams.clock import SystemClock
from streams.config import Site
from streams.health import Health
from streams.memory_log import MemoryLog
from streams.peers.refusal_audit import RefusalAudit
from streams.peers.refusals import Refusals
from streams.ports import Ports
from streams.service import spare_the_collector
from streams.wire import SchemaIds

LET_GO: Final = "let-go.txt"

Data = bytes | memoryview
Keep = Callable[[str, Data], None]


@dataclass
class Folder:
    """What the receiver takes for its archive; `write` is None for a sink. Used from all associations at once."""

    write: Keep | None
    let_go: list[str] = field(default_factory=list)

    def keep(self, arrival: Arrival, header: Header) -> str:
        file = arrival.content.stored_file(arrival.sop_class_uid, arrival.sop_instance_uid)
        if self.write is None:
            self.let_go.append(arrival.sop_instance_uid)
        else:
            self.write(f"{arrival.sop_instance_uid}.dcm", file.data)
        return file.sha256

    def refuse(self, arrival: Arrival, refusal: Refusal) -> None:
        """Nothing is kept of it; the sender counts it."""


def written(name: str, data: Data) -> None:
    os.close(_file(name, data))


def fsynced(name: str, data: Data) -> None:
    """Durable when it returns: the file's bytes, then its name."""
    file = _file(name, data)
    try:
        os.fsync(file)
    finally:
        os.close(file)
    folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


KEEPING: Final[dict[str, Keep | None]] = {"nothing": None, "files": written, "fsynced": fsynced, "bare": None}


def _file(name: str, data: Data) -> int:
    """An open file with all of it."""
    file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]
    return file


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--keep", choices=KEEPING, required=True)
    parser.add_argument("--processes", type=int, default=1)
    asked = parser.parse_args()
    logs.configure("bench", "warning")
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    opened = Ports().open("dicom", "127.0.0.1", asked.port)
    # Before there is any thread.
    others = forked(asked.processes - 1)
    ports = Ports()
    ports.inherit((opened.offered,), [os.dup(opened.descriptor)])
    opened.close()
    receive(asked, ports, stopping)
    for other in others:
        os.kill(other, signal.SIGTERM)
        os.waitpid(other, 0)


def forked(count: int) -> list[int]:
    """The ids of so many processes beside this one; none in those."""
    others: list[int] = []
    for _ in range(count):
        other = os.fork()
        if not other:
            return []
        others.append(other)
    return others


def receive(asked: argparse.Namespace, ports: Ports, stopping: threading.Event) -> None:
    clock = SystemClock()
    folder = Folder(KEEPING[asked.keep])
    settings = Settings(http_port=0, port=asked.port, stop_timeout_s=0)
    health = Health(clock)
    audit = RefusalAudit(Site(tenant="bench", site="bench"), SchemaIds(), clock, "bench")
    trust, refusals = trust_of(settings, health, clock), Refusals(audit.made, MemoryLog().producer(), clock)
    instead: Mapping[int, Operation] = {command_set.C_STORE_RQ: BareStore()} if asked.keep == "bare" else {}
    listener = Listener(settings, Receiver(folder, health, clock), trust, refusals, clock, instead, ports)
    # As the service does.
    spare_the_collector()
    give_back_large_blocks()
    listener.start()
    stopping.wait()
    listener.stop()
    if folder.let_go:
        with Path(LET_GO).open("a", encoding="ascii") as file:
            file.write("".join(f"{uid}\n" for uid in folder.let_go))


if __name__ == "__main__":
    main()
