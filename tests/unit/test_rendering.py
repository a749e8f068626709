"""Each stage of PS3.3 section C.11 does what it says, and what is broken in a file is left out, never an error."""

from __future__ import annotations

import contextlib
import io
import itertools
import struct
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from consumers.validate import pixels
from consumers.validate.config import Limits
from streams import part10
from streams.pixels.image import Image
from streams.rendering.colour import from_ybr
from streams.rendering.files import picture_of
from streams.rendering.geometry import size_of
from streams.rendering.grey import Pipeline, greys
from streams.rendering.modality import Rescale
from streams.rendering.render import Shown, Wanted, shown
from streams.rendering.source import NotRendered, opened
from streams.rendering.voi import Window
from tests import images

RAMP: NDArray[np.uint8] = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
WIDE: NDArray[np.int16] = np.arange(-512, 512, dtype=np.int16).reshape(1, 32, 32)
NATIVE = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)


def seen(data: bytes, **wanted: Any) -> NDArray[np.int64]:
    return shown(opened(data), Wanted(**wanted)).pixels.astype(np.int64)


def of(data: bytes, **wanted: Any) -> Shown:
    return shown(opened(data), Wanted(**wanted))


def item(**attributes: object) -> Dataset:
    made = Dataset()
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def lut(first: int, values: list[int], bits: int, explanation: str = "") -> Dataset:
    made = item(LUTExplanation=explanation)
    made.add_new(0x00283002, "US", [len(values) & 0xFFFF, first, bits])
    made.add_new(0x00283006, "OW", struct.pack(f"<{len(values)}H", *values))
    return made


def test_the_three_functions_of_a_window() -> None:
    """The formulas of PS3.3 sections C.11.2.1.2 and C.11.2.1.3, pixel for pixel."""
    x = WIDE[0].astype(np.float64)
    center, width = 10.0, 200.0
    linear = np.clip((x - (center - 0.5)) / (width - 1) + 0.5, 0, 1)
    exact = np.clip((x - center) / width + 0.5, 0, 1)
    sigmoid = 1 / (1 + np.exp(-4 * (x - center) / width))

    for function, expected in (("LINEAR", linear), ("LINEAR_EXACT", exact), ("SIGMOID", sigmoid)):
        asked = images.native(WIDE, WindowCenter="10", WindowWidth="200", VOILUTFunction=function)
        assert (seen(asked) == np.floor(expected * 255 + 0.500001)).all()
        assert (seen(asked, depth=16) == np.floor(expected * 65535 + 0.500001)).all()


def test_a_width_of_one_is_a_threshold() -> None:
    assert (seen(images.native(WIDE), window=Window(0, 1)) == np.where(WIDE[0] > -0.5, 255, 0)).all()


def test_one_of_several_windows_by_number_or_by_what_it_says() -> None:
    data = images.native(
        WIDE, WindowCenter=["0", "100"], WindowWidth=["100", "2"], WindowCenterWidthExplanation=["SOFT", "BONE"]
    )

    assert (seen(data) == seen(data, window="soft")).all()
    assert (seen(data, window=1) == seen(data, window="BONE")).all()
    assert (seen(data, window=1) == seen(data, window=Window(100, 2))).all()
    assert (seen(data) != seen(data, window=1)).any()
    assert of(data, window=7).notes == ("window_not_found",)
    assert (seen(data, window="LUNG") == seen(data)).all()


@pytest.mark.parametrize("syntax", NATIVE)
def test_tables_of_modality_and_interest(syntax: pydicom.uid.UID) -> None:
    made = images.image(RAMP)
    made.add_new(0x7FE00010, "OW" if syntax == ExplicitVRBigEndian else "OB", _bytes(RAMP, syntax))
    made.ModalityLUTSequence = Sequence([lut(10, [1000, 500, 100], 16)])
    made.VOILUTSequence = Sequence([lut(100, [0] * 400 + [255] * 501, 8, "NORMAL"), lut(0, [7] * 2000, 12, "OTHER")])
    if syntax == ExplicitVRBigEndian:
        for table in (*made.ModalityLUTSequence, *made.VOILUTSequence):
            table.LUTData = np.frombuffer(table.LUTData, "<u2").byteswap().tobytes()

    data = images.written(made, syntax)

    # What is below the first entry has the first, what is above the last has the last.
    expected = np.where(RAMP[0] <= 10, 255, np.where(RAMP[0] == 11, 255, 0))
    assert (seen(data) == expected).all()
    assert of(data).voi == "table"
    assert set(seen(data, window="OTHER").flat) == {round(7 / 4095 * 255)}


