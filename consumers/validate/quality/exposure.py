"""Does the image show anything? Blank ones, and such as have nothing left but the ends of the scale.

Native grey images are read where they lie, with a stride. Frames that are decoded all the same, to see whether they can
be, are looked at in passing (`Seen`), and so are those in colour, of which only blank ones are told: white and black
are parts of any photograph.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from consumers.validate.rule import Broken, Rule
from streams.elements import PIXEL_DATA
from streams.part10 import Part10
from streams.pixels.image import NATIVE, Image

MODALITY, SAMPLES, PHOTOMETRIC = 0x00080060, 0x00280002, 0x00280004
ROWS, COLUMNS = 0x00280010, 0x00280011
BITS_ALLOCATED, BITS_STORED, SIGNED = 0x00280100, 0x00280101, 0x00280103
PADDING = 0x00280120

RULES = {
    "pixels_blank": Rule("warning", None, "Every pixel has the same value: this image shows nothing.", "7FE0,0010"),
    "pixels_saturated": Rule(
        "warning",
        None,
        "Most of this image lies at the upper end of its scale, where nothing can be told apart.",
        "7FE0,0010",
    ),
}

# The share of samples at the top of the stored range above which nothing sensible is shown. Radiographs have much that
# no patient was in front of, and ultrasound is drawn on by the scanner; the bottom is background everywhere.
_TOP_SHARE_MAX = {"CT": 0.25, "MR": 0.25, "PT": 0.25, "NM": 0.25, "US": 0.5}
_OF_RADIOGRAPHS = 0.95
_RADIOGRAPHS = frozenset({"CR", "DX", "MG", "IO", "PX", "RF", "XA"})
_GREY = ("MONOCHROME1", "MONOCHROME2")
_PHOTOGRAPHS = frozenset({"ES", "GM", "OP", "XC"})
_SAMPLED = 16_384
# What is blank where it was sampled is looked at whole, up to this many bytes.
_WHOLE_BYTES_MAX = 64 << 20
# Of one frame among very many.
_SAMPLED_MIN = 256
_SIDE_MIN = 32

Flat = NDArray[np.integer]


class Seen:
    """What the frames of one image show, looked at one after another."""

    def __init__(self, top: int | None, share_max: float, frames: int) -> None:
        self._top, self._share_max = top, share_max
        self._each = max(_SAMPLED_MIN, _SAMPLED // frames)
        self._first: Flat | None = None
        self._is_blank = True
        self._at_top = self._looked_at = 0

    @classmethod
    def of(cls, file: Part10, image: Image) -> Seen | None:
        """None where nothing is to be said of such an image, or `check` has looked at it already."""
        modality, is_grey = file.text(MODALITY) or "", image.photometric in _GREY
        judged = modality in _RADIOGRAPHS or modality in _TOP_SHARE_MAX or (not is_grey and modality in _PHOTOGRAPHS)
        if not judged or (image.is_native and is_grey) or min(image.rows, image.columns) < _SIDE_MIN:
            return None
        return cls(_top(file) if is_grey else None, _TOP_SHARE_MAX.get(modality, _OF_RADIOGRAPHS), image.frames)

    def look(self, frame: Flat) -> None:
        """At a frame, shaped (rows, columns) or (rows, columns, samples)."""
        pixels = frame.reshape(-1, *frame.shape[2:])
        some = pixels[:: max(1, len(pixels) // self._each) | 1]
        if self._first is None:
            self._first = pixels[0].copy()
        if self._is_blank:
            self._is_blank = bool((some == self._first).all()) and bool((pixels == self._first).all())
        if self._top is not None:
            self._at_top += int(np.count_nonzero(some == self._top))
            self._looked_at += some.size

    def broken(self) -> Iterator[Broken]:
        """What is to be said when all frames were looked at."""
        if self._first is None:
            return
        if self._is_blank:
            yield "pixels_blank", None
        elif self._at_top > self._share_max * self._looked_at:
            yield "pixels_saturated", None


def check(file: Part10) -> Iterator[Broken]:
    """Modalities that are not named here make masks, doses and maps, of which any may be of one value."""
    modality = file.text(MODALITY) or ""
    if modality not in _RADIOGRAPHS and modality not in _TOP_SHARE_MAX:
        return
    samples = _samples(file)
    if samples is None:
        return
    # A stride that is no multiple of a row's length, so that no column is looked at alone.
    some = samples[:: max(1, samples.size // _SAMPLED) | 1]
    if bool((some == some[0]).all()):
        if samples.nbytes <= _WHOLE_BYTES_MAX and bool((samples == samples[0]).all()):
            yield "pixels_blank", None
        return
    top = _top(file)
    share_max = _TOP_SHARE_MAX.get(modality, _OF_RADIOGRAPHS)
    if top is not None and np.count_nonzero(some == top) > share_max * some.size:
        yield "pixels_saturated", None


def _samples(file: Part10) -> Flat | None:
    """All samples of native pixel data as they are stored, not copied; None where they cannot be had so."""
    element = file.elements.get(PIXEL_DATA)
    bits = file.unsigned(BITS_ALLOCATED)
    if element is None or element.undefined_length or element.truncated or bits not in (8, 16):
        return None
    if file.transfer_syntax_uid not in NATIVE or file.unsigned(SAMPLES) != 1 or file.text(PHOTOMETRIC) not in _GREY:
        return None
    rows, columns = file.unsigned(ROWS) or 0, file.unsigned(COLUMNS) or 0
    if min(rows, columns) < _SIDE_MIN or element.length < rows * columns * bits // 8:
        return None
    order = "<" if file.encoding.byte_order == "little" else ">"
    dtype = np.dtype(np.uint8 if bits == 8 else f"{order}{'i' if file.unsigned(SIGNED) == 1 else 'u'}2")
    # The pad byte of an odd length is no sample.
    count = element.length // (rows * columns * dtype.itemsize) * rows * columns
    return np.frombuffer(file.data, dtype, count, element.value_at)


def _top(file: Part10) -> int | None:
    """The highest value that can be stored; None where it means that there is no pixel, or cannot be told."""
    allocated, stored = file.unsigned(BITS_ALLOCATED) or 0, file.unsigned(BITS_STORED) or 0
    is_signed = file.unsigned(SIGNED) == 1
    if not 1 < stored <= allocated or (is_signed and allocated == 8):
        return None
    top = (1 << (stored - is_signed)) - 1
    padding = file.unsigned(PADDING)
    return None if padding == top else top
