"""The format of a segment: a head of its own, then records, each whole or not at all.

A segment begins with 32 bytes:

    "RSPOOL"   6 bytes
    version    uint16, 1
    reserved   8 bytes of zeros
    id         16 random bytes

A record is its head, its metadata, and a DICOM file (PS3.10) as the store will have it: preamble and group 0002, then
the data set as it was received. All integers are little endian. The head has 116 bytes:

    magic      4 bytes, "RSIN"
    version    uint16, 1
    reserved   uint16, 0
    id         16 bytes, the segment's
    metadata   uint32, its length in bytes
    number     uint32, of the record in its segment, from 0
    file       uint64, its length in bytes
    received   uint64, milliseconds since 1970 (UTC)
    digest     32 bytes, SHA-256 of the file: the instance's digest
    crc        uint32, CRC-32 (ISO 3309) of the head up to here: its lengths can be believed
    check      32 bytes, SHA-256 of the head up to here and of the metadata

The metadata are JSON (`Kept`). The segment's id is random and part of every check, so a data set that was made to look
like records is none: whoever sends it cannot know the id. A check names its record, and says in the file of progress
beside the segment that the record is committed.

Records follow each other at once, or the second begins with a page, a multiple of 4096 bytes behind the beginning of
the segment, and zeros are in front of it (`straight`). Their numbers say that nothing else was there.
"""

from __future__ import annotations

import hashlib
import secrets
import struct
import zlib
from dataclasses import dataclass
from typing import Final

import msgspec

from producers.dicom_router.arrival import SourceProtocol
from schemas import Lane

VERSION: Final = 1
# What the disk takes past the page cache is of whole ones, on any machine.
PAGE_BYTES: Final = 4096
_SEGMENT: Final = struct.Struct("<6sH8x16s")
_SEGMENT_MAGIC: Final = b"RSPOOL"
SEGMENT_HEAD_BYTES: Final = _SEGMENT.size

RECORD_MAGIC: Final = b"RSIN"
_FIELDS: Final = struct.Struct("<4sHH16sIIQQ32s")
_CRC: Final = struct.Struct("<I")
_CHECKED: Final = _FIELDS.size + _CRC.size
CHECK_BYTES: Final = hashlib.sha256().digest_size
HEAD_BYTES: Final = _CHECKED + CHECK_BYTES
# UIDs, titles, a trace: a few hundred bytes. What says more is damaged.
METADATA_BYTES_MAX: Final = 64 << 10


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed to commit a request later, beside its bytes. `file_head` is the length of preamble and group 0002.

    UIDs are as the sender gave them. `study` is the data set's, checked, or empty; `trace` is a traceparent.
    """

    tenant: str
    site: str
    lane: Lane
    trace: str
    study: str
    file_head: int
    sop_class_uid: str
    sop_instance_uid: str
    abstract_syntax: str
    transfer_syntax_uid: str
    calling_ae: str
    called_ae: str
    association: str
    # Absent in what was spooled before there were other doors.
    protocol: SourceProtocol = "DIMSE"
    # Of a file that had something in front of it.
    preamble: str = ""
    # Its tick (`ticks`): lower is before, whichever process has it. 0 in what was spooled before there were ticks.
    tick: int = 0


@dataclass(frozen=True, slots=True)
class Head:
    """A record's head, whose check was right. `metadata` and `file` are lengths in bytes."""

    metadata: int
    number: int
    file: int
    received_ms: int
    digest: bytes
    check: bytes

    @property
    def length(self) -> int:
        """Of the whole record, in bytes."""
        return HEAD_BYTES + self.metadata + self.file


class NotARecord(Exception):
    """The bytes are no record of this segment, or a damaged one."""


class OfAnotherVersion(NotARecord):
    """A record as good as any, which a version of the software wrote that knew more: before it was taken back."""

    def __init__(self, head: Head) -> None:
        super().__init__("metadata that another version of the router wrote, which this one cannot read")
        self.head = head


def page_end(place: int) -> int:
    """Where the page ends that a place is in; itself where one begins there."""
    return -(-place // PAGE_BYTES) * PAGE_BYTES


def new_segment() -> tuple[bytes, bytes]:
    """The head of a new segment, and its id."""
    segment_id = secrets.token_bytes(16)
    return _SEGMENT.pack(_SEGMENT_MAGIC, VERSION, segment_id), segment_id


def segment_id(head: bytes) -> bytes:
    """The id in the head of a segment. Raises NotARecord."""
    if len(head) < SEGMENT_HEAD_BYTES:
        raise NotARecord("no whole head of a segment")
    magic, version, found = _SEGMENT.unpack_from(head)
    if magic != _SEGMENT_MAGIC or version != VERSION or any(head[8:16]):
        raise NotARecord("not the head of a segment")
    return bytes(found)


def packed(
    segment: bytes, number: int, received_ms: int, digest: bytes, file: int, metadata: bytes
) -> tuple[bytes, Head]:
    """Head and metadata of a record, and what they say; the file's `file` bytes come behind it."""
    fields = _FIELDS.pack(RECORD_MAGIC, VERSION, 0, segment, len(metadata), number, file, received_ms, digest)
    fields += _CRC.pack(zlib.crc32(fields))
    check = hashlib.sha256(fields + metadata).digest()
    return b"".join((fields, check, metadata)), Head(len(metadata), number, file, received_ms, digest, check)


def beginning(segment: bytes) -> bytes:
    """What every record of a segment begins with."""
    return struct.pack("<4sHH16s", RECORD_MAGIC, VERSION, 0, segment)


def lengths(data: bytes, segment: bytes) -> tuple[int, int]:
    """How many bytes the metadata and the file have, out of the head alone. Raises NotARecord."""
    if len(data) < HEAD_BYTES or not data.startswith(beginning(segment)):
        raise NotARecord("no head of a record")
    if _CRC.unpack_from(data, _FIELDS.size)[0] != zlib.crc32(data[: _FIELDS.size]):
        raise NotARecord("the head of a record is damaged")
    fields = _FIELDS.unpack_from(data)
    if fields[4] > METADATA_BYTES_MAX:
        raise NotARecord("more metadata than a record has")
    return fields[4], fields[6]


def unpacked(data: bytes, segment: bytes) -> Head:
    """The head that `data`, head and metadata, hold. Raises NotARecord."""
    metadata, file = lengths(data, segment)
    check = data[_CHECKED:HEAD_BYTES]
    if hashlib.sha256(data[:_CHECKED] + data[HEAD_BYTES:]).digest() != check:
        raise NotARecord("the metadata of a record are damaged")
    number, received_ms, digest = (_FIELDS.unpack_from(data)[place] for place in (5, 7, 8))
    return Head(metadata, number, file, received_ms, digest, check)


def short(sop_instance_uid: str) -> int:
    """What an instance that waits is known by, in 8 bytes: two may have the same."""
    return int.from_bytes(hashlib.blake2b(sop_instance_uid.encode(), digest_size=8).digest())


def encoded(kept: Kept) -> bytes:
    return msgspec.json.encode(kept)


def decoded(metadata: bytes) -> Kept:
    """Raises NotARecord for metadata that another version of the software wrote in a way that this one cannot read."""
    try:
        return msgspec.json.decode(metadata, type=Kept)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise NotARecord("metadata that cannot be read") from None
