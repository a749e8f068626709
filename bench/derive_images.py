"""What is derived from, in files as the router stores them: CT, CR and multi-frame US.

Noise decides how well a lossless codec does, so it is as a reconstruction kernel, a plate reader and speckle leave it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import ComputedRadiographyImageStorage, UltrasoundMultiFrameImageStorage

from bench.ingest_load import encoded
from radstream.phantom import chest_ct
from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN
from streams.stored_file import stored_file

_SEED: Final = 1
_CT_IMAGES, _CR_IMAGES = 8, 2
_CR_SIDE: Final = 2048
_CR_NOISE: Final = 12.0
_US_FRAMES, _US_ROWS, _US_COLUMNS = 30, 600, 800

Plane = NDArray[np.float32]


@dataclass(frozen=True)
class Case:
    """`aim_per_minute` is of objects with one core, where there is one."""

    name: str
    what: str
    images: Callable[[], list[Dataset]]
    aim_per_minute: int | None = None

    def files(self) -> list[bytes]:
        return [_file(image) for image in self.images()]


def _ct() -> list[Dataset]:
    """Sections of a chest, half lung and half soft-tissue kernel."""
    return list(chest_ct(_SEED, (0, _CT_IMAGES // 2, _CT_IMAGES // 2)))


def _cr() -> list[Dataset]:
    """Radiographs of a chest between black borders of the collimator, 12 bits stored."""
    localisers = chest_ct(_SEED, (_CR_IMAGES, 0, 0))
    return [_radiograph(image, np.random.default_rng([_SEED, index])) for index, image in enumerate(localisers)]


def _radiograph(image: Dataset, random: np.random.Generator) -> Dataset:
    small = np.frombuffer(image.PixelData, np.uint16).reshape(image.Rows, image.Columns).astype(np.float32)
    factor = _CR_SIDE // image.Rows
    whole = _softened(np.kron(small, np.ones((factor, factor), np.float32)), 2 * factor)
    noise = _softened(random.standard_normal((_CR_SIDE, _CR_SIDE), np.float32), 2)
    whole += noise * np.float32(_CR_NOISE / noise.std())
    border = _CR_SIDE // 24
    framed = np.full_like(whole, 4.0)
    framed[border:-border, border:-border] = whole[border:-border, border:-border]
    pixels = np.clip(framed, 0, 4095).astype(np.uint16)
    image.Rows = image.Columns = _CR_SIDE
    image.SOPClassUID, image.Modality = ComputedRadiographyImageStorage, "CR"
    image.ViewPosition, image.PatientOrientation, image.ImageType = "AP", ["L", "F"], ["ORIGINAL", "PRIMARY"]
    _without(image, "RescaleIntercept", "RescaleSlope", "ConvolutionKernel", "FrameOfReferenceUID", "PixelSpacing")
    image.PixelData = pixels.tobytes()
    return image


def _us() -> list[Dataset]:
    """A loop of a sector that moves, grey as RGB, with colour in a box as Doppler has it."""
    (image,) = chest_ct(_SEED, (1, 0, 0))
    random = np.random.default_rng(_SEED)
    rows, columns = np.mgrid[0:_US_ROWS, 0:_US_COLUMNS].astype(np.float32)
    depth = np.hypot(rows, columns - _US_COLUMNS / 2)
    sector = (np.abs(np.arctan2(columns - _US_COLUMNS / 2, rows + 1)) < 0.7) & (depth > 40) & (depth < _US_ROWS - 20)
    frames = [_frame(random, index, depth, sector) for index in range(_US_FRAMES)]
    image.Rows, image.Columns, image.NumberOfFrames = _US_ROWS, _US_COLUMNS, _US_FRAMES
    image.SOPClassUID, image.Modality, image.ImageType = UltrasoundMultiFrameImageStorage, "US", ["ORIGINAL", "PRIMARY"]
    image.SamplesPerPixel, image.PhotometricInterpretation, image.PlanarConfiguration = 3, "RGB", 0
    image.BitsAllocated, image.BitsStored, image.HighBit = 8, 8, 7
    image.FrameTime, image.FrameIncrementPointer = "33", 0x00181063
    _without(image, "RescaleIntercept", "RescaleSlope", "RescaleType", "WindowCenter", "WindowWidth", "PixelSpacing")
    image.PixelData = np.stack(frames).tobytes()
    return [image]


def _frame(random: np.random.Generator, index: int, depth: Plane, sector: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Speckle is the strength of many echoes together, in Rayleigh's distribution, and its logarithm is shown."""
    real, imaginary = (_softened(random.standard_normal(depth.shape, np.float32), 3) for _ in range(2))
    echo = np.log1p(np.hypot(real, imaginary) * 8) * (1.2 + np.cos(depth / 60 + index / 5))
    grey = np.where(sector, np.clip(echo * 40, 0, 255), 0).astype(np.uint8)
    frame = np.repeat(grey[:, :, np.newaxis], 3, axis=2)
    box = (slice(250, 400), slice(350, 450))
    flows = grey[box] > 110
    frame[box][flows] = np.stack([grey[box], grey[box] // 3, 255 - grey[box]], axis=-1)[flows]
    return frame


def _softened(plane: Plane, width: int) -> Plane:
    """The mean of `width` neighbours, in rows and then in columns; the edges are those of a picture that repeats."""
    for axis in (0, 1):
        plane = sum((np.roll(plane, shift, axis) for shift in range(width)), np.zeros_like(plane)) / np.float32(width)
    return plane


def _without(image: Dataset, *keywords: str) -> None:
    for keyword in keywords:
        if keyword in image:
            delattr(image, keyword)


def _file(image: Dataset) -> bytes:
    return stored_file(image.SOPClassUID, image.SOPInstanceUID, EXPLICIT_VR_LITTLE_ENDIAN, encoded(image))


CASES: Final[Mapping[str, Case]] = {
    case.name: case
    for case in (
        Case("ct", "CT, 512×512, 12 of 16 bits", _ct, 6000),
        Case("cr", f"CR, {_CR_SIDE}×{_CR_SIDE}, 12 of 16 bits", _cr, 1000),
        Case("us", f"US, {_US_FRAMES} frames of {_US_ROWS}×{_US_COLUMNS}, RGB", _us),
    )
}
