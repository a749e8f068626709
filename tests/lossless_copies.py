"""Lossless copies of small images, and what a reader sees in them."""

from __future__ import annotations

import io

import imagecodecs
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames

from consumers.derive.codings import JPEG_LS_LOSSLESS
from consumers.derive.config import Output
from consumers.derive.lossless import copied
from consumers.derive.pack import Part
from consumers.derive.policy import Choice
from streams import part10
from streams.pixels.frames import Frames
from streams.pixels.image import describe

RANDOM = np.random.default_rng(1)


def pixels(dtype: str, bits: int, *, samples: int = 1, frames: int = 1) -> NDArray[np.integer]:
    """Frames of which every bit up to `bits` is used."""
    shape = (frames, 33, 21, 3) if samples == 3 else (frames, 33, 21)
    whole = RANDOM.integers(0, 1 << bits, shape)
    made: NDArray[np.integer] = (whole - (1 << (bits - 1)) if dtype.startswith("i") else whole).astype(dtype)
    return made


def copy_of(data: bytes, output: Output | None = None, choice: Choice = Choice()) -> Part | str:  # noqa: B008
    limits = output or Output()
    file = part10.read(data)
    image = describe(file, limits.frame_bytes_max)
    assert not isinstance(image, str), image
    return copied(file, image, Frames(file, image), limits.pixel_bytes_max, choice)


def opened(part: Part | str) -> tuple[Dataset, NDArray[np.integer]]:
    """The copy as pydicom reads it, and its pixels as stored."""
    assert isinstance(part, Part), part
    read = pydicom.dcmread(io.BytesIO(part.data))
    frames = generate_frames(read.PixelData, number_of_frames=len(part.frames))
    decode = imagecodecs.jpegls_decode if read.file_meta.TransferSyntaxUID == JPEG_LS_LOSSLESS else _htj2k
    return read, np.stack([decode(frame) for frame in frames])


def _htj2k(frame: bytes) -> NDArray[np.integer]:
    decoded: NDArray[np.integer] = imagecodecs.htj2k_decode(frame, planar=False)
    return decoded


def others(read: Dataset) -> list[pydicom.DataElement]:
    """Every element but those of the pixels' own encoding."""
    return [element for element in read if element.tag not in (0x7FE00010, 0x00280004, 0x00280006)]
