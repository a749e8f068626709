"""An image's data set in Explicit VR Little Endian (PS3.5 section A.2), encoded once but for what changes.

Thousands of images are generated while a pipeline is measured on the same machine, so making one must cost little.
"""

from __future__ import annotations

import struct

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

_SOP_INSTANCE = 0x00080018
_INSTANCE_NUMBER = 0x00200013
_POSITION = 0x00200032
_LOCATION = 0x00201041
_PIXELS = 0x7FE00010


class Template:
    """The data set of a series, cut where an image's own elements go."""

    def __init__(self, dataset: Dataset) -> None:
        cuts = (_SOP_INSTANCE, _INSTANCE_NUMBER, _POSITION, _LOCATION, _PIXELS)
        starts = (0, *(cut + 1 for cut in cuts[:-1]))
        self._constant = [_encode(dataset[start:stop]) for start, stop in zip(starts, cuts, strict=True)]

    def fill(
        self,
        *,
        sop_instance: str,
        instance_number: int,
        position: tuple[float, float, float],
        location: float,
        pixels: bytes,
    ) -> bytes:
        """The whole data set of one image; `position` and `location` in mm, `pixels` as they are stored."""
        own = (
            _element(_SOP_INSTANCE, b"UI", sop_instance, b"\0"),
            _element(_INSTANCE_NUMBER, b"IS", str(instance_number), b" "),
            _element(_POSITION, b"DS", "\\".join(map(str, position)), b" "),
            _element(_LOCATION, b"DS", str(location), b" "),
            struct.pack("<HH2sHI", _PIXELS >> 16, _PIXELS & 0xFFFF, b"OW", 0, len(pixels)) + pixels,
        )
        return b"".join(part for pair in zip(self._constant, own, strict=True) for part in pair)


def _encode(dataset: Dataset) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, dataset)
    return buffer.getvalue()


def _element(tag: int, vr: bytes, text: str, padding: bytes) -> bytes:
    value = text.encode("ascii")
    value += padding * (len(value) % 2)
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value
