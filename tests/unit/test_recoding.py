"""In another transfer syntax a data set has the same values and pixels; what would lose something is not made."""

from __future__ import annotations

import io
from collections import Counter
from contextlib import suppress

import imagecodecs
import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pixel_array
from pydicom.sequence import Sequence

from streams import part10
from streams.elements import Malformed, TooComplex
from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, Part10
from streams.pixels.image import RLE_LOSSLESS
from streams.recoding import implicit
from streams.recoding.native import TARGETS, Unrecodable, recoded
from tests import images
from tests.received import CORPUS, manifest

BUDGET = {"frame_bytes_max": 64 << 20, "pixel_bytes_max": 64 << 20}
PIXELS = np.arange(2 * 16 * 12, dtype=np.uint16).reshape(2, 16, 12)
SIGNED = (np.arange(2 * 16 * 12).reshape(2, 16, 12) - 150).astype(np.int16)
COLOUR = np.arange(16 * 12 * 3, dtype=np.uint8).reshape(1, 16, 12, 3)
BYTES = np.arange(15, dtype=np.uint8).reshape(1, 5, 3)
JPEG_LS, JPEG_2000, HTJ2K = (f"1.2.840.10008.1.2.4.{number}" for number in ("80", "90", "201"))
LOSSY = "1.2.840.10008.1.2.4.91"


def made(data: bytes, target: str) -> Dataset:
    """What pydicom reads of the data set in `target`."""
    out = recoded(part10.read(data), target, frame_bytes_max=1 << 20, pixel_bytes_max=1 << 20)
    read = pydicom.dcmread(io.BytesIO(images.raw_file(out, target)))
    assert read.file_meta.TransferSyntaxUID == target
    return read


def same(data: bytes, target: str, pixels: NDArray[np.integer]) -> Dataset:
    source, read = pydicom.dcmread(io.BytesIO(data)), made(data, target)
    for element in source:
        if element.tag.group != 2 and element.tag not in (0x7FE00010, 0x00280004, 0x00280006, 0x7FE00001, 0x7FE00002):
            assert read[element.tag].value == element.value, element.tag
    assert np.array_equal(pixel_array(read).reshape(pixels.shape), pixels)
    return read


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("encoding", sorted(images.NATIVE))
@pytest.mark.parametrize("pixels", [PIXELS, SIGNED, COLOUR, BYTES], ids=["unsigned", "signed", "colour", "odd"])
def test_native_pixels_stay_what_they_are(pixels: NDArray[np.integer], encoding: str, target: str) -> None:
    nested = Dataset()
    nested.CodeValue, nested.CodeMeaning = "1", "Süd"
    inner = Dataset()
    inner.ReferencedSOPInstanceUID, inner.PixelRepresentation = "1.2.3", 1
    nested.ReferencedSOPSequence = Sequence([inner, inner])
    data = images.native(
        pixels,
        encoding,
        SpecificCharacterSet="ISO_IR 192",
        ProcedureCodeSequence=Sequence([nested]),
        StudyDescription="Süd",
        WindowCenter=["40", "400"],
    )
    same(data, target, pixels)


ENCODERS = {
    "rle": (RLE_LOSSLESS, lambda frame: pydicom_rle(frame)),
    "jpeg-ls": (JPEG_LS, lambda frame: imagecodecs.jpegls_encode(frame)),
    "jpeg-2000": (
        JPEG_2000,
        lambda frame: imagecodecs.jpeg2k_encode(frame, codecformat="j2k", reversible=True, level=0),
    ),
    "htj2k": (HTJ2K, lambda frame: imagecodecs.htj2k_encode(frame, reversible=True)),
}


def rct(frame: NDArray[np.integer]) -> bytes:
    """Decorrelated, as most encoders of colour do it (ISO/IEC 15444-1 annex G.2)."""
    return bytes(imagecodecs.htj2k_encode(frame, reversible=True, rgb=True))


