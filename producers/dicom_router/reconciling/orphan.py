"""An original without an event: what its own bytes say, and the event that the router would have written of it.

What only the sender knew is gone. The event says so: its source is the reconciler, without titles and association, its
lane is routine, and its time is when the store took the object.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from producers.dicom_router import header as headers
from producers.dicom_router import tags
from producers.dicom_router.archive import STORE, Archive, Receipt
from producers.dicom_router.data_set import StoredFile
from producers.dicom_router.header import Header, read_header
from streams import tracing
from streams.events import ObjectRef
from streams.file_head import HEAD_BYTES, split
from streams.identity import original_key
from streams.objects import Absent, Archived, Damaged, Listed, ObjectStore
from streams.part10 import TRANSFER_SYNTAX_UID
from streams.reading_large import fetch

PROTOCOL: Final = "reconcile"
_MANUFACTURER: Final = 0x00080070
_OURS: Final = b"radstream"
# PS3.4 annex B.5: what steps make beside the images, structured reports and segmentations.
_MADE: Final = ("1.2.840.10008.5.1.4.1.1.88.", "1.2.840.10008.5.1.4.1.1.66.4")
_UUID_UID: Final = re.compile(r"2\.25\.([0-9]{1,39})")


@dataclass(frozen=True)
class Found:
    """Stands for the request that nobody remembers."""

    transfer_syntax_uid: str
    protocol: str = PROTOCOL
    calling_ae: str = ""
    called_ae: str = ""
    association: str = ""
    preamble: str = ""


@dataclass(frozen=True)
class Orphan:
    """Whole bytes under their own key; its parts are what `Archive.keep` takes."""

    request: Found
    header: Header
    file: StoredFile


@dataclass(frozen=True)
class NotOurs:
    """Why an object is not to have an event: a sentence without patient data. `damaged`: its bytes are not those that
    its key promises; `made`: a step of ours made it and looks after it itself."""

    reason: str
    damaged: bool = False
    made: bool = False


def looked_at(store: ObjectStore, tenant: str, listed: Listed, digest: str) -> Orphan | NotOurs | None:
    """What a listed object is; None where it is gone by now. Raises Archived, NoRoom, StoreAway."""
    key, size = listed.key, listed.size
    ref = ObjectRef(
        tenant=tenant, store=STORE, key=key, version_id=listed.version_id, length=size, size=size, sha256=digest
    )
    try:
        data = memoryview(fetch(store, ref))
    except Archived:
        raise
    except Absent:
        return None
    except Damaged:
        return NotOurs("its bytes have another SHA-256 than its key: torn or damaged", damaged=True)
    meta, start = split(bytes(data[:HEAD_BYTES]))
    syntax = meta.get(TRANSFER_SYNTAX_UID, "")
    if not start or not syntax:
        return NotOurs("it has no file header as the router writes it")
    header = read_header(data[start:], syntax)
    uids = (header.uid(headers.STUDY), header.uid(headers.SERIES), header.uid(headers.SOP_INSTANCE))
    if original_key(tenant, *uids, digest) != key:
        return NotOurs("its key has other UIDs than its bytes")
    if _made_by_a_step(data[start:], header):
        return NotOurs("a step of ours made it for a result that another process stored first", made=True)
    return Orphan(Found(syntax), header, StoredFile(data, digest))


def publish(archive: Archive, orphan: Orphan, at: datetime) -> None:
    """The received event, acknowledged, with the id that the router gives it. Raises as `Archive.keep`.

    It goes the router's own way: the protected blocks are stored, and the object is found where it is.
    """
    archive.keep(orphan.request, orphan.header, orphan.file, Receipt(at, "routine", tracing.new_root()))


def _made_by_a_step(data_set: memoryview, header: Header) -> bool:
    """Whether it is a result's object: named by an event of ours (`streams.identity.uid_of_event`), and saying that we
    made it. A loser of a race leaves such an object, and nobody is to take it for an image that came in."""
    named = _UUID_UID.fullmatch(header.uid(headers.SOP_INSTANCE))
    number = int(named[1]) if named else 0
    if not header.uid(headers.SOP_CLASS).startswith(_MADE) or number >> 128 or uuid.UUID(int=number).version != 5:
        return False
    return tags.scan(data_set, header.encoding, {_MANUFACTURER}).get(_MANUFACTURER, b"").strip() == _OURS
