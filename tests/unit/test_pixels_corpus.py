"""Pixel data that nobody here made: sound pixels have no finding, broken ones the right one, and no bytes do more."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import Final

import pytest

from consumers.validate import pixels, rules
from consumers.validate.config import Limits
from streams import part10
from streams.elements import Malformed, TooComplex
from streams.part10 import Part10
from tests.received import CORPUS, manifest

# Of mutated files that are read in all; the long form has 20 MB.
MUTATED_BYTES: Final = int(os.environ.get("RADSTREAM_MUTATED_BYTES", "4000000"))
_PIXEL_DATA_BYTES_MAX: Final = 100_000
# Of an empty offset table and the first fragment.
_ITEM_HEADS: Final = 16

# What is broken in the files whose pixels are (the manifest's notes, and what DCMTK says of them).
BROKEN: Final = {
    "047_fo-dicom_multiframe": {"pixels_undecodable"},  # Its codestreams are of another size.
    "054_fo-dicom_GH1339": {"pixel_length"},
    "062_fo-dicom_genFile": {"pixels_undecodable"},  # What stands there is no JPEG.
    "159_pydicom_JPEG2000-embedded-sequence-delimiter": {"codestream"},
    "167_pydicom_MR_truncated": {"pixel_length"},
    "179_pydicom_badVR": {"pixel_header"},
    "209_pydicom_nested_priv_SQ": {"pixel_header"},
    "242_pydicom-data_emri_small_jpeg_2k_lossless_too_short": {"pixel_length"},
    "246_pydicom-data_liver_nonbyte_aligned_rle": {"decoder_absent"},  # RLE of single bits, which is legal (CP 2301).
    "013_dcm4che_will-jxl": {"decoder_absent"},
    "243_pydicom-data_liver_deflate": {"decoder_absent"},
}
# True, though dciodvfy does not look into codestreams: the name of the first says so.
SIGNS_DIFFER: Final = {"157_pydicom_J2K_pixelrep_mismatch", "249_pylibjpeg-data_TOSHIBA_J2K_OpenJPEGv2Regression"}

# A photograph that is wrapped as RGB: its codestream is JFIF, so luminance and chroma.
COLOURS_DIFFER: Final = {"057_fo-dicom_GH195"}

# True too: every pixel of it is 0.
BLANK: Final = {"051_fo-dicom_GH1261"}

pytestmark = [pytest.mark.corpus, pytest.mark.usefixtures("corpus")]


def found(data: bytes) -> set[str]:
    return {name for name, _ in pixels.check(part10.read(data), Limits(), is_image=False)}


def readable() -> Iterator[tuple[dict[str, str], str, bytes]]:
    for row in manifest():
        data = (CORPUS / row["file"]).read_bytes()
        try:
            part10.read(data)
        except (Malformed, TooComplex):
            continue
        yield row, row["file"].removeprefix("files/").removesuffix(".dcm"), data


def test_pixels_that_decode_have_no_false_finding_and_broken_ones_have_the_right_one() -> None:
    wrong = {}
    for row, name, data in readable():
        said = found(data)
        if name in BROKEN:
            if not said >= BROKEN[name]:
                wrong[name] = said
            continue
        if name in SIGNS_DIFFER:
            said ^= {"codestream_sign"}
        if name in COLOURS_DIFFER:
            said ^= {"codestream_colour"}
        if name in BLANK:
            said ^= {"pixels_blank"}
        serious = {rule for rule in said if rules.RULES[rule].severity != "info"}
        if row["expect"] == "valid" and said:
            wrong[name] = said
        # What is too bright for Bits Stored is told of two that arrived lossy.
        if row["pixel_decode"] == "ok" and serious - {"bits_beyond_stored"}:
            wrong[name] = said

    assert wrong == {}


def test_random_changes_break_no_more_than_the_file() -> None:
    """No exception, and no process but helpers: this one goes on."""
    chance, left = random.Random(7), MUTATED_BYTES
    files = [data for _, _, data in readable() if _is_mutable(part10.read(data))]
    while left > 0:
        for data in files:
            mutated = _mutated(data, chance)
            left -= len(mutated)
            try:
                file = part10.read(mutated)
            except (Malformed, TooComplex):
                continue
            for name, _ in pixels.check(file, Limits(), is_image=True):
                assert name in rules.RULES
            if left <= 0:
                return


def _is_mutable(file: Part10) -> bool:
    """Native pixels have nothing that a change could break."""
    element = file.pixel_data
    return element is not None and element.undefined_length and element.length < _PIXEL_DATA_BYTES_MAX


def _mutated(data: bytes, chance: random.Random) -> bytes:
    """Bytes changed in the pixel data, near its beginning mostly; one time in eight some are cut out or put in."""
    element = part10.read(data).pixel_data
    assert element is not None
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8, 40))):
        at = element.value_at + min(_ITEM_HEADS + int(2 ** (chance.random() * 17)), element.length - 1)
        changed[at] = chance.choice((0, 0xFF, changed[at] ^ 1 << chance.randrange(8), chance.randrange(256)))
    if chance.random() < 0.125:
        at, length = chance.randrange(300, len(changed)), chance.randrange(1, 64)
        changed[at : at + chance.choice((0, length))] = changed[at : at + chance.choice((0, length))]
    return bytes(changed)
