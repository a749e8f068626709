"""A frame of a file of many costs that frame, also where bytes lie in big-endian words."""

from __future__ import annotations

import tracemalloc

import numpy as np

from streams import part10
from streams.pixels.frames import Frames
from streams.pixels.image import describe
from tests import images


def test_words_are_turned_for_one_frame_alone() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (400, 51, 51), np.uint8)
    file = part10.read(images.native(pixels, "big"))
    image = describe(file, 1 << 20)
    assert not isinstance(image, str)
    frames = Frames(file, image)

    tracemalloc.start()
    try:
        for index in (0, 1, 2, 398, 399):
            np.testing.assert_array_equal(frames.frame(index), pixels[index])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 800_000, "the whole of it is more than a megabyte"
