"""What the router reads of a data set: identity, technical attributes, and what goes into the protected blocks.

The negotiated transfer syntax is believed first; a data set that yields no identity with it is tried as the other
encodings, since mislabelled objects are common. Whatever cannot be read is absent: validation says so later.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Final

from producers.dicom_router import tags
from producers.dicom_router.text import decoded
from streams.elements import Encoding
from streams.events import Technical
from streams.identity import uid_is_usable, uid_text
from streams.part10 import (
    DEFLATED,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from streams.terms import BODY_PARTS, MODALITIES, PHOTOMETRICS

SOP_CLASS, SOP_INSTANCE, STUDY, SERIES = 0x00080016, 0x00080018, 0x0020000D, 0x0020000E
_CHARACTER_SET: Final = 0x00080005

# Constant within a study, or nearly: what changes from image to image would make a block for each.
STUDY_BLOCK: Final[Mapping[int, str]] = {
    0x00080020: "StudyDate",
    0x00080030: "StudyTime",
    0x00080050: "AccessionNumber",
    0x00080090: "ReferringPhysicianName",
    0x00081030: "StudyDescription",
    0x00100010: "PatientName",
    0x00100020: "PatientID",
    0x00100021: "IssuerOfPatientID",
    0x00100030: "PatientBirthDate",
    0x00100040: "PatientSex",
    0x00101000: "OtherPatientIDs",
    0x00101001: "OtherPatientNames",
    0x00101010: "PatientAge",
    0x00200010: "StudyID",
}
SERIES_BLOCK: Final[Mapping[int, str]] = {
    0x00080021: "SeriesDate",
    0x00080031: "SeriesTime",
    0x00080080: "InstitutionName",
    0x00081010: "StationName",
    0x0008103E: "SeriesDescription",
    0x00081050: "PerformingPhysicianName",
    0x00181030: "ProtocolName",
    0x00400244: "PerformedProcedureStepStartDate",
    0x00400245: "PerformedProcedureStepStartTime",
    0x00400275: "RequestAttributesSequence",
}
# What is kept of each item of a sequence, in this order, with backslashes between: that character is in no SH.
_ITEMS: Final[Mapping[int, tuple[int, ...]]] = {0x00400275: (0x00400009, 0x00401001)}
# By the field of `streams.events.Technical`: CS, IS with the least value that makes sense, and US (PS3.5 section 6.2).
_CODES: Final = {
    "modality": (0x00080060, MODALITIES),
    "body_part": (0x00180015, BODY_PARTS),
    "photometric": (0x00280004, PHOTOMETRICS),
}
_INTEGER_STRINGS: Final = {
    "series_number": (0x00200011, -(2**31)),
    "instance_number": (0x00200013, -(2**31)),
    "frames": (0x00280008, 1),
}
_SHORTS: Final = {
    "samples_per_pixel": 0x00280002,
    "rows": 0x00280010,
    "columns": 0x00280011,
    "bits_allocated": 0x00280100,
    "bits_stored": 0x00280101,
    "pixel_representation": 0x00280103,
}
_WANTED: Final = frozenset(
    (
        _CHARACTER_SET,
        SOP_CLASS,
        SOP_INSTANCE,
        STUDY,
        SERIES,
        *STUDY_BLOCK,
        *SERIES_BLOCK,
        *(tag for tag, _ in _CODES.values()),
        *(tag for tag, _ in _INTEGER_STRINGS.values()),
        *_SHORTS.values(),
    )
)

_IMPLICIT, _EXPLICIT = Encoding(explicit=False), Encoding(explicit=True)
_BIG = Encoding(explicit=True, byte_order="big")
# Every other transfer syntax is explicit VR little endian (PS3.5 annex A).
_ENCODINGS: Final = {IMPLICIT_VR_LITTLE_ENDIAN: _IMPLICIT, EXPLICIT_VR_BIG_ENDIAN: _BIG}
# PS3.5 section 6.2: what IS may hold.
_INTEGER_STRING: Final = re.compile(rb"[+-]?[0-9]{1,11}\Z")
_TEXT_MAX: Final = 1024
# One at a time: an inflated header may take all that `tags.INFLATED_BYTES_MAX` allows, for a kilobyte that was sent.
_INFLATING: Final = threading.Lock()


@dataclass(frozen=True)
class Header:
    """Raw values by tag, in `encoding`. UIDs are given only where they can be names (`streams.identity`)."""

    values: Mapping[int, bytes]
    encoding: Encoding

    def uid(self, tag: int) -> str:
        """The UID, or an empty string where it is absent or unusable: it could be anything."""
        uid = uid_text(self.values.get(tag, b""))
        return uid if uid_is_usable(uid) else ""

    def technical(self) -> Technical:
        fields: dict[str, str | int | None] = {name: self._code(*code) for name, code in _CODES.items()}
        fields |= {name: self._integer(tag, least) for name, (tag, least) in _INTEGER_STRINGS.items()}
        fields |= {name: self._short(tag) for name, tag in _SHORTS.items()}
        return Technical(**fields)  # type: ignore[arg-type]

    def protected(self, block: Mapping[int, str]) -> dict[str, str]:
        """Keyword to text of the attributes of a block that are there and not empty."""
        character_sets = self.values.get(_CHARACTER_SET, b"")
        texts = {
            keyword: self._items(tag, character_sets) if tag in _ITEMS else decoded(self.values[tag], character_sets)
            for tag, keyword in block.items()
            if tag in self.values
        }
        return {keyword: text[:_TEXT_MAX] for keyword, text in texts.items() if text}

    def _items(self, tag: int, character_sets: bytes) -> str:
        """Of each item that has one of them; empty where none has."""
        wanted = _ITEMS[tag]
        found = [
            [decoded(item.get(one, b""), character_sets).partition("\\")[0] for one in wanted]
            for item in tags.items(self.values[tag], self.encoding, wanted)
        ]
        return "\\".join("\\".join(texts) for texts in found if any(texts))

    def _code(self, tag: int, terms: Set[str]) -> str | None:
        value = self.values.get(tag, b"").strip(b"\x00 ").decode("latin-1")
        return value if value in terms else None

    def _integer(self, tag: int, least: int) -> int | None:
        value = self.values.get(tag, b"").strip(b"\x00 ")
        if not _INTEGER_STRING.match(value):
            return None
        number = int(value)
        return number if least <= number < 2**31 else None

    def _short(self, tag: int) -> int | None:
        value = self.values.get(tag, b"")
        return int.from_bytes(value, self.encoding.byte_order) if len(value) == 2 else None


def read_header(data_set: bytes | memoryview, transfer_syntax_uid: str) -> Header:
    """The header of a data set as it was received. Never raises; costs at most what the ceilings of `tags` allow."""
    if transfer_syntax_uid in DEFLATED:
        with _INFLATING:
            return _read(tags.inflated(data_set) or data_set, transfer_syntax_uid)
    return _read(data_set, transfer_syntax_uid)


def _read(data_set: bytes | memoryview, transfer_syntax_uid: str) -> Header:
    declared = _ENCODINGS.get(transfer_syntax_uid, _EXPLICIT)
    first = _scanned(data_set, declared)
    if first.uid(SOP_INSTANCE):
        return first
    others = [_scanned(data_set, other) for other in (_EXPLICIT, _IMPLICIT, _BIG) if other != declared]
    return next((header for header in others if header.uid(SOP_INSTANCE)), first)


def shown_transfer_syntax(header: Header) -> str:
    """The transfer syntax that a data set shows by itself, without a file header; empty where it shows none."""
    if not header.uid(SOP_INSTANCE) and not header.uid(SOP_CLASS):
        return ""
    if not header.encoding.explicit:
        return IMPLICIT_VR_LITTLE_ENDIAN
    return EXPLICIT_VR_LITTLE_ENDIAN if header.encoding.byte_order == "little" else EXPLICIT_VR_BIG_ENDIAN


def _scanned(data_set: bytes | memoryview, encoding: Encoding) -> Header:
    return Header(tags.scan(data_set, encoding, _WANTED), encoding)
