"""This router's receive path without store and log: `python -m bench.ingest_own --port N --keep files`.

The listener and the receiver are the router's own, so association, reading, tags and answer cost what they cost there.
Images become files in the working folder, or are let go; when told to end, it writes the SOP Instance UIDs of those
that it let go into `let-go.txt` there.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

from producers.dicom_router.archive import Archive
from producers.dicom_router.arrival import Arrival, Refusal
from producers.dicom_router.config import Settings
from producers.dicom_router.header import Header
from producers.dicom_router.listening import Listener
from producers.dicom_router.receiver import Receiver
from streams import logs
from streams.clock import SystemClock
from streams.health import Health
from streams.stored_file import file_meta

LET_GO: Final = "let-go.txt"
_PREAMBLE: Final = bytes(128) + b"DICM"

Parts = tuple[bytes, bytes]


@dataclass
class Folder:
    """What the receiver takes for its archive. Used from the threads of all associations at once."""

    keep_parts: Callable[[str, Parts], None] | None
    digest: bool
    let_go: list[str] = field(default_factory=list)

    def keep(self, arrival: Arrival, header: Header) -> str:
        uid = arrival.sop_instance_uid
        meta = _PREAMBLE + file_meta(arrival.sop_class_uid, uid, arrival.transfer_syntax_uid)
        digest = hashlib.sha256(meta)
        if self.digest:
            digest.update(arrival.data_set)
        if self.keep_parts is None:
            self.let_go.append(uid)
        else:
            self.keep_parts(uid, (meta, arrival.data_set))
        return digest.hexdigest()

    def refuse(self, arrival: Arrival, refusal: Refusal) -> None:
        """Nothing is kept of it; the sender counts it."""


def written(uid: str, parts: Parts) -> None:
    os.close(_file(uid, parts))


def fsynced(uid: str, parts: Parts) -> None:
    """Durable when it returns: the file's bytes, then its name."""
    file = _file(uid, parts)
    try:
        os.fsync(file)
    finally:
        os.close(file)
    folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


KEEPING: Final[dict[str, Callable[[str, Parts], None] | None]] = {"nothing": None, "files": written, "fsynced": fsynced}


def _file(uid: str, parts: Parts) -> int:
    """An open file with all of it."""
    file = os.open(f"{uid}.dcm", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    views = [memoryview(part) for part in parts]
    while views:
        count = os.writev(file, views)
        while views and count >= len(views[0]):
            count -= len(views.pop(0))
        if views:
            views[0] = views[0][count:]
    return file


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--keep", choices=KEEPING, required=True)
    parser.add_argument("--digest", action="store_true")
    asked = parser.parse_args()
    logs.configure("bench", "warning")
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    clock = SystemClock()
    folder = Folder(KEEPING[asked.keep], asked.digest)
    settings = Settings(http_port=0, port=asked.port, stop_timeout_s=0)
    listener = Listener(settings, Receiver(cast(Archive, folder), Health(clock), clock))
    stopping.wait()
    listener.stop()
    if folder.let_go:
        Path(LET_GO).write_text("\n".join(folder.let_go), encoding="ascii")


if __name__ == "__main__":
    main()
