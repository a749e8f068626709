"""One frame as it is to be shown (PS3.3 C.11): modality, values of interest, presentation, shutter and overlays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from streams.pixels.codecs import Undecodable
from streams.rendering import colour, overlay, palette, shutter
from streams.rendering.geometry import aspect_of
from streams.rendering.grey import Grey, Pipeline, Samples, greys, stored_values
from streams.rendering.modality import Rescale, gives_signed, modality
from streams.rendering.padding import padding_of
from streams.rendering.source import Source, not_rendered
from streams.rendering.tables import Lut
from streams.rendering.voi import Between, Voi, Window, of_file

# Raised by hand when a change here changes a picture: caches ask with it.
VERSION = 3

PRESENTATION_INTENT, PRESENTATION_SHAPE = 0x00080068, 0x20500020
# Of a frame without window or table: what lies between these percentiles is shown.
_DARK, _BRIGHT = 1.0, 99.0
_SAMPLED_PX = 128
_LARGEST = 1e300

Choice = Literal["window", "table", "percentiles", "range", "none"]


@dataclass(frozen=True)
class Wanted:
    """`frame` counts from 0. `window` is one of our own, or the index or explanation of one of the file's.

    `depth` is 8 or 16 bits a sample; colour always has 8. `overlays` burns the overlay planes in: they may hold text.
    """

    frame: int = 0
    window: Window | int | str = 0
    depth: Literal[8, 16] = 8
    overlays: bool = False


@dataclass(frozen=True)
class Shown:
    """`pixels` are (rows, columns) or (rows, columns, 3), as many as are stored; `aspect` is a pixel's height over its
    width. `voi` says what the greys are by; `notes` are stable names of what was broken and so left out."""

    pixels: Grey
    aspect: float
    voi: Choice
    for_processing: bool
    notes: tuple[str, ...] = ()


def shown(source: Source, wanted: Wanted) -> Shown:
    """Renders one frame. Raises NotRendered, and nothing else whatever the file holds."""
    if not 0 <= wanted.frame < source.image.frames:
        raise not_rendered("no_such_frame")
    try:
        frame = source.frames.frame(wanted.frame)
    except Undecodable as error:
        raise not_rendered(error.code) from None
    except (IndexError, MemoryError):
        raise not_rendered("undecodable") from None
    return _Rendering(source, wanted, frame).shown()


class _Rendering:
    def __init__(self, source: Source, wanted: Wanted, frame: Samples) -> None:
        self._file, self._image, self._wanted, self._frame = source.file, source.image, wanted, frame
        self._scopes = source.scopes
        self._notes: set[str] = set()

    def shown(self) -> Shown:
        aspect = aspect_of(self._scopes, self._wanted.frame)
        pixels, choice = self._pixels()
        pixels = self._covered(pixels, aspect)
        intent = (self._file.text(PRESENTATION_INTENT) or "").upper()
        return Shown(pixels, aspect, choice, intent == "FOR PROCESSING", tuple(sorted(self._notes)))

    def _pixels(self) -> tuple[Grey, Choice]:
        if self._image.samples == 3:
            return colour.rgb(self._frame, self._image), "none"  # type: ignore[arg-type] # real numbers have one sample
        if self._image.photometric == "PALETTE COLOR":
            mapped = palette.coloured(self._file, self._image, self._frame)
            if mapped is not None:
                return mapped, "none"
            self._notes.add("palette_broken")
        highest = 0xFF if self._wanted.depth == 8 else 0xFFFF
        pipeline, choice = self._pipeline()
        return greys(self._frame, self._image, pipeline, highest), choice

    def _pipeline(self) -> tuple[Pipeline, Choice]:
        first = modality(self._scopes, self._wanted.frame, signed=self._image.signed, notes=self._notes)
        padding = padding_of(self._file, signed=self._image.signed)
        voi = self._voi(first)
        choice: Choice = "window" if isinstance(voi, Window) else "table"
        if voi is None:
            voi, choice = self._without(first, padding)
        return Pipeline(first, voi, self._inverted(), padding), choice

    def _voi(self, first: Rescale | Lut) -> Voi | None:
        window = self._wanted.window
        if isinstance(window, Window):
            return window
        signed = gives_signed(first, bits=self._image.bits_stored, signed=self._image.signed)
        return of_file(self._scopes, self._wanted.frame, window, signed=signed, notes=self._notes)

    def _without(self, first: Rescale | Lut, padding: tuple[float, float] | None) -> tuple[Between, Choice]:
        """Without a window: all that 8 bits can hold, of more bits what most of the frame is."""
        image = self._image
        if image.bits_stored <= 8 and not image.signed and self._frame.dtype.kind != "f":
            ends = first.mapped(np.array([0.0, (1 << image.bits_stored) - 1]))
            if isinstance(first, Lut):
                ends = np.array([0.0, first.highest])
            return Between(float(ends.min()), float(ends.max())), "range"
        step = max(1, max(image.rows, image.columns) // _SAMPLED_PX)
        sample = stored_values(self._frame[::step, ::step], image).reshape(-1)
        if padding is not None:
            inside = sample[(sample < padding[0]) | (sample > padding[1])]
            sample = inside if inside.size else sample
        with np.errstate(over="ignore"):
            sample = first.mapped(sample[np.isfinite(sample)])
        # Beyond this, differences of two are no numbers any more.
        sample = sample[np.abs(sample) < _LARGEST]
        if not sample.size:
            return Between(0.0, 1.0), "percentiles"
        low, high = (float(value) for value in np.percentile(sample, (_DARK, _BRIGHT)))
        return Between(low, high if high > low else low + 1.0), "percentiles"

    def _inverted(self) -> bool:
        shape = (self._file.text(PRESENTATION_SHAPE) or "").upper()
        return shape == "INVERSE" if shape in ("IDENTITY", "INVERSE") else self._image.photometric == "MONOCHROME1"

    def _covered(self, pixels: Grey, aspect: float) -> Grey:
        """Overlays above the image, the shutter above both."""
        points = self._points() if self._wanted.overlays else None
        closed = shutter.of_frame(self._scopes, self._wanted.frame)
        hidden = shutter.hidden(closed, self._image.rows, self._image.columns, aspect) if closed is not None else None
        if points is None and hidden is None:
            return pixels
        covered = pixels.copy()
        highest = np.iinfo(pixels.dtype).max
        if points is not None:
            covered[points] = highest
        if closed is not None and hidden is not None:
            covered[hidden] = round(shutter.presentation_value(closed) * highest)
        return covered

    def _points(self) -> NDArray[np.bool_] | None:
        cells: Samples = self._frame
        if cells.dtype.kind == "f" or not self._image.is_native:
            cells = np.zeros((1, 1, 1), np.uint8)
        shape = (self._image.rows, self._image.columns)
        return overlay.burned(self._file, shape, self._wanted.frame, cells)  # type: ignore[arg-type]
