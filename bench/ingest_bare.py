"""C-STORE with nothing that makes the router a router: no SHA-256, no tags, no promise; a file, as peers write them."""

from __future__ import annotations

import mmap
import os
import threading
from pathlib import Path
from typing import Final

from producers.dicom_router.arrival import SUCCESS
from producers.dicom_router.upper_layer import command_set
from producers.dicom_router.upper_layer.messages import Request
from streams.identity import uid_text
from streams.stored_file import PREAMBLE, file_meta

# As much as one P-DATA-TF brings: it is written while it is in the processor's cache.
_BYTES: Final = 131_072


class FileSink:
    """Writes a data set into a file as it comes, by way of `buffer`. Used by one thread."""

    def __init__(self, request: Request, buffer: memoryview) -> None:
        command, syntax = request.command, request.context.transfer_syntax
        sop_class, instance = uid_text(command.sop_class), uid_text(command.sop_instance)
        self._path = f"{instance}.dcm"
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        self._buffer = buffer
        self._end = 0
        head = PREAMBLE + file_meta(sop_class, instance, syntax)
        self._buffer[: len(head)] = head
        self.filled(len(head))

    def room(self, length: int) -> memoryview:
        return self._buffer[self._end : self._end + length]

    def filled(self, count: int) -> None:
        self._end += count
        if self._end == _BYTES:
            self._write()

    def abandon(self) -> None:
        os.close(self._file)
        Path(self._path).unlink()

    def done(self) -> None:
        self._write()
        os.close(self._file)

    def _write(self) -> None:
        left = self._buffer[: self._end]
        while left:
            left = left[os.write(self._file, left) :]
        self._end = 0


class BareStore:
    """PS3.4 annex B, of which nothing is looked at."""

    response: Final = command_set.C_STORE_RSP

    def __init__(self) -> None:
        self._own = threading.local()

    def sink(self, request: Request) -> FileSink:
        if not hasattr(self._own, "buffer"):
            self._own.buffer = memoryview(mmap.mmap(-1, _BYTES))
        return FileSink(request, self._own.buffer)

    def answer(self, request: Request, sink: FileSink) -> int:
        sink.done()
        return SUCCESS
