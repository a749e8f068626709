"""JPEG pictures: a baseline codestream is kept as it is, any other is decoded and kept as pixels."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from radstream.importing import jpeg_segments, picture_notes
from radstream.importing.jpeg_segments import BASELINE, Jpeg
from radstream.importing.libraries import library
from radstream.importing.made import Encapsulated, How, Made, Native, Refused, Source
from radstream.importing.objects import (
    EXPLICIT_LITTLE,
    JPEG_BASELINE,
    PIXELS_MAX,
    described,
    lossy,
    modality_of,
    still,
)
from radstream.importing.picture_notes import NOT_SQUARE
from radstream.importing.pixels import upright

_METHOD: Final = "ISO_10918_1"
_FILE_BYTES_MAX: Final = 512 << 20


def source(path: Path, digest: str, how: How) -> Source:
    """Raises Refused."""
    as_ = how.as_
    if path.stat().st_size > _FILE_BYTES_MAX:
        raise Refused("it is larger than 512 MB, which no camera makes")
    head, said = jpeg_segments.read(path.read_bytes()), picture_notes.read(path)
    if len(head.sampling) not in (1, 3):
        raise Refused("it has four colour channels, for print (CMYK); save it as RGB first")
    if head.rows * head.columns > PIXELS_MAX or not head.rows * head.columns:
        raise Refused("it has more than 268 million pixels, or none")
    kept = _kept(head, said.orientation)
    notes = [] if kept else [_why_decoded(head, said.orientation)]
    if said.aspect is not None:
        notes.append(NOT_SQUARE)
    return Source(
        path=path,
        format="JPEG",
        digest=digest,
        modality=modality_of(as_, how.modality),
        captured=said.taken,
        made=lambda: _made(path, as_),
        notes=(*notes, "Exif and comments are not taken along, but for the date"),
    )


def _kept(head: Jpeg, orientation: int) -> bool:
    return head.process == BASELINE and head.bits == 8 and orientation == 1


def _why_decoded(head: Jpeg, orientation: int) -> str:
    if head.process == BASELINE and head.bits == 8:
        return f"it was held turned (Exif orientation {orientation}), so it is stored decoded and upright"
    return "it is progressive or not of 8 bits, so it is stored decoded: DICOM has no such JPEG"


def _made(path: Path, as_: str) -> Iterator[Made]:
    head, said = jpeg_segments.read(path.read_bytes()), picture_notes.read(path)
    made = still(as_)
    if said.profile and len(head.sampling) == 3:
        made.ICCProfile = said.profile + b"\0" * (len(said.profile) % 2)
    samples = len(head.sampling)
    native = head.rows * head.columns * samples
    described_as = partial(described, made, samples=samples, aspect=said.aspect)
    if _kept(head, said.orientation):
        described_as(rows=head.rows, columns=head.columns, bits=8, photometric=head.photometric)
        lossy(made, _METHOD, len(head.stream), native)
        yield Made("1", made, JPEG_BASELINE, Encapsulated(1, lambda: iter([head.stream])))
        return
    pixels = upright(_decoded(head), said.orientation)
    rows, columns = pixels.shape[:2]
    photometric = "RGB" if samples == 3 else "MONOCHROME2"
    described_as(rows=rows, columns=columns, bits=8 * pixels.dtype.itemsize, photometric=photometric)
    lossy(made, _METHOD, len(head.stream), native)
    raw = np.ascontiguousarray(pixels).tobytes()
    yield Made("1", made, EXPLICIT_LITTLE, Native(len(raw), lambda: iter([raw])))


def _decoded(head: Jpeg) -> np.ndarray[Any, np.dtype[Any]]:
    """(rows, columns) or (rows, columns, 3). Raises Refused."""
    if head.bits != 8:
        raise Refused("it has more than 8 bits a sample, which no library at hand decodes; save it as PNG or TIFF")
    codec = library("imagecodecs", "a progressive JPEG picture")
    try:
        pixels: np.ndarray[Any, np.dtype[Any]] = codec.jpeg8_decode(head.stream)
    except Exception:  # noqa: BLE001 - a library's reader of foreign bytes raises whatever it likes
        raise Refused("it cannot be decoded; it is damaged, or coded by a process that no library reads") from None
    if pixels.shape[:2] != (head.rows, head.columns):
        raise Refused("its pixels are not as many as its header says; it is damaged")
    return pixels
