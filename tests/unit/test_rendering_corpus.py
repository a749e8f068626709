"""Every file of the corpus is shown as pydicom shows it, pixel for pixel, and as dcm2pnm does but for its rounding."""

from __future__ import annotations

import io
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image as Picture
from pydicom.pixels.processing import (
    apply_color_lut,
    apply_modality_lut,
    apply_voi,
    apply_windowing,
    convert_color_space,
)

from streams.pixels.codecs import JPEG_LOSSY
from streams.rendering import shutter
from streams.rendering.grey import quantised, stored_values
from streams.rendering.render import Shown, Wanted, shown
from streams.rendering.source import NotRendered, Source, opened
from tests.received import CORPUS, manifest

pytestmark = [pytest.mark.corpus, pytest.mark.usefixtures("corpus")]

FRAME_BYTES_MAX = 64 << 20


def sources() -> Iterator[tuple[str, bytes, Source]]:
    for row in manifest():
        data = (CORPUS / row["file"]).read_bytes()
        try:
            yield row["file"], data, opened(data, FRAME_BYTES_MAX)
        except NotRendered:
            continue


def test_every_frame_is_as_pydicom_shows_it() -> None:
    """Its functions are given our decoder's samples: decoders are compared elsewhere."""
    wrong, compared = [], {"grey": 0, "colour": 0}
    for name, data, source in sources():
        try:
            ours = shown(source, Wanted())
        except NotRendered:
            continue
        theirs = _theirs(data, source, ours)
        if theirs is None:
            continue
        compared["colour" if ours.pixels.ndim == 3 else "grey"] += 1
        apart = np.abs(ours.pixels.astype(int) - theirs)[_seen(source)]
        if apart.any():
            wrong.append((name, int((apart > 0).sum()), int(apart.max())))

    assert wrong == []
    assert compared["grey"] > 75
    assert compared["colour"] > 50


@pytest.mark.skipif(shutil.which("dcm2pnm") is None, reason="DCMTK's dcm2pnm is not installed")
def test_every_frame_is_as_dcm2pnm_shows_it_but_for_one_grey(tmp_path: Path) -> None:
    """It cuts off where we round, so a grey may be one less there. Native pixels: decoders are compared elsewhere."""
    wrong, compared = [], 0
    for name, _, source in sources():
        image = source.image
        # A single bit that is set is grey 127 of 255 for it.
        if not image.is_native or image.bits_stored == 1 or image.frame_bytes > 600_000:
            continue
        try:
            ours = shown(source, Wanted())
        except NotRendered:
            continue
        if ours.voi == "percentiles" or (theirs := _as_dcmtk(CORPUS / name, ours, tmp_path / "picture")) is None:
            continue
        compared += 1
        apart = np.abs(ours.pixels.astype(int) - theirs)[_seen(source)]
        if apart.max() > 1:
            wrong.append((name, int(apart.max())))

    assert wrong == []
    assert compared > 25


def _as_dcmtk(path: Path, ours: Shown, out: Path) -> NDArray[np.uint8] | None:
    """None where dcm2pnm refuses the file."""
    voi = {"window": ["+Wi", "1"], "table": ["+Wl", "1"]}.get(ours.voi, [])
    called = subprocess.run(["dcm2pnm", "-O", *voi, str(path), str(out)], capture_output=True, check=False)
    return np.asarray(Picture.open(out)) if called.returncode == 0 else None


def _seen(source: Source) -> NDArray[np.bool_]:
    """pydicom knows no shutters."""
    hidden = shutter.hidden(source.file, source.image.rows, source.image.columns, 1.0)
    shape = (source.image.rows, source.image.columns)
    return np.ones(shape, np.bool_) if hidden is None else ~hidden


def _theirs(data: bytes, source: Source, ours: Shown) -> NDArray[np.uint8] | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _as_pydicom(pydicom.dcmread(io.BytesIO(data)), source, ours)
    except (ValueError, TypeError, AttributeError, OverflowError, NotImplementedError):
        return None  # tables that lie, values that are none, samples of real numbers


def _as_pydicom(data_set: pydicom.Dataset, source: Source, ours: Shown) -> NDArray[np.uint8] | None:
    """None where pydicom has no function for what the file asks for."""
    image, frame = source.image, source.frames.frame(0)
    if ours.pixels.ndim == 3:
        if image.photometric == "PALETTE COLOR":
            mapped = apply_color_lut(np.asarray(frame), data_set)
            return (mapped >> 8 if mapped.dtype.itemsize == 2 and mapped.max() > 255 else mapped).astype(np.uint8)
        eight = (frame >> max(0, image.bits_stored - 8)).astype(np.uint8)
        if image.photometric.startswith("YBR_FULL") and image.transfer_syntax_uid not in JPEG_LOSSY:
            return convert_color_space(eight, "YBR_FULL", "RGB")
        return eight
    stored = stored_values(frame, image).astype(frame.dtype)
    levelled = apply_modality_lut(stored, _with_group(data_set, "PixelValueTransformationSequence"))
    full = _full(data_set, levelled)
    if full is None:
        return None
    unit = 1.0 - full if _inverted(data_set) else full
    out = quantised(unit, 255)
    if "PixelPaddingValue" in data_set:
        first = data_set.PixelPaddingValue
        limit = data_set.get("PixelPaddingRangeLimit", first)
        out[(stored >= min(first, limit)) & (stored <= max(first, limit))] = 0
    return out.astype(np.uint8)


def _full(data_set: pydicom.Dataset, levelled: NDArray[np.generic]) -> NDArray[np.float64] | None:
    """0 to 1, as the table or the window of the file has it; None where it has neither, or pydicom takes neither."""
    group = _with_group(data_set, "FrameVOILUTSequence")
    if group.get("VOILUTSequence"):
        bits = group.VOILUTSequence[0].LUTDescriptor[2]
        return apply_voi(levelled, group).astype(np.float64) / ((1 << bits) - 1)
    if group.get("WindowWidth") in (None, "") or group.get("WindowCenter") in (None, ""):
        return None
    ends = _ends(group)
    return (apply_windowing(levelled, group).astype(np.float64) - ends[0]) / (ends[1] - ends[0])


def _ends(group: pydicom.Dataset) -> tuple[float, float]:
    """What pydicom makes of black and white: the least and the greatest that the modality stage could give."""
    if group.get("ModalityLUTSequence"):
        low, high = 0.0, float((1 << group.ModalityLUTSequence[0].LUTDescriptor[2]) - 1)
    else:
        half = 1 << (group.BitsStored - 1)
        low, high = (-half, half - 1) if group.PixelRepresentation else (0, 2 * half - 1)
    if group.get("RescaleSlope") is not None and group.get("RescaleIntercept") is not None:
        slope, intercept = float(group.RescaleSlope), float(group.RescaleIntercept)
        low, high = low * slope + intercept, high * slope + intercept
    return float(low), float(high)


def _with_group(data_set: pydicom.Dataset, macro: str) -> pydicom.Dataset:
    """The data set with what the functional groups say of its first frame."""
    for name in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in list(data_set.get(name) or [])[:1]:
            for item in list(group.get(macro) or [])[:1]:
                for element in item:
                    data_set[element.tag] = element
    return data_set


def _inverted(data_set: pydicom.Dataset) -> bool:
    shape = data_set.get("PresentationLUTShape")
    return shape == "INVERSE" if shape else data_set.PhotometricInterpretation == "MONOCHROME1"