def _bytes(pixels: NDArray[np.uint8], syntax: pydicom.uid.UID) -> bytes:
    raw = pixels.tobytes()
    return np.frombuffer(raw, np.uint16).byteswap().tobytes() if syntax == ExplicitVRBigEndian else raw


def test_frames_have_transformation_window_and_shape_of_their_own() -> None:
    frames = np.concatenate((RAMP, RAMP))
    made = images.image(frames)
    made.add_new(0x7FE00010, "OB", frames.tobytes())
    shared, first, second = Dataset(), Dataset(), Dataset()
    shared.PixelMeasuresSequence = Sequence([item(PixelSpacing=["2", "1"])])
    shared.FrameVOILUTSequence = Sequence([item(WindowCenter="0", WindowWidth="256")])
    for group, intercept in ((first, "0"), (second, "-255")):
        transformation = item(RescaleSlope="1", RescaleIntercept=intercept, RescaleType="US")
        group.PixelValueTransformationSequence = Sequence([transformation])
    second.FrameVOILUTSequence = Sequence([item(WindowCenter="-127", WindowWidth="256")])
    made.SharedFunctionalGroupsSequence = Sequence([shared])
    made.PerFrameFunctionalGroupsSequence = Sequence([first, second])
    for syntax, open_ended in itertools.product((ExplicitVRLittleEndian, ImplicitVRLittleEndian), (False, True)):
        _end_openly(made, open_ended)
        data = images.written(made, syntax)

        assert (seen(data, frame=0) == seen(images.native(RAMP), window=Window(0, 256))).all()
        assert (seen(data, frame=1) == RAMP[0]).all()
        assert of(data, frame=1).aspect == 2


def _end_openly(data_set: Dataset, open_ended: bool) -> None:
    """Writes sequences and items with a delimiter instead of a length, at every level (PS3.5 section 7.5)."""
    for element in data_set:
        if element.VR == "SQ":
            element.is_undefined_length = open_ended
            for one in element.value:
                one.is_undefined_length_sequence_item = open_ended
                _end_openly(one, open_ended)


def test_polarity_is_what_the_shape_says_else_the_photometric_interpretation() -> None:
    for photometric, shape, inverted in (
        ("MONOCHROME1", None, True),
        ("MONOCHROME2", None, False),
        ("MONOCHROME1", "INVERSE", True),
        ("MONOCHROME2", "INVERSE", True),
        ("MONOCHROME1", "IDENTITY", False),
    ):
        data = images.native(RAMP, photometric=photometric, **({"PresentationLUTShape": shape} if shape else {}))
        assert (seen(data) == (255 - RAMP[0] if inverted else RAMP[0])).all(), (photometric, shape)


def test_padding_is_black_whatever_the_polarity_and_counts_for_nothing() -> None:
    padded = WIDE.copy()
    padded[:, :16] = -2000
    one = images.native(padded, photometric="MONOCHROME1", PixelPaddingValue=-2000)
    made = images.native(WIDE, photometric="MONOCHROME1", PixelPaddingValue=-512, PixelPaddingRangeLimit=-400)
    without = np.percentile(WIDE[0, 16:], (1, 99))

    assert (seen(one)[:16] == 0).all()
    assert abs(seen(one)[16:].mean() - 127) < 3
    assert (seen(made)[WIDE[0] <= -400] == 0).all()
    assert seen(made)[WIDE[0] == -399] > 200
    assert without[0] > 0


def test_bits_beyond_the_stored_ones_are_no_part_of_a_grey() -> None:
    """Twelve bits, shifted by one; the lowest bit holds an overlay (as before 2004)."""
    stored = np.arange(4096, dtype=np.uint16).reshape(1, 64, 64)
    cells = (stored << 1) | (stored % 2) | np.uint16(0x8000)
    made = images.image(cells, bits_stored=12, HighBit=12, WindowCenter="2048", WindowWidth="4096")
    made.add_new(0x60000010, "US", 64)
    made.add_new(0x60000011, "US", 64)
    made.add_new(0x60000050, "SS", [1, 1])
    made.add_new(0x60000100, "US", 16)
    made.add_new(0x60000102, "US", 0)
    made.add_new(0x7FE00010, "OW", cells.tobytes())
    data = images.written(made)

    assert (seen(data) == np.floor(stored[0] / 4095 * 255 + 0.500001)).all()
    assert (seen(data, overlays=True)[stored[0] % 2 == 1] == 255).all()
    assert (seen(data, overlays=True)[stored[0] % 2 == 0] == seen(data)[stored[0] % 2 == 0]).all()


