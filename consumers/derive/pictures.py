"""Pictures of an image for lists and first looks: thumbnail, preview, and of many frames a strip. Never for reading.

One frame is decoded and rendered once: the preview is made of it, and the thumbnail of the preview.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from consumers.derive.config import Output
from consumers.derive.pack import Part
from streams.part10 import Part10
from streams.rendering.files import File, Format, encoded, picture_of, resized
from streams.rendering.geometry import size_of
from streams.rendering.notice import text_of, with_strip
from streams.rendering.render import Wanted, shown
from streams.rendering.source import NotRendered, Source, source
from streams.rendering.strip import evenly, numbered, strip_of

# WebP is a third smaller than JPEG and takes ten times as long to write: 3 ms for a thumbnail, 28 for a preview.
_THUMBNAIL: Format = "webp"
_PREVIEW: Format = "jpeg"
_THUMBNAIL_QUALITY, _PREVIEW_QUALITY = 75, 85
# No strip looks at more than this of decoded pixels.
_STRIP_BYTES_MAX = 64 << 20


def pictures(file: Part10 | Source, output: Output) -> list[Part | str]:
    """Pictures of the middle frame, a strip of many, and notes: why there are none, or what was left out as broken."""
    try:
        found = file if isinstance(file, Source) else source(file, output.frame_bytes_max)
    except NotRendered as error:
        return [error.code]
    return [*_made(_of_one_frame, found, output), *_made(_strip, found, output)]


def _made(make: Callable[[Source, Output], list[Part | str]], found: Source, output: Output) -> list[Part | str]:
    """A frame that cannot be shown takes a strip away, and no other picture."""
    try:
        return make(found, output)
    except NotRendered as error:
        return [error.code]


def _of_one_frame(found: Source, output: Output) -> list[Part | str]:
    image = found.image
    frame = shown(found, Wanted(frame=image.frames // 2))
    text = text_of(for_processing=frame.for_processing)
    large = picture_of(frame, output.preview_px)
    small = resized(large, size_of(image.rows, image.columns, frame.aspect, output.thumbnail_px, enlarge=True))
    return [
        _part("thumbnail", encoded(small, _THUMBNAIL, text, quality=_THUMBNAIL_QUALITY)),
        _part("preview", encoded(with_strip(large, text), _PREVIEW, text, quality=_PREVIEW_QUALITY)),
        *frame.notes,
    ]


def _strip(found: Source, output: Output) -> list[Part | str]:
    if found.image.frames < 2 or output.strip_frames < 2:
        return []
    most = min(output.strip_frames, _STRIP_BYTES_MAX // found.image.frame_bytes)
    if most < 2:
        return ["strip_too_large"]
    frames = evenly(found.image.frames, most)
    strip = strip_of(found, frames)
    text = text_of(for_processing=strip.for_processing)
    picture = with_strip(strip.picture, text)
    made = encoded(picture, _PREVIEW, f"{text} {numbered(frames)}", quality=_PREVIEW_QUALITY)
    return [_part("strip", made), *strip.notes]


def _part(kind: Literal["thumbnail", "preview", "strip"], file: File) -> Part:
    return Part(kind, file.media_type, file.rows, file.columns, file.data)
