"""What a query wants of a picture, which bytes a range is, and a picture in a viewport."""

from __future__ import annotations

import io
from contextlib import suppress

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from starlette.datastructures import QueryParams
from starlette.requests import Request

from gateway.dicomweb.answering import byte_range, unchanged
from gateway.dicomweb.pictures import wish_of
from gateway.problem import Problem
from streams.rendering.frame import Asked, Viewport, rendered
from streams.rendering.render import Wanted
from streams.rendering.source import NotRendered, opened
from streams.rendering.voi import Window
from tests.unit.test_json_model import file_of


def request(**headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "GET", "headers": raw})


def test_a_whole_wish() -> None:
    wish = wish_of(
        QueryParams("window=40,400.5,sigmoid&viewport=100,50,1,2,30,-40&quality=80&annotation=technique&frame=3"),
        has_frame=False,
    )
    assert wish.window == Window(40.0, 400.5, "SIGMOID")
    assert wish.viewport == Viewport(100, 50, 1, 2, 30, -40)
    assert (wish.quality, wish.technique, wish.frame, wish.warnings) == (80, True, 3, ())
    assert not wish.is_plain
    assert wish_of(QueryParams("viewport=100,50"), has_frame=False).is_plain


@pytest.mark.parametrize(
    "query",
    [
        "window=1,2,3",
        "window=,",
        "window=1,2,linear,4",
        "window=1,nan",
        "window=1,0.5",
        "viewport=1,2,3",
        "viewport=,5",
        "viewport=99999,1",
        "viewport=16000,16000",
        "viewport=5,5,-1,0,1,1",
        "viewport=5,5,0,0,0,1",
        "viewport=1_0,5",
        "quality=0",
        "quality=1.5",
        "quality=",
        "frame=0",
        "frame=1e3",
        "annotation=all",
        "iccprofile=cmyk",
    ],
)
def test_what_is_no_wish(query: str) -> None:
    with pytest.raises(Problem) as refused:
        wish_of(QueryParams(query), has_frame=False)
    assert refused.value.status == 400


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=10))
def test_any_query_is_a_wish_or_refused(window: str, viewport: str, number: str) -> None:
    query = QueryParams({"window": window, "viewport": viewport, "quality": number, "frame": number})
    with suppress(Problem):
        wish_of(query, has_frame=False)


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ("bytes=0-9", (0, 10)),
        ("bytes=90-", (90, 10)),
        ("bytes=-5", (95, 5)),
        ("bytes=-500", (0, 100)),
        ("bytes=0-500", (0, 100)),
        ("bytes=100-", (-1, 0)),
        ("bytes=-0", (-1, 0)),
        ("bytes=5-4", None),
        ("bytes=0-1,3-4", None),
        ("bytes=-", None),
        ("lines=1-2", None),
    ],
)
def test_ranges_as_rfc_9110_has_them(asked: str, wanted: tuple[int, int] | None) -> None:
    assert byte_range(request(range=asked), '"tag"', 100) == wanted
    assert byte_range(request(range=asked, if_range='"older"'), '"tag"', 100) is None


def test_validators_as_rfc_9110_has_them() -> None:
    for said in ('"tag"', '"a", "tag"', 'W/"tag"', "*"):
        answer = unchanged(request(if_none_match=said), '"tag"')
        assert answer is not None
        assert (answer.status_code, answer.headers["etag"]) == (304, '"tag"')
    assert unchanged(request(if_none_match='"other"'), '"tag"') is None
    assert unchanged(request(), '"tag"') is None


def ramp() -> bytes:
    """Four rows of eight columns: the value is ten times the row, and the column."""
    one = pydicom.Dataset()
    one.SOPClassUID, one.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "2.25.1"
    one.Rows, one.Columns, one.SamplesPerPixel, one.PhotometricInterpretation = 4, 8, 1, "MONOCHROME2"
    one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 8, 8, 7, 0
    one.PixelData = np.add.outer(10 * np.arange(4), np.arange(8)).astype(np.uint8).tobytes()
    return file_of(one)


def pixels(viewport: Viewport) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    file = rendered(opened(ramp()), Asked(Wanted(window=Window(128, 256)), viewport=viewport)).file
    with Image.open(io.BytesIO(file.data)) as picture:
        return np.asarray(picture)


def test_a_region_as_large_as_the_box_lets_it_be() -> None:
    assert pixels(Viewport(16, 16)).shape == (8, 16)
    region = pixels(Viewport(3, 3, left=2, top=1, columns=3, rows=3))
    assert region.tolist() == [[12, 13, 14], [22, 23, 24], [32, 33, 34]]
    assert pixels(Viewport(3, 3, left=2, top=1, columns=-3, rows=3)).tolist() == region[:, ::-1].tolist()
    assert pixels(Viewport(3, 3, left=2, top=1, columns=3, rows=-3)).tolist() == region[::-1].tolist()
    for outside in (Viewport(9, 9, left=8), Viewport(9, 9, columns=9), Viewport(9, 9, top=1, rows=4)):
        with pytest.raises(NotRendered):
            pixels(outside)
