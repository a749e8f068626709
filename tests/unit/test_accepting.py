"""What a client accepts, and which of what there is it gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from gateway.dicomweb.accepting import Chosen, Offer, Range, accepted, chosen, ranges
from gateway.dicomweb.models import JSON, MODELS
from streams.xml_model import XML

PLAIN, HTJ2K, JLS = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.80"
OCTETS = "application/octet-stream"
# An image that is stored as JPEG-LS, and has a copy in HTJ2K.
FRAME = (
    Offer("image/jls", JLS),
    Offer(OCTETS, JLS),
    Offer(OCTETS, PLAIN, is_default=True),
    Offer("image/jphc", HTJ2K),
    Offer(OCTETS, HTJ2K),
)


@pytest.mark.parametrize(
    ("accept", "media_type", "syntax", "multipart"),
    [
        ("", OCTETS, PLAIN, True),
        ("*/*", OCTETS, PLAIN, True),
        ('multipart/related; type="application/octet-stream"', OCTETS, PLAIN, True),
        ("multipart/related; type=application/octet-stream; transfer-syntax=*", OCTETS, JLS, True),
        (f'multipart/related; type="application/octet-stream"; transfer-syntax={HTJ2K}', OCTETS, HTJ2K, True),
        (f'multipart/related;type="image/jphc";transfer-syntax="{HTJ2K}"', "image/jphc", HTJ2K, True),
        ('multipart/related; type="image/jls"', "image/jls", JLS, True),
        ('multipart/related; type="image/*"', "image/jls", JLS, True),
        ("image/jphc", "image/jphc", HTJ2K, False),
        (OCTETS, OCTETS, PLAIN, False),
        ("image/jphc;q=0.5, image/jls", "image/jls", JLS, False),
        ("image/jp2, image/jls;q=0.2, image/jphc;q=0.3", "image/jphc", HTJ2K, False),
        ("image/jls;q=0, multipart/related; type=image/jphc", "image/jphc", HTJ2K, True),
        ("IMAGE/JLS", "image/jls", JLS, False),
        ("image/jls ; q=1.000", "image/jls", JLS, False),
        ("text/html, */*;q=0.1", OCTETS, PLAIN, True),
        ("*/*;q=0, image/jls", "image/jls", JLS, False),
        ("multipart/related", OCTETS, PLAIN, True),
        ("multipart/related; transfer-syntax=*", "image/jls", JLS, True),
        # The most specific of the ranges says how much it is wanted.
        ("image/*, image/jls;q=0.1", "image/jphc", HTJ2K, False),
        (f"{OCTETS}; transfer-syntax=*, {OCTETS}; transfer-syntax={JLS}; q=0", OCTETS, PLAIN, False),
        ("*/*;q=0.5, image/jphc", "image/jphc", HTJ2K, False),
        (f"*/*; transfer-syntax={PLAIN}", OCTETS, PLAIN, True),
        (f"multipart/*; transfer-syntax={HTJ2K}", "image/jphc", HTJ2K, True),
        ("*/*; transfer-syntax=*", "image/jls", JLS, True),
        (f"*/*, {OCTETS};q=0, multipart/related; type={OCTETS}; q=0", "image/jls", JLS, True),
    ],
)
def test_the_best_that_there_is(accept: str, media_type: str, syntax: str, multipart: bool) -> None:
    choice = chosen((ranges(accept),), FRAME)
    assert choice is not None
    assert (choice.offer.media_type, choice.offer.transfer_syntax, choice.multipart) == (media_type, syntax, multipart)


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        'multipart/related; type="application/dicom"',
        "image/jp2",
        f'multipart/related; type="image/jls"; transfer-syntax={HTJ2K}',
        "image/jls;q=0",
        "*/*; transfer-syntax=1.2.840.10008.1.2.4.50",
        "image/jls;q=2",
        "image/jls image/jphc",
        "///",
        '"',
    ],
)
def test_nothing_fits(accept: str) -> None:
    assert chosen((ranges(accept),), FRAME) is None


def test_several_frames_do_not_come_alone() -> None:
    offers = [Offer(OCTETS, PLAIN, is_default=True, alone=False)]
    assert chosen((ranges(OCTETS),), offers) is None
    assert chosen((ranges(f"{OCTETS}, */*;q=0.5"),), offers) == Chosen(offers[0], True)


def test_a_quoted_value_may_hold_what_separates() -> None:
    assert ranges('multipart/related; type="a,b;c\\"d", image/jls') == (
        Range("multipart/related", 1.0, part_type='a,b;c"d'),
        Range("image/jls", 1.0),
    )


@pytest.mark.parametrize(
    ("query", "header", "expected"),
    [
        ("", None, JSON),
        ("", "", JSON),
        ("", "*/*", JSON),
        ("", "application/*;q=0.2", JSON),
        ("", "application/dicom+json; charset=utf-8", JSON),
        ("", "text/html, application/json;q=0.9, application/dicom+json;q=0.1", "application/json"),
        ("", "application/dicom+json;q=0, */*", "application/json"),
        ("", 'multipart/related; type="application/dicom+xml"', XML),
        ("", "multipart/related", XML),
        ("", "image/png", None),
        ("", XML, None),
        ("accept=application/dicom%2Bjson", "image/png", JSON),
        ("accept=image/png", JSON, JSON),
        ("accept=image/png", None, None),
        ("accept=", "application/json", "application/json"),
    ],
)
def test_of_models_what_the_query_names_else_the_header(query: str, header: str | None, expected: str | None) -> None:
    headers = [] if header is None else [(b"accept", header.encode())]
    request = Request({"type": "http", "method": "GET", "headers": headers, "query_string": query.encode()})
    found = chosen(accepted(request), MODELS)
    assert (found and found.offer.media_type) == expected


@pytest.mark.timeout(5)
@pytest.mark.parametrize("text", ['"\\', '"', ';a="', "a/b;", " ", ",", "a/b;c=d;", "a/b,", "a"])
def test_a_long_header_is_read_at_once(text: str) -> None:
    """Of a search, 60 kB of quotation marks took most of a minute, in which nobody was answered."""
    long = text * (60_000 // len(text))
    chosen((ranges(long),), FRAME)
    chosen((ranges(f"a/b{long}"),), FRAME)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("differs", ["x", "transfer-syntax"])
def test_many_long_headers_that_are_nearly_the_same_are_told_apart_at_once(differs: str) -> None:
    """Each was compared, parameter by parameter, with each that came before: a third of a second, and nobody else was
    answered meanwhile."""
    long = "multipart/related" + "".join(f";p{number}=1" for number in range(6_000))
    for number in range(250):
        chosen((ranges(f"{long};{differs}={number}"),), FRAME)


@given(st.text(max_size=200))
def test_any_text_is_read(accept: str) -> None:
    found = ranges(accept)
    assert all(0 <= one.quality <= 1 for one in found)
    assert [one.quality for one in found] == sorted((one.quality for one in found), reverse=True)
    chosen((found,), FRAME)