def test_an_overlay_lies_where_its_origin_says_also_beyond_the_image() -> None:
    made = images.image(np.zeros((1, 16, 16), np.uint8))
    made.add_new(0x60020010, "US", 4)
    made.add_new(0x60020011, "US", 8)
    made.add_new(0x60020050, "SS", [-1, 13])
    made.add_new(0x60023000, "OB", b"\xff" * 4)
    made.add_new(0x7FE00010, "OB", bytes(256))
    expected = np.zeros((16, 16), np.int64)
    expected[0:2, 12:16] = 255

    assert (seen(images.written(made), overlays=True) == expected).all()
    assert (seen(images.written(made)) == 0).all()


def test_what_lies_outside_of_any_shutter_is_hidden() -> None:
    flat = np.full((1, 40, 40), 200, np.uint8)
    rectangle = images.native(
        flat,
        ShutterShape=["RECTANGULAR", "CIRCULAR"],
        ShutterLeftVerticalEdge="11",
        ShutterRightVerticalEdge="30",
        ShutterUpperHorizontalEdge="6",
        ShutterLowerHorizontalEdge="35",
        CenterOfCircularShutter=["20", "20"],
        RadiusOfCircularShutter="12",
        ShutterPresentationValue=0x8080,
    )
    rows, columns = np.mgrid[1:41, 1:41]
    inside = (rows >= 6) & (rows <= 35) & (columns >= 11) & (columns <= 30)
    inside &= (rows - 20) ** 2 + (columns - 20) ** 2 <= 144
    triangle = seen(
        images.native(flat, ShutterShape="POLYGONAL", VerticesOfThePolygonalShutter=["1", "1", "1", "40", "40", "1"])
    )

    assert (seen(rectangle) == np.where(inside, 200, 128)).all()
    assert (triangle[0, 0], triangle[5, 5], triangle[39, 39]) == (200, 200, 0)


def test_a_shutter_that_hides_all_is_left_out() -> None:
    far = {"CenterOfCircularShutter": ["900", "900"], "RadiusOfCircularShutter": "1"}

    assert (seen(images.native(RAMP, ShutterShape="CIRCULAR", **far)) == RAMP[0]).all()


def test_a_frame_has_the_shutter_of_its_functional_group() -> None:
    """Enhanced XA and XRF images have theirs there (PS3.3 section C.7.6.16.2.16)."""
    frames = np.full((2, 40, 40), 200, np.uint8)
    round_ = {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": ["20", "20"], "RadiusOfCircularShutter": "12"}
    close = round_ | {"RadiusOfCircularShutter": "5", "ShutterPresentationValue": 0x8080}
    groups = [item(), item(FrameDisplayShutterSequence=Sequence([item(**close)]))]
    shared = item(FrameDisplayShutterSequence=Sequence([item(**round_)]))
    made = images.native(
        frames, SharedFunctionalGroupsSequence=Sequence([shared]), PerFrameFunctionalGroupsSequence=Sequence(groups)
    )
    rows, columns = np.mgrid[1:41, 1:41]
    away = (rows - 20) ** 2 + (columns - 20) ** 2

    assert (seen(made, frame=0) == np.where(away <= 144, 200, 0)).all()
    assert (seen(made, frame=1) == np.where(away <= 25, 200, 128)).all()


@pytest.mark.parametrize("bits", [8, 16])
def test_a_palette_in_segments_is_expanded_as_pydicom_does(bits: int) -> None:
    size, top = ("B", 200) if bits == 8 else ("H", 60_000)
    # Four entries, a line to the top, a line down to 5, and both lines again.
    units = [0, 4, 1, 2, 3, 4, 1, 100, top, 1, 100, 5]
    offset = 6 * struct.calcsize(size) if bits == 8 else 6
    again = [2, 2, *([offset, 0, 0, 0] if bits == 8 else [offset, 0])]
    made = images.image(RAMP, photometric="PALETTE COLOR")
    for colour in ("Red", "Green", "Blue"):
        setattr(made, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, bits])
        data = struct.pack(f"<{len(units + again)}{size}", *units, *again)
        setattr(made, f"Segmented{colour}PaletteColorLookupTableData", data + b"\0" * (len(data) % 2))
    made.add_new(0x7FE00010, "OB", RAMP.tobytes())
    written = images.written(made)
    theirs = apply_color_lut(RAMP[0], pydicom.dcmread(io.BytesIO(written))) >> (bits - 8)

    assert np.abs(seen(written) - theirs).max() <= 1
    assert seen(written)[..., 0].max() == top >> (bits - 8)


