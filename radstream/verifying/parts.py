"""Which part of a stored file has changed: its header, its metadata, or its pixels."""

from __future__ import annotations

from radstream.verifying.finding import Part
from streams import part10
from streams.elements import Malformed, TooComplex
from streams.part10 import Part10
from streams.stored_file import PREAMBLE, file_meta

SOP_CLASS, SOP_INSTANCE, STUDY, SERIES = 0x00080016, 0x00080018, 0x0020000D, 0x0020000E


def changed_part(data: bytes, metadata: bytes | None) -> tuple[Part, Part10 | None]:
    """What of the file is not as it was, and the file where it can still be read.

    `metadata` is the hash (32 bytes) of what it was, None where nobody knows. All that is known of the rest is that the
    hash of the whole file differs.
    """
    try:
        file = part10.read(data)
    except Malformed as error:
        return ("cut" if error.code == "truncated" else "structure"), None
    except TooComplex:
        return "structure", None
    if metadata is not None and part10.metadata_sha256(file) != metadata.hex():
        return "metadata", file
    if not _header_is_ours(data, file):
        return "header", file
    pixels = file.pixel_data
    if pixels is not None and pixels.truncated:
        return "cut", file
    return ("unknown" if metadata is None else "pixels"), file


def uids(file: Part10) -> tuple[str, str, str]:
    """Of study, series and SOP instance; empty where there is none."""
    return file.text(STUDY) or "", file.text(SERIES) or "", file.text(SOP_INSTANCE) or ""


def _header_is_ours(data: bytes, file: Part10) -> bool:
    """Whether preamble and group 0002 are what they must be for this data set (`streams.stored_file`)."""
    _, end = part10.file_meta(data)
    try:
        ours = file_meta(file.text(SOP_CLASS) or "", file.text(SOP_INSTANCE) or "", file.transfer_syntax_uid)
    except UnicodeEncodeError:
        return False
    return data[:end] == PREAMBLE + ours
