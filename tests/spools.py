"""Spools in a folder, and what tests put on them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from producers.dicom_router.spool import places
from producers.dicom_router.spool.order import Entry
from producers.dicom_router.spool.reading import read
from producers.dicom_router.spool.record import Kept
from producers.dicom_router.spool.room import Limits
from producers.dicom_router.spool.segment import Sync
from producers.dicom_router.spool.spool import Spool
from producers.dicom_router.spool.writing import Incoming
from tests.routers import CT, EXPLICIT

FILE_HEAD = b"preamble and group 0002"


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


def incoming(data_set: bytes, study: str = "1.2.3", received_ms: int = 1_767_600_000_000) -> Incoming:
    digest = hashlib.sha256(FILE_HEAD + data_set).digest()
    return Incoming(kept(study), received_ms, digest, (FILE_HEAD, data_set))


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
        found.append(read(entry.shelf.path, entry.found)[1].removeprefix(FILE_HEAD))
        spool.once_more(entry)
        spool.settled(entry)
    return found


def segments(folder: Path) -> list[Path]:
    """Of all processes; without what stands aside."""
    return [path for owned in sorted(places.owned_folders(folder)) for path in places.segments(owned)]
