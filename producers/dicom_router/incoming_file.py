"""A DICOM file (PS3.10) that comes in by pieces, by STOW-RS or out of a folder, becomes an arrival.

Preamble and group 0002 are taken off, as a C-STORE would not bring them; the data set stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from producers.dicom_router.arrival import (
    CANNOT_UNDERSTAND,
    NOT_OF_STUDY,
    TOO_LARGE,
    Arrival,
    Protocol,
    Refusal,
)
from producers.dicom_router.header import SOP_CLASS, SOP_INSTANCE, STUDY, Header, read_header, shown_transfer_syntax
from streams.file_head import HEAD_BYTES, MEDIA_SOP_CLASS, MEDIA_SOP_INSTANCE, split
from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN, TRANSFER_SYNTAX_UID

_TOO_LARGE: Final = Refusal(TOO_LARGE, "the file is larger than [router] object_bytes_max")
_NO_INSTANCE: Final = Refusal(
    CANNOT_UNDERSTAND, "not a DICOM file: neither a file header nor a data set names a SOP instance"
)
_ILLEGAL_MAX: Final = 128
_NO_SYNTAX: Final = Refusal(CANNOT_UNDERSTAND, "the file says in no way which transfer syntax it is in")
_OTHER_STUDY: Final = Refusal(NOT_OF_STUDY, "the data set is of another study than the one that the request names")


@dataclass(frozen=True)
class Door:
    """By which way files come in. `calling_ae` stands for the sender where there is no AE title."""

    protocol: Protocol
    calling_ae: str
    called_ae: str
    object_bytes_max: int


class IncomingFile:
    """Used by one thread: `write` as bytes come, then `arrival`, once.

    Of a file over the ceiling, the bytes are let go as they come. Memory: the file, and once more while the arrival is
    made of it.
    """

    def __init__(self, door: Door, association: str) -> None:
        self._door = door
        self._association = association
        self._bytes = bytearray()
        self._beginning: bytes | None = None

    def write(self, piece: bytes | memoryview) -> None:
        if self._beginning is not None:
            return
        self._bytes += piece
        if len(self._bytes) > self._door.object_bytes_max:
            self._beginning = bytes(memoryview(self._bytes)[:HEAD_BYTES])
            self._bytes = bytearray()

    def arrival(self, study_uid: str = "", fault: Refusal | None = None) -> Arrival:
        """What came. `study_uid` is the study that it has to be of, `fault` what its sender did wrong already."""
        oversize = self._beginning is not None
        head = self._beginning or bytes(memoryview(self._bytes)[:HEAD_BYTES])
        meta, start = split(head)
        named = meta.get(TRANSFER_SYNTAX_UID, "")
        data_set = memoryview(head if oversize else self._bytes)[start:]
        header = read_header(data_set, named or EXPLICIT_VR_LITTLE_ENDIAN)
        sop_class = header.uid(SOP_CLASS) or meta.get(MEDIA_SOP_CLASS, "") or _illegal(header, SOP_CLASS)
        sop_instance = header.uid(SOP_INSTANCE) or meta.get(MEDIA_SOP_INSTANCE, "") or _illegal(header, SOP_INSTANCE)
        syntax = named or shown_transfer_syntax(header)
        fault = fault or (_TOO_LARGE if oversize else _fault(header, sop_instance, syntax, study_uid))
        kept = b"" if fault else bytes(data_set)
        data_set.release()
        self._bytes = bytearray()
        return Arrival(
            sop_class_uid=sop_class,
            sop_instance_uid=sop_instance,
            abstract_syntax=sop_class,
            transfer_syntax_uid=syntax,
            data_set=kept,
            calling_ae=self._door.calling_ae,
            called_ae=self._door.called_ae,
            association=self._association,
            protocol=self._door.protocol,
            fault=fault,
        )


def _illegal(header: Header, tag: int) -> str:
    """A UID that cannot be a name, and yet is what the sender calls the instance, as in the command of a C-STORE."""
    text = header.values.get(tag, b"").rstrip(b"\x00 ").decode("latin-1")
    return text if len(text) <= _ILLEGAL_MAX and text.isascii() and text.isprintable() else ""


def _fault(header: Header, sop_instance: str, syntax: str, study_uid: str) -> Refusal | None:
    if not sop_instance:
        return _NO_INSTANCE
    if not syntax:
        return _NO_SYNTAX
    if study_uid and header.uid(STUDY) != study_uid:
        return _OTHER_STUDY
    return None
