"""Two files say one image, or they do not."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from streams import part10
from streams.one_image import Said
from tests import images

PIXELS = np.arange(2 * 16 * 12, dtype=np.uint16).reshape(2, 16, 12)
JPEG_2000, LOSSY = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"


def jpeg_2000(syntax: str = JPEG_2000, **attributes: object) -> bytes:
    frames = [bytes(imagecodecs.jpeg2k_encode(frame, codecformat="j2k", reversible=True)) for frame in PIXELS]
    return images.compressed(PIXELS, frames, syntax, **attributes)


def nested(*, undefined: bool) -> Sequence:
    item, inner = Dataset(), Dataset()
    inner.CodeValue = "113100"
    item.DeidentificationMethodCodeSequence = Sequence([inner])
    found = Sequence([item])
    item.is_undefined_length_sequence_item = undefined
    found.is_undefined_length = undefined
    return found


def one(first: bytes, second: bytes) -> bool:
    return Said().are_one("first", lambda: part10.read(first), "second", lambda: part10.read(second))


@pytest.mark.parametrize(
    "again",
    [
        images.native(PIXELS, "implicit"),
        images.native(PIXELS, "big"),
        images.native(PIXELS, "deflated"),
        jpeg_2000(),
        images.native(PIXELS, InstanceCreationDate="20260101", InstanceCreationTime="101500"),
    ],
)
def test_the_same_is_the_same_however_it_is_written_and_whenever_the_file_was_made(again: bytes) -> None:
    assert one(images.native(PIXELS), again)


def test_sequences_of_defined_and_of_undefined_length_say_the_same() -> None:
    written = [images.native(PIXELS, SourceImageSequence=nested(undefined=how)) for how in (False, True)]
    assert written[0] != written[1]
    assert one(*written)


@pytest.mark.parametrize(
    "again",
    [
        images.native(PIXELS + 1),
        images.native(PIXELS, PatientName="ROE^ANN"),
        images.native(PIXELS, RescaleSlope=2),
        images.native(PIXELS, SourceImageSequence=nested(undefined=True)),
        jpeg_2000(PatientID="OTHER"),
        # What was compressed with a loss is other pixels, or may be.
        jpeg_2000(LOSSY),
    ],
)
def test_other_pixels_or_another_header_are_another_image(again: bytes) -> None:
    assert not one(images.native(PIXELS), again)


def test_where_an_item_ends_is_part_of_what_is_said() -> None:
    both, apart = Dataset(), [Dataset(), Dataset()]
    both.CodeValue, both.CodeMeaning = "1", "x"
    apart[0].CodeValue, apart[1].CodeMeaning = "1", "x"
    assert not one(
        images.native(PIXELS, ConceptNameCodeSequence=Sequence([both])),
        images.native(PIXELS, ConceptNameCodeSequence=Sequence(apart)),
    )


def test_what_cannot_be_decoded_is_not_known_to_be_the_same() -> None:
    broken = images.compressed(PIXELS, [b"\0\0", b"\0\0"], JPEG_2000)
    assert not one(broken, broken)