def test_a_dark_colour_of_sixteen_bits_is_not_taken_for_a_bright_one_of_eight() -> None:
    """Many writers put eight bits into words of sixteen; whether they did, all three colours say."""
    made = images.image(RAMP, photometric="PALETTE COLOR")
    for colour, step in (("Red", 257), ("Green", 257), ("Blue", 1)):
        setattr(made, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(made, f"{colour}PaletteColorLookupTableData", (np.arange(256, dtype=np.uint16) * step).tobytes())
    made.add_new(0x7FE00010, "OB", RAMP.tobytes())

    pixels = seen(images.written(made))

    assert (pixels[..., 0] == RAMP[0]).all()
    assert (pixels[..., 2] == 0).all()


def test_colour_of_a_lossless_jpeg_is_what_was_coded() -> None:
    ybr = np.stack([RAMP[0], RAMP[0] // 2, 255 - RAMP[0]], axis=-1)
    coded = bytes(imagecodecs.jpeg8_encode(ybr, lossless=True, colorspace="RGB", outcolorspace="RGB"))
    for syntax in ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"):
        as_ybr = images.compressed(ybr[None], [coded], syntax, PhotometricInterpretation="YBR_FULL")
        as_rgb = images.compressed(ybr[None], [coded], syntax, PhotometricInterpretation="RGB")

        assert (seen(as_ybr) == from_ybr(ybr)).all()
        assert (seen(as_rgb) == ybr).all()


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL", "YBR_FULL_422"])
@pytest.mark.parametrize("coded_as", ["RGB", "YCBCR"])
def test_colour_of_a_jpeg_is_what_its_own_markers_say(coded_as: str, photometric: str) -> None:
    """Photographs that are wrapped as RGB are luminance and chroma all the same: JFIF knows nothing else."""
    photo = np.stack([RAMP[0], RAMP[0] // 2, 255 - RAMP[0]], axis=-1)
    coded = bytes(
        imagecodecs.jpeg8_encode(photo, level=100, colorspace="RGB", outcolorspace=coded_as, subsampling="444")
    )
    data = images.compressed(photo[None], [coded], "1.2.840.10008.1.2.4.50", photometric=photometric)

    assert np.abs(seen(data) - photo).max() <= 4
    rules = {name for name, _ in pixels.check(part10.read(data), Limits(), is_image=True)}
    assert ("codestream_colour" in rules) == ((photometric == "RGB") != (coded_as == "RGB"))


def test_an_rgb_coded_jpeg_that_is_jfif_too_is_shown_as_adobe_has_it() -> None:
    """Tiles of slides are: our own importer puts Adobe's marker before what may have JFIF's."""
    photo = np.stack([RAMP[0], RAMP[0] // 2, 255 - RAMP[0]], axis=-1)
    coded = bytes(imagecodecs.jpeg8_encode(photo, level=100, colorspace="RGB", outcolorspace="RGB", subsampling="444"))
    jfif = b"\xff\xe0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0"
    data = images.compressed(photo[None], [coded[:2] + jfif + coded[2:]], "1.2.840.10008.1.2.4.50", photometric="RGB")

    assert np.abs(seen(data) - photo).max() <= 4


def test_luminance_and_chroma_become_rgb_to_the_nearest() -> None:
    every = np.stack(np.meshgrid(np.arange(0, 256, 51), np.arange(256), np.arange(256), indexing="ij"), axis=-1)
    y, cb, cr = (every[..., one].astype(np.float64) for one in range(3))
    exact = np.stack(
        (
            y + 1.402 * (cr - 128),
            y - (0.114 * 1.772 * (cb - 128) + 0.299 * 1.402 * (cr - 128)) / 0.587,
            y + 1.772 * (cb - 128),
        ),
        axis=-1,
    )

    assert np.abs(from_ybr(every.astype(np.uint8)) - np.clip(exact, 0, 255)).max() <= 0.500001


@pytest.mark.parametrize(
    ("tag", "vr", "dtype", "padding"),
    [(0x7FE00008, "OF", "<f4", "FloatPixelPadding"), (0x7FE00009, "OD", "<f8", "DoubleFloatPixelPadding")],
    ids=["float", "double"],
)
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_the_padding_of_real_numbers_is_no_part_of_the_image(
    tag: int, vr: str, dtype: str, padding: str, syntax: pydicom.uid.UID
) -> None:
    padded = np.linspace(1, 5, 1024).astype(dtype).reshape(32, 32)
    padded[:, :20], padded[:, 20] = -1000, -500

    def greys_of(**attributes: float) -> NDArray[np.int64]:
        made = images.image(np.zeros((1, 32, 32), np.uint8), photometric="MONOCHROME1", **attributes)
        made.BitsAllocated = np.dtype(dtype).itemsize * 8
        made.add_new(tag, vr, padded.tobytes())
        return seen(images.written(made, syntax))

    plain, one, range_ = (
        greys_of(),
        greys_of(**{f"{padding}Value": -1000}),
        greys_of(**{f"{padding}Value": -1000, f"{padding}RangeLimit": -100}),
    )

    assert len(set(range_[:, 21:].flat)) > 100, "the greys are for what is image"
    assert set(range_[:, :21].flat) == {0}
    assert (set(one[:, :20].flat), set(one[:, 20])) == ({0}, {255})
    assert (set(plain[:, :20].flat), set(plain[:, 20])) == ({255}, {128})


def test_real_numbers_and_integers_of_32_and_64_bits_are_shown() -> None:
    values = np.linspace(-3, 5, 1024).reshape(1, 32, 32)
    expected = np.floor(np.clip(values[0] / 2 + 0.5, 0, 1) * 255 + 0.500001)
    for tag, vr, dtype in ((0x7FE00008, "OF", "<f4"), (0x7FE00009, "OD", "<f8")):
        made = images.image(np.zeros((1, 32, 32), np.uint8))
        del made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation
        cells = values.astype(dtype)
        cells[0, 0, :2] = np.nan, np.inf
        made.add_new(tag, vr, cells.tobytes())
        data = images.written(made)
        greys_seen = seen(data, window=Window(0, 2, "LINEAR_EXACT"))
        assert (greys_seen.ravel()[2:] == expected.ravel()[2:]).all()
        assert of(data).voi == "percentiles"
    for dtype in ("<i4", "<i8"):
        cells = (values * 1e8).astype(dtype)
        made = images.image(cells)
        made.BitsAllocated = made.BitsStored = cells.dtype.itemsize * 8
        made.add_new(0x7FE00010, "OV" if dtype == "<i8" else "OW", cells.tobytes())
        assert (seen(images.written(made), window=Window(0, 2e8, "LINEAR_EXACT")) == expected).mean() > 0.99


@given(st.integers(1, 16), st.booleans(), st.floats(-3, 3), st.floats(-100, 100), st.floats(1, 500), st.booleans())
@settings(max_examples=60, deadline=None)
def test_the_table_is_the_pipeline(
    bits: int, signed: bool, slope: float, intercept: float, width: float, inverted: bool
) -> None:
    """One look-up a pixel gives what the stages give one after the other."""
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    stored = np.linspace(low, high, 300).astype(np.int16 if signed else np.uint16).reshape(15, 20)
    image = Image("1.2.840.10008.1.2.1", 15, 20, 1, 1, 16, bits, bits - 1, signed, False, "MONOCHROME2")
    pipeline = Pipeline(Rescale(slope, intercept), Window(0, width), inverted)

    assert (greys(stored, image, pipeline, 255) == pipeline.shown(stored.astype(np.float64), 255)).all()


@pytest.mark.parametrize(
    ("attributes", "note"),
    [
        ({"WindowCenter": "0", "WindowWidth": "0"}, "window_broken"),
        ({"WindowCenter": "1", "WindowWidth": "9", "VOILUTFunction": "CUBIC"}, "voi_function_unknown"),
        ({"RescaleSlope": "0", "RescaleIntercept": "1"}, "rescale_slope_zero"),
        ({"VOILUTSequence": Sequence([lut(0, [1, 2], 99)])}, "voi_lut_broken"),
        ({"ModalityLUTSequence": Sequence([item(LUTDescriptor=[0, 0, 16], LUTData=b"\0\0")])}, "modality_lut_broken"),
        ({"photometric": "PALETTE COLOR", "RedPaletteColorLookupTableDescriptor": [0, 0, 16]}, "palette_broken"),
    ],
)
def test_what_is_broken_is_left_out_and_named(attributes: dict[str, Any], note: str) -> None:
    made = of(images.native(RAMP, **attributes))

    assert made.notes == (note,)
    assert made.pixels.shape == (16, 16)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_no_mutation_of_a_header_is_an_error_of_ours(data: st.DataObject) -> None:
    """Each ends as a picture or as NotRendered."""
    file = bytearray(_RICH)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(_RICH_FROM, len(file) - 257))
        file[at : at + 2] = data.draw(st.binary(min_size=1, max_size=4))
    with contextlib.suppress(NotRendered):
        picture_of(of(bytes(file), overlays=True), 64)


def _rich() -> bytes:
    made = images.image(RAMP, photometric="MONOCHROME1", ShutterShape="CIRCULAR", PixelAspectRatio=["1", "2"])
    made.CenterOfCircularShutter, made.RadiusOfCircularShutter = ["8", "8"], "7"
    made.ModalityLUTSequence = Sequence([lut(0, list(range(8)), 8)])
    made.VOILUTSequence = Sequence([lut(0, list(range(8)), 8)])
    made.SharedFunctionalGroupsSequence = Sequence([item(FrameVOILUTSequence=Sequence([item(WindowWidth="5")]))])
    made.PixelPaddingValue = 3
    made.add_new(0x60000010, "US", 16)
    made.add_new(0x60000011, "US", 16)
    made.add_new(0x60000050, "SS", [1, 1])
    made.add_new(0x60003000, "OB", b"\x0f" * 32)
    made.add_new(0x7FE00010, "OB", RAMP.tobytes())
    return images.written(made)


_RICH = _rich()
_RICH_FROM = _RICH.index(b"UI", 300)


@pytest.mark.parametrize("frame", [-1, 1, 1 << 40])
def test_a_frame_that_is_not_there_is_told(frame: int) -> None:
    with pytest.raises(NotRendered) as told:
        of(images.native(RAMP), frame=frame)
    assert told.value.code == "no_such_frame"


def test_square_pixels_lose_none_of_the_image() -> None:
    assert size_of(100, 200, 1.0, None) == (200, 100)
    assert size_of(100, 200, 2.0, None) == (200, 200)
    assert size_of(100, 200, 0.5, None) == (400, 100)
    assert size_of(1000, 2000, 1.0, 500) == (500, 250)
    assert size_of(10, 20, 1.0, 500) == (20, 10)
    assert size_of(10, 20, 1.0, 500, enlarge=True) == (500, 250)
    assert size_of(1, 60_000, 8.0, 100) == (100, 1)


def test_colour_has_the_bits_up_to_the_high_bit_and_none_above() -> None:
    twelve = np.array([[[[0x0FFF, 0x0800, 0]]]], np.uint16)
    assert seen(images.native(twelve | 0x7000, bits_stored=12)).tolist() == [[[255, 128, 0]]]
    assert seen(images.native(twelve << 4, bits_stored=12, HighBit=15)).tolist() == [[[255, 128, 0]]]


def test_real_numbers_of_any_size_have_greys() -> None:
    pixels = np.array([[-1.7e308, -1.0, 0.0, 1.0, 1.7e308]])
    made = images.image(np.zeros((1, 1, 5), np.uint32))
    made.add_new(0x7FE00009, "OD", pixels.tobytes())
    del made.RescaleSlope, made.RescaleIntercept
    with np.errstate(all="raise"):
        greys = seen(images.written(made))

    assert greys[0, 0] == 0
    assert greys[0, 4] == 255
    assert list(greys[0]) == sorted(greys[0])
