"""Looks at the folder, reads what has settled, stores it, and moves it."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Final

import structlog

from producers.dicom_router.arrival import OUT_OF_RESOURCES, STORE_REFUSES, SUCCESS, Arrival, refusal
from producers.dicom_router.header import read_header
from producers.dicom_router.incoming_file import Door, IncomingFile
from producers.dicom_router.watch.config import Settings
from producers.dicom_router.watch.places import FILES_MAX, Places, Seen, look
from streams import metrics
from streams.clock import Clock
from streams.config import ConfigError

Store = Callable[[Arrival], int]

_LOOK_S: Final = 1.0
_READ_BYTES: Final = 1 << 20
# Store or log away, a file that may not be read or moved: tried again, each time after twice as long.
_AGAIN_S, _AGAIN_S_MAX = 2.0, 60.0
_STOP_S_MAX: Final = 5.0
_STORE_REFUSES: Final = "the object store takes no such object; instance_refused in the router's log says why"


class Folder:
    """Used by one thread. `store` gives a C-STORE's status (PS3.4 annex B.2.3).

    A crash between the acknowledgement and the move stores the file again, which is harmless. Raises ConfigError for a
    folder that cannot be used.
    """

    def __init__(self, settings: Settings, door: Door, store: Store, clock: Clock) -> None:
        self._settled_s = settings.settled_s
        self._door = door
        self._store = store
        self._clock = clock
        self._places = _opened(settings.folder)
        self._waiting: dict[Path, _Waiting] = {}

    def look(self, stopping: threading.Event) -> None:
        """Settles what is due, one file after another, until `stopping` is set."""
        if not self._places.mine():
            return
        seen = {file.path: file for file in islice(self._places.files(), FILES_MAX)}
        metrics.WATCHED_WAITING.set(len(seen))
        self._waiting = {path: self._waited(file) for path, file in seen.items()}
        for waiting in self._waiting.values():
            if stopping.is_set():
                return
            if self._clock.monotonic() >= waiting.due:
                self._settle(waiting)

    def close(self) -> None:
        """Another router may watch it."""
        self._places.close()

    def _waited(self, file: Seen) -> _Waiting:
        """What is known of a file; a file that changed is another."""
        known = self._waiting.get(file.path)
        if known is not None and known.file == file:
            return known
        return _Waiting(file, self._clock.monotonic() + self._settled_s)

    def _settle(self, waiting: _Waiting) -> None:
        """Stores one file and moves it, or has it wait."""
        log, path = structlog.get_logger(), waiting.file.path
        try:
            reason = self._stored(waiting.file)
            if reason is None or look(path) != waiting.file:
                # A copy that had stalled goes on, and would do so where it was moved to: the next look finds another.
                self._again(waiting)
            elif reason:
                self._places.failed(path, reason)
            else:
                self._places.done(path)
        except OSError as error:
            log.warning("watched_file_waits", errno=error.errno)
            self._again(waiting)
        except Exception:
            # Nobody planned this one. The file is where it was, and the others are not to wait for it.
            log.error("watched_file_failed", exc_info=True)
            self._again(waiting)

    def _again(self, waiting: _Waiting) -> None:
        waiting.pause_s = min(2 * waiting.pause_s, _AGAIN_S_MAX)
        waiting.due = self._clock.monotonic() + waiting.pause_s

    def _stored(self, file: Seen) -> str | None:
        """Empty where it is kept, else why it is refused; None where it is to be tried again. Raises OSError."""
        incoming, status = IncomingFile(self._door, uuid.uuid4().hex), OUT_OF_RESOURCES
        try:
            _read(file.path, incoming)
            if look(file.path) != file:
                return None
            arrival = incoming.arrival()
            status = self._store(arrival)
            metrics.WATCHED_FILES.labels(f"{status:04X}").inc()
            if status in (SUCCESS, OUT_OF_RESOURCES):
                return "" if status == SUCCESS else None
            if status == STORE_REFUSES:
                return f"0x{status:04X}: {_STORE_REFUSES}"
            refused = refusal(arrival, read_header(arrival.data_set, arrival.transfer_syntax_uid))
            return f"0x{status:04X}: {refused.reason}" if refused else f"0x{status:04X}"
        finally:
            incoming.done(reusable=status == SUCCESS)


def _read(path: Path, incoming: IncomingFile) -> None:
    """Raises OSError. No link is followed that was put in the file's place, and no pipe is waited for."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags), "rb", buffering=0) as file:
        while piece := file.read(_READ_BYTES):
            incoming.write(memoryview(piece))


class Watch:
    """Looks again and again, in a thread of its own, from `start` to `stop`. Raises as `Folder`."""

    def __init__(self, settings: Settings, door: Door, store: Store, clock: Clock) -> None:
        self._folder = Folder(settings, door, store, clock)
        self._pause_s = min(_LOOK_S, settings.settled_s)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Begins no other file."""
        self._stopping.set()

    def stop(self) -> None:
        """Closes, and waits some seconds for the file in hand."""
        self.close()
        if self._thread.is_alive():
            self._thread.join(_STOP_S_MAX)

    def _run(self) -> None:
        with closing(self._folder):
            while not self._stopping.wait(self._pause_s):
                self._folder.look(self._stopping)


class _Waiting:
    """A file that is to be read when it is `due`, if it stays as it is."""

    def __init__(self, file: Seen, due: float) -> None:
        self.file = file
        self.due = due
        self.pause_s = _AGAIN_S / 2


def _opened(folder: Path) -> Places:
    try:
        return Places(folder)
    except OSError as error:
        raise ConfigError(
            f"[router.watch] folder {folder} cannot be used ({error.strerror}): "
            "make it, on one file system, and let the router write in it"
        ) from None
