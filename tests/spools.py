"""Spools in a folder, and what tests put on them."""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from msgspec.structs import replace

from producers.dicom_router.spool import places
from producers.dicom_router.spool.incoming import Incoming
from producers.dicom_router.spool.order import Entry
from producers.dicom_router.spool.reading import read
from producers.dicom_router.spool.record import Kept
from producers.dicom_router.spool.room import Limits
from producers.dicom_router.spool.segment import Sync
from producers.dicom_router.spool.spool import Spool
from tests.routers import CT, EXPLICIT

FILE_HEAD = b"preamble and group 0002"
Entries = TypeVar("Entries")


def kept(study: str = "1.2.3", instance: str = "1.2.3.4.5") -> Kept:
    return Kept(
        tenant="t",
        site="here",
        lane="routine",
        trace="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        study=study,
        file_head=len(FILE_HEAD),
        sop_class_uid=CT,
        sop_instance_uid=instance,
        abstract_syntax=CT,
        transfer_syntax_uid=EXPLICIT,
        calling_ae="SCANNER",
        called_ae="RADSTREAM",
        association="0123",
    )


def incoming(
    data_set: bytes, study: str = "1.2.3", received_ms: int = 1_767_600_000_000, calling_ae: str = "SCANNER"
) -> Incoming:
    digest = hashlib.sha256(FILE_HEAD + data_set).digest()
    return Incoming(replace(kept(study), calling_ae=calling_ae), received_ms, digest, (FILE_HEAD, data_set))


def mapped(data_set: bytes, study: str = "1.2.3", in_page: int = 162) -> Incoming:
    """As the router has it: one file in mapped memory, somewhere in a page."""
    file = FILE_HEAD + data_set
    memory = memoryview(mmap.mmap(-1, in_page + len(file)))
    memory[in_page:][: len(file)] = file
    digest = hashlib.sha256(file).digest()
    return Incoming(kept(study), 1_767_600_000_000, digest, (memory[in_page:][: len(file)],), in_page)


def opened(
    folder: Path,
    budget_bytes: int = 1 << 30,
    free_bytes_min: int = 0,
    segment_bytes: int = 1 << 20,
    fdatasync: Sync = os.fdatasync,
) -> Spool:
    spool = Spool(folder, Limits(budget_bytes, free_bytes_min), segment_bytes, fdatasync)
    spool.open()
    return spool


def taken(spool: Spool) -> list[Entry]:
    """All that waits, in the order in which it would be committed; nothing of it waits after."""
    entries = []
    while (entry := spool.waiting.take(0.0)) is not None:
        entries.append(entry)
        spool.waiting.done(entry)
    return entries


def drained(spool: Spool) -> list[bytes]:
    """The data sets that wait, each taken and committed, in their order."""
    found = []
    while (entry := spool.waiting.take(0.0)) is not None:
        found.append(bytes(read(entry.shelf.path, entry.found)[1]).removeprefix(FILE_HEAD))
        spool.once_more(entry)
        spool.settled(entry)
    return found


def segments(folder: Path) -> list[Path]:
    """Of all processes; without what stands aside."""
    return [path for owned in sorted(places.owned_folders(folder)) for path in places.segments(owned)]


@contextmanager
def unreadable(error: Exception, *paths: Path) -> Iterator[None]:
    """These segments; without any, all."""
    really = os.open

    def fails(path: Path, flags: int, *arguments: int) -> int:
        meant = Path(path) in paths if paths else Path(path).suffix == places.SEGMENT
        if meant and flags & os.O_ACCMODE == os.O_RDONLY:
            raise error
        return really(path, flags, *arguments)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "open", fails)
        yield


@contextmanager
def unlistable(*folders: Path) -> Iterator[None]:
    """As a disk has it whose directory is broken."""

    def failing(really: Callable[[Path], Entries]) -> Callable[[Path], Entries]:
        def fails(path: Path) -> Entries:
            if Path(path) in folders:
                raise OSError(errno.EIO, "Input/output error")
            return really(path)

        return fails

    with pytest.MonkeyPatch.context() as patched:
        for call in (os.listdir, os.scandir):
            patched.setattr(os, call.__name__, failing(call))
        yield
