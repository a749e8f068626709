"""Encoders at the edges of what a frame can be, seen by other decoders, and from several threads at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray

from consumers.derive.codings import CODINGS, Coding
from consumers.derive.config import Syntax
from streams.codestream import picture
from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN
from streams.pixels.codecs import decode
from streams.pixels.image import Image

RANDOM = np.random.default_rng(3)
SHAPES = ((1, 1), (1, 7), (9, 1), (2, 3), (1, 600), (129, 65), (33, 1021))
SYNTAXES: tuple[Syntax, ...] = ("htj2k", "htj2k-rpcl", "jpeg-ls")
THREADS = 4


def image(shape: tuple[int, int], bits: int, samples: int, *, signed: bool) -> Image:
    return Image(
        transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN,
        rows=shape[0],
        columns=shape[1],
        frames=1,
        samples=samples,
        bits_allocated=8 if bits <= 8 else 16,
        bits_stored=bits,
        high_bit=bits - 1,
        signed=signed,
        planar=False,
        photometric="RGB" if samples == 3 else "MONOCHROME2",
    )


def noise(of: Image) -> NDArray[np.integer]:
    lowest = -(1 << (of.bits_stored - 1)) if of.signed else 0
    made: NDArray[np.integer] = RANDOM.integers(lowest, lowest + (1 << of.bits_stored), of.shape).astype(of.dtype)
    return made


def seen(coding: Coding, codestream: bytes, of: Image) -> NDArray[np.integer]:
    return decode(codestream, replace(of, transfer_syntax_uid=coding.transfer_syntax_uid))


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_depth_and_odd_size_comes_back(syntax: Syntax) -> None:
    coding, wrong = CODINGS[syntax], []
    shapes = [shape for shape in SHAPES if syntax != "jpeg-ls" or shape[0] * shape[1] >= 600]
    for shape, bits, samples, signed in product(shapes, (1, 2, 7, 8, 9, 12, 16), (1, 3), (False, True)):
        if (bits == 1 and signed) or not coding.takes(image(shape, bits, samples, signed=signed)):
            continue
        of = image(shape, bits, samples, signed=signed)
        pixels = noise(of)
        codestream = coding.encode(pixels, of)
        head = picture(codestream)
        if head is None or (head.bits, head.signed) != (bits, signed and coding.keeps_sign):
            wrong.append((of, "head"))
        if not np.array_equal(seen(coding, codestream, of), pixels):
            wrong.append((of, "pixels"))
        if coding.keeps_sign and not np.array_equal(imagecodecs.jpeg2k_decode(codestream, planar=False), pixels):
            wrong.append((of, "OpenJPEG sees other pixels"))

    assert wrong == []


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_threads_do_not_disturb_each_other(syntax: Syntax) -> None:
    coding = CODINGS[syntax]
    of = image((256, 192), 12, 1, signed=False)
    frames = [noise(of) for _ in range(24)]
    alone = [coding.encode(frame, of) for frame in frames]

    with ThreadPoolExecutor(THREADS) as threads:
        together = list(threads.map(lambda frame: coding.encode(frame, of), frames * 2))
        decoded = list(threads.map(lambda codestream: seen(coding, codestream, of), together))

    assert together == alone * 2
    assert all(np.array_equal(one, frame) for one, frame in zip(decoded, frames * 2, strict=True))