def pydicom_rle(frame: NDArray[np.integer]) -> bytes:
    source = Dataset()
    source.Rows, source.Columns = frame.shape[:2]
    source.SamplesPerPixel = 1 if frame.ndim == 2 else 3
    source.BitsAllocated = source.BitsStored = frame.dtype.itemsize * 8
    source.PixelRepresentation = 0
    source.PhotometricInterpretation = "MONOCHROME2" if frame.ndim == 2 else "RGB"
    if frame.ndim == 3:
        source.PlanarConfiguration = 0
    source.file_meta = pydicom.dataset.FileMetaDataset()
    source.file_meta.TransferSyntaxUID = EXPLICIT_VR_LITTLE_ENDIAN
    source.compress(RLE_LOSSLESS, frame, encoding_plugin="pydicom", generate_instance_uid=False)
    return next(pydicom.encaps.generate_frames(source.PixelData, number_of_frames=1))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("pixels", [PIXELS, COLOUR, BYTES], ids=["gray", "colour", "odd"])
def test_lossless_pixels_are_what_they_were(pixels: NDArray[np.integer], name: str, target: str) -> None:
    syntax, encode = ENCODERS[name]
    photometric = "YBR_RCT" if pixels is COLOUR and name == "htj2k" else ""
    frames = [
        bytes(imagecodecs.htj2k_encode(f, reversible=True, rgb=True)) if photometric else bytes(encode(f))
        for f in pixels
    ]
    data = images.compressed(pixels, frames, syntax, photometric=photometric)
    read = same(data, target, pixels)
    if pixels is COLOUR:
        assert (read.PhotometricInterpretation, read.PlanarConfiguration) == ("RGB", 0)
    assert not read["PixelData"].is_undefined_length


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"])
def test_luminance_and_chroma_of_a_lossless_jpeg_stay_what_they_are(syntax: str) -> None:
    coded = bytes(imagecodecs.jpeg8_encode(COLOUR[0], lossless=True, colorspace="RGB", outcolorspace="RGB"))
    read = made(images.compressed(COLOUR, [coded], syntax, photometric="YBR_FULL"), EXPLICIT_VR_LITTLE_ENDIAN)

    assert read.PhotometricInterpretation == "YBR_FULL"
    assert np.array_equal(pixel_array(read, raw=True), COLOUR[0])


def refused(file: Part10) -> str:
    with pytest.raises(Unrecodable) as raised:
        recoded(file, IMPLICIT_VR_LITTLE_ENDIAN, frame_bytes_max=1 << 20, pixel_bytes_max=1 << 20)
    return str(raised.value)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (images.compressed(PIXELS[:1], [b"\xff\x4f\xff\x51"], LOSSY), "arrived_lossy"),
        (images.compressed(PIXELS[:1], [b"\0\0"], JPEG_2000), "undecodable"),
        (images.compressed(PIXELS[:1], [b"\0\0"], JPEG_2000, Rows=65535, Columns=65535), "too_large"),
        (images.native(PIXELS)[:-10], "pixel_data_truncated"),
    ],
)
def test_what_would_lose_something_is_not_made(data: bytes, why: str) -> None:
    assert refused(part10.read(data)) == why


@pytest.mark.parametrize("target", TARGETS)
def test_what_has_no_pixels_is_written_anew_too(target: str) -> None:
    data = images.written(images.data_set(ContentDate="20260101"), pydicom.uid.ImplicitVRLittleEndian)
    assert made(data, target).ContentDate == "20260101"


@given(st.binary(max_size=200))
def test_bytes_that_are_no_elements_cost_a_moment(data: bytes) -> None:
    with suppress(Malformed, TooComplex):
        implicit.converted(data)


@pytest.mark.corpus
@pytest.mark.usefixtures("corpus")
def test_what_is_made_of_the_corpus_can_be_read_and_made_anew() -> None:
    """Whatever cannot be written anew says why; whatever can is a data set, and its implicit form is one too."""
    whys, done = Counter[str](), 0
    for row in manifest():
        try:
            file = part10.read((CORPUS / row["file"]).read_bytes())
        except (Malformed, TooComplex):
            continue
        try:
            out = recoded(file, EXPLICIT_VR_LITTLE_ENDIAN, **BUDGET)
        except Unrecodable as error:
            whys[str(error)] += 1
            continue
        read = part10.read(images.raw_file(out))
        elements = {tag for tag in read.elements if tag & 0xFFFF}
        gone = {tag for tag in file.elements if tag & 0xFFFF} - elements
        assert gone <= {0x7FE00001, 0x7FE00002}, row["file"]
        recoded(read, IMPLICIT_VR_LITTLE_ENDIAN, **BUDGET)
        done += 1
    assert done > 150
    assert whys.keys() <= {
        "arrived_lossy",
        "unsupported_pixels",
        "pixel_data_truncated",
        "irregular_elements",
        "unconvertible",
    }
