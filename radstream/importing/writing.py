"""Writes an object as a file (PS3.10), its pixels a frame at a time, so that memory holds one frame and no more."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO, Final

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from radstream.importing.made import Encapsulated, Made, Native, Refused
from radstream.importing.objects import OBJECT_BYTES_MAX
from streams.stored_file import PREAMBLE, file_meta

_ITEM, _DELIMITER = (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)
_UNDEFINED: Final = 0xFFFFFFFF


def encoded(dataset: Dataset) -> bytes:
    """In Explicit VR Little Endian (PS3.5 section A.2)."""
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, dataset)
    return buffer.getvalue()


def write(path: Path, made: Made) -> int:
    """How many bytes it has. The file is there whole or not at all. Raises Refused, OSError."""
    head = encoded(made.dataset)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            file.write(
                PREAMBLE + file_meta(made.dataset.SOPClassUID, made.dataset.SOPInstanceUID, made.transfer_syntax)
            )
            file.write(head)
            if isinstance(made.pixels, Native):
                _native(file, made.pixels, made.dataset.BitsAllocated)
            else:
                _encapsulated(file, made.pixels)
            size = file.tell()
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return size


def _native(file: BinaryIO, pixels: Native, bits: int) -> None:
    if pixels.size > OBJECT_BYTES_MAX:
        raise Refused(f"its pixels are {pixels.size / 1e9:.1f} GB, too many for one object; divide the file")
    odd = pixels.size % 2
    file.write(struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW" if bits > 8 else b"OB", 0, pixels.size + odd))
    before = file.tell()
    for frame in pixels.frames():
        file.write(frame)
    if file.tell() - before != pixels.size:
        raise Refused("its pixels are not as many as its header says; it is damaged")
    file.write(b"\0" * odd)


def _encapsulated(file: BinaryIO, pixels: Encapsulated) -> None:
    """With a Basic Offset Table where there are several codestreams (PS3.5 section A.4)."""
    file.write(struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, _UNDEFINED))
    entries = pixels.count if pixels.count > 1 else 0
    file.write(struct.pack("<HHI", *_ITEM, 4 * entries) + b"\0" * (4 * entries))
    start, offsets = file.tell(), []
    for frame in pixels.frames():
        offsets.append(file.tell() - start)
        file.write(struct.pack("<HHI", *_ITEM, len(frame) + len(frame) % 2))
        file.write(frame + b"\0" * (len(frame) % 2))
        if file.tell() > OBJECT_BYTES_MAX:
            raise Refused("as one object it is more than the 1 GB that the router takes; divide the file")
    file.write(struct.pack("<HHI", *_DELIMITER, 0))
    if len(offsets) != pixels.count:
        raise Refused("its frames are not as many as its header says; it is damaged")
    if entries:
        file.seek(start - 4 * entries)
        file.write(struct.pack(f"<{entries}I", *offsets))
        file.seek(0, os.SEEK_END)
