"""The stored file: a data set, received or made here, in the DICOM file format (PS3.10 section 7.1).

Everything before the data set is a function of SOP class, SOP instance and transfer syntax, with the rest constant for
life: the digest of the file then names the same bytes whoever stored them, and with whichever version of this code.
"""

from __future__ import annotations

import struct

PREAMBLE = bytes(128) + b"DICM"
# Both are in every digest ever made. They never change, whatever the version of the software.
IMPLEMENTATION_CLASS_UID = "2.25.188153849471577173041411818659050633527"
IMPLEMENTATION_VERSION_NAME = "RADSTREAM"


def stored_file(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, data_set: bytes) -> bytes:
    """The file to store. UIDs are ASCII; an empty one is written as an empty element."""
    return b"".join((PREAMBLE, file_meta(sop_class_uid, sop_instance_uid, transfer_syntax_uid), data_set))


def file_meta(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Group 0002 in Explicit VR Little Endian, group length included."""
    elements = b"".join(
        (
            struct.pack("<HH2s2xI", 0x0002, 0x0001, b"OB", 2) + b"\x00\x01",
            _short(0x0002, b"UI", sop_class_uid),
            _short(0x0003, b"UI", sop_instance_uid),
            _short(0x0010, b"UI", transfer_syntax_uid),
            _short(0x0012, b"UI", IMPLEMENTATION_CLASS_UID),
            _short(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME),
        )
    )
    return struct.pack("<HH2sHI", 0x0002, 0x0000, b"UL", 4, len(elements)) + elements


def _short(element: int, vr: bytes, text: str) -> bytes:
    """An element with a 16-bit length, padded to an even one: UI with a null, SH with a space (PS3.5 section 6.2)."""
    value = text.encode("ascii")
    value += (b"\x00" if vr == b"UI" else b" ") * (len(value) % 2)
    return struct.pack("<HH2sH", 0x0002, element, vr, len(value)) + value
