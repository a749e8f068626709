"""JPEG of 12 bits (PS3.5 annex A.4.2) by DCMTK's `dcmdjpeg`, for what the library cannot decode.

It runs as a helper's child, within the limits of that helper, between two files in memory: no folder is written to.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from typing import Final

import numpy as np

from streams.codestream import picture
from streams.elements import PIXEL_DATA, Malformed, TooComplex
from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN, TRANSFER_SYNTAX_UID, read
from streams.pixels.claims import Pixels, Undecodable
from streams.pixels.image import Image
from streams.recoding.around import short

_JPEG_EXTENDED: Final = "1.2.840.10008.1.2.4.51"
_SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
_TWELVE: Final = 12


def may_know(codestream: bytes, image: Image) -> bool:
    """Whether this is worth a process: one grey sample of twelve bits, as the codestream itself says."""
    head = picture(codestream)
    return (
        image.transfer_syntax_uid == _JPEG_EXTENDED and head is not None and (head.samples, head.bits) == (1, _TWELVE)
    )


def decode(codestream: bytes, image: Image) -> Pixels | None:
    """One frame in `image.shape`; None where `dcmdjpeg` is not installed. Raises Undecodable."""
    program = shutil.which("dcmdjpeg")
    if program is None:
        return None
    source, target = os.memfd_create("source"), os.memfd_create("target")
    try:
        os.write(source, _file(codestream, image))
        done = subprocess.run(
            [program, "--quiet", f"/proc/self/fd/{source}", f"/proc/self/fd/{target}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(source, target),
            check=False,
        )
        if done.returncode:
            raise Undecodable("dcmdjpeg refuses it")
        return _pixels(os.pread(target, os.fstat(target).st_size, 0), image)
    finally:
        os.close(source)
        os.close(target)


def _pixels(data: bytes, image: Image) -> Pixels:
    try:
        file = read(data)
    except (Malformed, TooComplex):
        raise Undecodable("dcmdjpeg writes no file") from None
    element = file.elements.get(PIXEL_DATA)
    if element is None or file.transfer_syntax_uid != EXPLICIT_VR_LITTLE_ENDIAN or element.length < image.frame_bytes:
        raise Undecodable("dcmdjpeg writes another picture")
    pixels: Pixels = np.frombuffer(data, image.dtype.newbyteorder("<"), image.rows * image.columns, element.value_at)
    return pixels.astype(image.dtype).reshape(image.shape)


def _file(codestream: bytes, image: Image) -> bytes:
    """The frame as an image of its own, with what a decoder needs to know and no more (PS3.10 section 7)."""
    meta = b"".join(
        (
            _long(0x00020001, b"OB", b"\0\1"),
            short(0x00020002, b"UI", _SECONDARY_CAPTURE.encode()),
            short(0x00020003, b"UI", b"2.25.1"),
            short(TRANSFER_SYNTAX_UID, b"UI", image.transfer_syntax_uid.encode()),
            short(0x00020012, b"UI", b"2.25.2"),
        )
    )
    words = (
        (0x00280010, image.rows),
        (0x00280011, image.columns),
        (0x00280100, image.bits_allocated),
        (0x00280101, image.bits_stored),
        (0x00280102, image.high_bit),
        (0x00280103, int(image.signed)),
    )
    padded = codestream + b"\0" * (len(codestream) % 2)
    parts = [
        bytes(128) + b"DICM",
        short(0x00020000, b"UL", struct.pack("<I", len(meta))),
        meta,
        short(0x00080016, b"UI", _SECONDARY_CAPTURE.encode()),
        short(0x00080018, b"UI", b"2.25.1"),
        short(0x00280002, b"US", struct.pack("<H", 1)),
        short(0x00280004, b"CS", b"MONOCHROME2 "),
        *(short(tag, b"US", struct.pack("<H", value)) for tag, value in words),
        struct.pack("<HH2s2xI", 0x7FE0, 0x0010, b"OB", 0xFFFFFFFF),
        struct.pack("<HHIHHI", 0xFFFE, 0xE000, 0, 0xFFFE, 0xE000, len(padded)),
        padded,
        struct.pack("<HHI", 0xFFFE, 0xE0DD, 0),
    ]
    return b"".join(parts)


def _long(tag: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2s2xI", tag >> 16, tag & 0xFFFF, vr, len(value)) + value
