"""A lossless copy is as good a DICOM file as its source, and others read the same pixels from it.

Of the corpus one file of each kind is taken; RADSTREAM_WHOLE_CORPUS=1 takes all of it.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from consumers.derive.codings import CODINGS
from consumers.derive.config import Output, Syntax
from consumers.derive.lossless import copied
from consumers.derive.pack import Part
from consumers.derive.policy import Choice
from streams import part10
from streams.elements import Malformed, TooComplex
from streams.part10 import DEFLATED, Part10
from streams.pixels.frames import Frames
from streams.pixels.image import Image, describe
from tests import images
from tests.dicom_readers import READERS, absent, as_jpeg_2000, errors
from tests.received import CORPUS, manifest

WHOLE = os.environ.get("RADSTREAM_WHOLE_CORPUS") == "1"
SYNTAXES: tuple[Syntax, ...] = ("htj2k", "htj2k-rpcl", "jpeg-ls")
PIXEL_BYTES_MAX = 300_000
# JPEG-LS of which DCMTK 3.6.7 and GDCM 3.0.21 say that it is not valid. CharLS 1, which both hold, refuses some valid
# codestreams; CharLS 2.4 decodes them, for pydicom too.
REFUSED_BY_CHARLS_1 = {"files/114_nibabel_slicethickness_empty_string.dcm"}
# Of the pixels' own encoding: what may differ between a source and its copy.
ENCODING = (0x7FE00010, 0x7FE00001, 0x7FE00002, 0x00280004, 0x00280006)

pytestmark = pytest.mark.usefixtures("programs")


@pytest.fixture(scope="module")
def programs() -> None:
    if missing := absent():
        pytest.skip(f"other readers of DICOM are absent: {', '.join(missing)}")


def opened(data: bytes) -> tuple[Part10, Image] | None:
    """None where there are no pixels that anything could be made of."""
    try:
        file = part10.read(data)
    except (Malformed, TooComplex):
        return None
    image = describe(file, Output().frame_bytes_max)
    return None if isinstance(image, str) else (file, image)


def of_the_corpus() -> Iterator[tuple[str, bytes]]:
    kinds = set()
    for row in manifest():
        data = (CORPUS / row["file"]).read_bytes()
        if (found := opened(data)) is None:
            continue
        image = found[1]
        if image.frame_bytes * image.frames > PIXEL_BYTES_MAX and not WHOLE:
            continue
        kind = (image.transfer_syntax_uid, image.photometric, image.bits_allocated, image.signed, image.frames > 1)
        if WHOLE or kind not in kinds:
            kinds.add(kind)
            yield row["file"], data


def generated() -> Iterator[tuple[str, bytes]]:
    random = np.random.default_rng(7)

    def some(dtype: str, bits: int, *shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.integer]]:
        lowest = -(1 << (bits - 1)) if dtype[0] == "i" else 0
        return random.integers(lowest, lowest + (1 << bits), shape).astype(dtype)

    yield "one pixel", images.native(some("u2", 12, 1, 1, 1), bits_stored=12)
    yield "one row", images.native(some("u1", 8, 2, 1, 1023))
    yield "signed, 10 bits", images.native(some("i2", 10, 3, 17, 33), bits_stored=10)
    yield "colour of 16 bits", images.native(some("u2", 16, 1, 17, 33, 3))
    yield "big endian", images.native(some("u2", 12, 2, 17, 33), "big", bits_stored=12)
    drawn = images.image(some("u2", 12, 1, 17, 33), bits_stored=12)
    drawn.add_new(0x7FE00010, "OW", some("u2", 12, 1, 17, 33).tobytes())
    for tag, vr, value in ((0x10, "US", 17), (0x11, "US", 33), (0x40, "CS", "G"), (0x50, "SS", [1, 1])):
        drawn.add_new(0x60000000 + tag, vr, value)
    drawn.add_new(0x60003000, "OW", bytes(random.integers(0, 256, 72).astype("u1")))
    drawn.add_new(0x00282000, "OB", b"no profile, and yet it stays")
    drawn.LossyImageCompression, drawn.LossyImageCompressionRatio = "01", "10.5"
    yield "with an overlay, a colour profile, and lossy once", images.written(drawn)


@pytest.mark.corpus
@pytest.mark.timeout(3000 if WHOLE else 300)
def test_copies_of_foreign_files(tmp_path: Path, corpus: Path) -> None:
    wrong, copies = checked(of_the_corpus(), tmp_path)

    assert not wrong, "\n".join(map(str, wrong))
    assert copies > 30


def test_copies_of_files_made_for_it(tmp_path: Path) -> None:
    wrong, copies = checked(generated(), tmp_path)

    assert wrong == []
    # JPEG-LS has none of one pixel.
    assert copies == 6 * len(SYNTAXES) - 1


def checked(files: Iterator[tuple[str, bytes]], folder: Path) -> tuple[list[tuple[str, str, str]], int]:
    """What is wrong, by file and transfer syntax, and how many copies there were."""
    wrong: list[tuple[str, str, str]] = []
    copies = 0
    for name, data in files:
        found = opened(data)
        assert found is not None, name
        file, image = found
        made = {
            syntax: part
            for syntax in SYNTAXES
            if isinstance(part := copied(file, image, Frames(file, image), 1 << 30, Choice(syntax, True)), Part)
        }
        source = Source(file, image, data, folder, copied_at_all=bool(made))
        for syntax, part in made.items():
            copies += 1
            readers = {"pydicom"} if syntax == "jpeg-ls" and name in REFUSED_BY_CHARLS_1 else set(READERS)
            wrong += [(name, syntax, what) for what in source.differences(part, syntax, readers)]
    return wrong, copies


class Source:
    """A file, what dciodvfy says of it, and its pixels."""

    def __init__(self, file: Part10, image: Image, data: bytes, folder: Path, *, copied_at_all: bool) -> None:
        self._folder, self._image = folder, image
        self._is_deflated = file.transfer_syntax_uid in DEFLATED
        if copied_at_all:
            frames = Frames(file, image)
            self._pixels = np.stack([frames.frame(index) for index in range(image.frames)])
            self._errors = errors(data, folder)
            self._readers = {name for name, read in READERS.items() if name != "gdcm" or read(data, folder) is not None}
            self._elements = _elements(data)

    def differences(self, part: Part, syntax: Syntax, readers: set[str]) -> Iterator[str]:
        assert part.transfer_syntax_uid == CODINGS[syntax].transfer_syntax_uid
        older = part.data if syntax == "jpeg-ls" else as_jpeg_2000(part.data, part.transfer_syntax_uid)
        # dciodvfy cannot inflate, so there is nothing to compare with.
        if not self._is_deflated:
            yield from errors(older, self._folder) - self._errors
        for name in self._readers & readers:
            if name == "dcmtk" and syntax != "jpeg-ls":
                continue  # It reads no JPEG 2000 of any kind.
            seen = READERS[name](part.data if name == "pydicom" else older, self._folder)
            if seen is None or not np.array_equal(seen.reshape(self._pixels.shape), self._pixels):
                yield f"{name} {'cannot read it' if seen is None else 'sees other pixels'}"
        copy = _elements(part.data)
        yield from (f"{tag:08X} was added" for tag in copy.keys() - self._elements.keys())
        for tag, element in self._elements.items():
            # A private element of an implicit VR source has no VR that could be known.
            if tag not in copy or (copy[tag] != element and copy[tag].VR != "UN"):
                yield f"{tag:08X} differs"


def _elements(data: bytes) -> dict[int, pydicom.DataElement]:
    """All but those of the pixels' encoding, and lengths of groups, which are retired."""
    with warnings.catch_warnings():
        # Foreign files hold values that pydicom warns of, in the source as in the copy.
        warnings.simplefilter("ignore")
        read: Dataset = pydicom.dcmread(io.BytesIO(data))
        return {int(one.tag): one for one in read if one.tag not in ENCODING and one.tag.element != 0}
