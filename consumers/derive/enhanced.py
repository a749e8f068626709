"""An enhanced image as a DICOM object of its own, which says what it is made of, how, and what it is not for.

Image Type DERIVED\\SECONDARY, its source and its derivation are named (PS3.3 sections C.7.6.1.1.2, C.7.6.1.1.3 and
C.12.4), in a series of its own. The original is not touched.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from consumers.derive.enhancing import Enhancing, enhanced
from consumers.derive.enhancing_labels import TAKEN_OUT, labels
from consumers.derive.header import EXTENDED_LENGTHS, EXTENDED_OFFSETS
from consumers.derive.pack import Part
from streams.elements import PIXEL_DATA, Malformed, TooComplex
from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN, Part10
from streams.pixels.codecs import Undecodable
from streams.pixels.frames import Frames
from streams.pixels.image import Image
from streams.recoding import implicit
from streams.recoding.around import Unconvertible, around_pixels
from streams.rendering.grey import as_cells, cells
from streams.rendering.modality import MODALITY_LUT
from streams.rendering.padding import padding_of
from streams.rendering.scopes import PER_FRAME, SHARED
from streams.stored_file import stored_file

SOP_CLASS = 0x00080016
# Its Image Type has PRIMARY alone as second value (PS3.3 section C.8.9.4.1.1), and its values are there to be measured.
_PET = "1.2.840.10008.5.1.4.1.1.128"


@dataclass(frozen=True)
class Asked:
    """How, and the UIDs of what is made: digits and dots, at most 64 characters."""

    how: Enhancing
    sop_instance_uid: str
    series_uid: str


def enhanced_object(file: Part10, image: Image, frames: Frames, asked: Asked, pixel_bytes_max: int) -> Part | str:
    """The object in explicit VR little endian, or the note that says why there is none."""
    if note := _refused(file, image, pixel_bytes_max, asked.how):
        return note
    try:
        stored = [_stored(frames.frame(index), image) for index in range(image.frames)]
        padding = padding_of(file, signed=image.signed)
        hidden = [_is_padding(one, padding) for one in stored]
        span = _span(stored, hidden)
        made = [enhanced(one, unseen, span, asked.how) for one, unseen in zip(stored, hidden, strict=True)]
        return _part(file, image, made, span, asked)
    except _OutOfRange:
        return "bits_beyond_stored"
    except Undecodable as error:
        return error.code
    except (Malformed, TooComplex, Unconvertible):
        return "unconvertible"


class _OutOfRange(Exception):
    """A pixel has bits set beyond Bits Stored."""


def _refused(file: Part10, image: Image, pixel_bytes_max: int, how: Enhancing) -> str | None:
    """Frames with functional groups of their own say what they are there; a modality table makes other values."""
    is_grey = image.samples == 1 and image.photometric in ("MONOCHROME1", "MONOCHROME2")
    fits = is_grey and image.bits_allocated in (8, 16) and image.high_bit == image.bits_stored - 1
    fits = fits and not {PER_FRAME, SHARED} & file.elements.keys() and file.text(SOP_CLASS) != _PET
    if not fits or (how.method == "clahe" and MODALITY_LUT in file.elements):
        return "enhancement_unsupported"
    # A stored value takes four bytes on its way, and is there twice.
    if image.rows * image.columns * image.frames * 8 > pixel_bytes_max:
        return "enhancement_too_large"
    return "irregular_elements" if file.oddities - {"odd_length"} else None


def _stored(frame: NDArray[np.integer], image: Image) -> NDArray[np.int32]:
    stored: NDArray[np.int32] = cells(image)[as_cells(frame, image)]
    if not np.array_equal(stored, frame):
        raise _OutOfRange
    return stored


def _is_padding(stored: NDArray[np.int32], padding: tuple[float, float] | None) -> NDArray[np.bool_]:
    if padding is None:
        return np.zeros(stored.shape, np.bool_)
    return (stored >= padding[0]) & (stored <= padding[1])


def _span(stored: list[NDArray[np.int32]], hidden: list[NDArray[np.bool_]]) -> tuple[int, int]:
    seen = [one[~unseen] for one, unseen in zip(stored, hidden, strict=True)]
    seen = [one for one in seen if one.size]
    return (min(int(one.min()) for one in seen), max(int(one.max()) for one in seen)) if seen else (0, 0)


def _part(file: Part10, image: Image, made: list[NDArray[np.int32]], span: tuple[int, int], asked: Asked) -> Part:
    replaced = dict.fromkeys((*TAKEN_OUT, EXTENDED_OFFSETS, EXTENDED_LENGTHS), b"")
    replaced |= labels(file, span, asked.how, asked.sop_instance_uid, asked.series_uid)
    before, behind = around_pixels(file, replaced)
    if not image.is_native:
        # What is encapsulated deep in a sequence is in the transfer syntax of the whole.
        implicit.converted(before)
        implicit.converted(behind)
    pixels = b"".join(one.astype(image.dtype.newbyteorder("<")).tobytes() for one in made)
    pixels += b"\0" * (len(pixels) % 2)
    head = struct.pack("<HH2s2xI", PIXEL_DATA >> 16, PIXEL_DATA & 0xFFFF, b"OW", len(pixels))
    data_set = b"".join((before, head, pixels, behind))
    data = stored_file((file.text(SOP_CLASS) or ""), asked.sop_instance_uid, EXPLICIT_VR_LITTLE_ENDIAN, data_set)
    return Part("enhanced", "application/dicom", image.rows, image.columns, data, EXPLICIT_VR_LITTLE_ENDIAN)
