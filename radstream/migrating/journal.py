"""What a migration has done, a line of JSON for each study, fsynced: whoever is killed goes on where it stopped."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path
from typing import BinaryIO, Final, Literal

import msgspec

from radstream.errors import Failure

State = Literal["there", "pulled", "short", "failed"]
DONE: Final = frozenset({"there", "pulled"})


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A study as it was left. `there` was complete before anything was pulled; `short` has instances missing.

    `said` is how many instances the old PACS counted, `listed` how many it listed, `held` how many of those validation
    holds back. `missing` are SOP Instance UIDs, `unlisted` a count without UIDs.
    `failed` is how many more the old PACS said it could not send than are known to be missing: of a study that it does
    not count, they may be missing. `reason` has no patient data.
    """

    study: str
    state: State
    said: int | None = None
    listed: int = 0
    here: int = 0
    held: int = 0
    missing: tuple[str, ...] = ()
    unlisted: int = 0
    failed: int = 0
    elsewhere: tuple[str, ...] = ()
    moves: int = 0
    attempts: int = 0
    seconds: float = 0.0
    reason: str = ""


class Journal:
    """One file, held by one process. Safe for several threads. The last line of a study counts."""

    def __init__(self, path: Path) -> None:
        """Reads what is there, and cuts off a last line that was torn by a crash. Raises Failure."""
        self.path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
        except OSError as error:
            raise Failure(f"{path}: the journal cannot be written ({error.strerror}); choose --journal FILE") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise Failure(f"{path}: another migration is at work with this journal; wait for it, or stop it") from None
        try:
            self.entries = _read(self._file, path)
            _sync_folder(path.parent)
        except BaseException:
            self._file.close()
            raise

    def write(self, entry: Entry) -> None:
        """Returns when it is on the disk. Raises OSError."""
        with self._lock:
            self._file.write(msgspec.json.encode(entry) + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
            self.entries[entry.study] = entry

    def close(self) -> None:
        self._file.close()


def _read(file: BinaryIO, path: Path) -> dict[str, Entry]:
    file.seek(0)
    entries: dict[str, Entry] = {}
    whole = 0
    for number, line in enumerate(file, start=1):
        if not line.endswith(b"\n"):
            break
        try:
            entry = msgspec.json.decode(line, type=Entry)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Failure(
                f"{path}:{number}: not a line of a journal; move the file away: what is here is not pulled again"
            ) from None
        entries[entry.study] = entry
        whole += len(line)
    file.truncate(whole)
    return entries


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
