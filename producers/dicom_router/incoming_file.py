"""A DICOM file (PS3.10) that comes in by pieces, by STOW-RS or out of a folder, becomes an arrival.

Preamble and group 0002 are taken off, as a C-STORE would not bring them, and of a preamble that says something it is
noted what; the data set stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from producers.dicom_router.arrival import (
    CANNOT_UNDERSTAND,
    NOT_OF_STUDY,
    Arrival,
    Refusal,
    SourceProtocol,
)
from producers.dicom_router.data_set import DataSet, Fate, Room
from producers.dicom_router.header import SOP_CLASS, SOP_INSTANCE, STUDY, Header, read_header, shown_transfer_syntax
from streams.file_head import HEAD_BYTES, MEDIA_SOP_CLASS, MEDIA_SOP_INSTANCE, split
from streams.identity import uid_text
from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN, TRANSFER_SYNTAX_UID
from streams.preamble import PREAMBLE_BYTES, kind_of

_NO_INSTANCE: Final = Refusal(
    CANNOT_UNDERSTAND, "not a DICOM file: neither a file header nor a data set names a SOP instance"
)
_ILLEGAL_MAX: Final = 128
_NO_SYNTAX: Final = Refusal(CANNOT_UNDERSTAND, "the file says in no way which transfer syntax it is in")
_OTHER_STUDY: Final = Refusal(NOT_OF_STUDY, "the data set is of another study than the one that the request names")


@dataclass(frozen=True)
class Door:
    """By which way files come in. `calling_ae` stands for the sender where there is no AE title."""

    protocol: SourceProtocol
    calling_ae: str
    called_ae: str
    room: Room


class IncomingFile:
    """Used by one thread: `write` as bytes come, then `arrival`, once; `done` ends it, also without an arrival.

    The data set goes where those of C-STOREs go, within the same budgets (`data_set.Room`). Of a file over the ceiling,
    the bytes are let go as they come.
    """

    def __init__(self, door: Door, association: str) -> None:
        self._door = door
        self._association = association
        self._head = bytearray()
        self._begun: _Begun | None = None

    def write(self, piece: memoryview) -> None:
        """Raises OSError without memory."""
        if self._begun is None:
            missing = HEAD_BYTES - len(self._head)
            self._head += piece[:missing]
            if len(self._head) < HEAD_BYTES:
                return
            self._begin()
            piece = piece[missing:]
        self._append(piece)

    def arrival(self, study_uid: str = "", fault: Refusal | None = None) -> Arrival:
        """What came. `study_uid` is the study that it has to be of, `fault` what its sender did wrong already.

        The bytes are there until `done`. Raises OSError without memory.
        """
        begun = self._begun or self._begin()
        content, header = begun.content, begun.header
        if content.fate is Fate.HERE:
            header = read_header(content.view, begun.transfer_syntax_uid)
        sop_class = _named(header, SOP_CLASS, begun.meta.get(MEDIA_SOP_CLASS, ""))
        sop_instance = _named(header, SOP_INSTANCE, begun.meta.get(MEDIA_SOP_INSTANCE, ""))
        if fault is None and content.fate is Fate.HERE:
            fault = _fault(header, sop_instance, begun.transfer_syntax_uid, study_uid)
        return Arrival(
            sop_class_uid=sop_class,
            sop_instance_uid=sop_instance,
            abstract_syntax=sop_class,
            transfer_syntax_uid=begun.transfer_syntax_uid,
            content=content,
            calling_ae=self._door.calling_ae,
            called_ae=self._door.called_ae,
            association=self._association,
            protocol=self._door.protocol,
            fault=fault,
            preamble=begun.preamble,
        )

    def done(self, *, reusable: bool) -> None:
        """As `DataSet.done`."""
        if self._begun is not None:
            self._begun.content.done(reusable=reusable)

    def _begin(self) -> _Begun:
        """Reads the head, which says where the data set begins and what it probably is."""
        head = bytes(self._head)
        meta, start = split(head)
        named = meta.get(TRANSFER_SYNTAX_UID, "")
        header = read_header(memoryview(head)[start:], named or EXPLICIT_VR_LITTLE_ENDIAN)
        syntax = named or shown_transfer_syntax(header)
        sop_class = header.uid(SOP_CLASS) or meta.get(MEDIA_SOP_CLASS, "")
        sop_instance = header.uid(SOP_INSTANCE) or meta.get(MEDIA_SOP_INSTANCE, "")
        content = DataSet(self._door.room, sop_class, sop_instance, syntax)
        # Without a file header the first bytes are the data set's.
        preamble = kind_of(head[:PREAMBLE_BYTES]) if start else None
        self._begun = _Begun(meta, header, syntax, content, preamble or "")
        self._append(memoryview(head)[start:])
        self._head.clear()
        return self._begun

    def _append(self, piece: memoryview) -> None:
        content = self._begun.content if self._begun else None
        while content is not None and len(piece) and content.fate is Fate.HERE:
            with content.room(len(piece)) as room:
                count = min(len(room), len(piece))
                room[:count] = piece[:count]
            content.filled(count)
            piece = piece[count:]


@dataclass(frozen=True)
class _Begun:
    """A file whose head was read: its preamble's kind, group 0002, the header as far as the head goes, and where the
    data set goes."""

    meta: Mapping[int, str]
    header: Header
    transfer_syntax_uid: str
    content: DataSet
    preamble: str


def _named(header: Header, tag: int, in_file_meta: str) -> str:
    return header.uid(tag) or in_file_meta or _illegal(header, tag)


def _illegal(header: Header, tag: int) -> str:
    """A UID that cannot be a name, and yet is what the sender calls the instance, as in the command of a C-STORE."""
    text = uid_text(header.values.get(tag, b""))
    return text if len(text) <= _ILLEGAL_MAX and text.isascii() and text.isprintable() else ""


def _fault(header: Header, sop_instance: str, syntax: str, study_uid: str) -> Refusal | None:
    if not sop_instance:
        return _NO_INSTANCE
    if not syntax:
        return _NO_SYNTAX
    if study_uid and header.uid(STUDY) != study_uid:
        return _OTHER_STUDY
    return None
