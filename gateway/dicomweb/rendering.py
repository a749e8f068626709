"""Pictures of instances, frames, series and studies: made in advance where those do, else rendered once and kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from io import BytesIO

import numpy as np
from PIL import Image as Picture
from starlette.requests import Request
from starlette.responses import Response

from gateway.dicomweb import frames as framing
from gateway.dicomweb.accepting import accepted, chosen
from gateway.dicomweb.answering import headers, record, tag_of, unchanged
from gateway.dicomweb.frames import Frames, Source
from gateway.dicomweb.pictures import FORMATS, OFFERS, Wish, wish_of
from gateway.dicomweb.served import Asked as Resource
from gateway.dicomweb.served import Derived, Served, asked
from gateway.dicomweb.shown import Shown
from gateway.flights import Flights
from gateway.memory import Share, share_of
from gateway.parts import Parts
from gateway.problem import Problem
from gateway.reading import AllDamaged, NotOnline, Reading
from streams.elements import PIXEL_DATA, Element, Encoding
from streams.framecache.entry import key_of
from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN, Part10, beginning
from streams.pixels import frames as pixel_frames
from streams.pixels.claims import Undecodable
from streams.pixels.image import Image
from streams.rendering import source as sources
from streams.rendering.files import encoded, resized
from streams.rendering.frame import Asked, Rendered, Viewport, rendered
from streams.rendering.geometry import size_of
from streams.rendering.grey import Samples
from streams.rendering.notice import NOTICE
from streams.rendering.render import VERSION, Wanted
from streams.rendering.source import NotRendered
from streams.sandbox.sandbox import shared

_LITTLE = Encoding(explicit=True)
_THUMBNAIL_PX = 256
_THUMBNAIL_OFFERS = [OFFERS[0], *(one for one in reversed(OFFERS[1:]))]
# A preview stands for a picture that is hardly larger.
_ENLARGED_MAX = 1.25
# What is asked for is not there, or there is no picture of such; of the rest, the file is at fault.
_STATUSES = {"no_such_region": 400, "decoder_absent": 406}


class _NotKept(Exception):
    """The cache has no such picture."""


class Pictures:
    """For one event loop."""

    def __init__(self, parts: Parts, shown: Shown, reading: Reading, frames: Frames) -> None:
        self._parts, self._shown, self._reading, self._frames = parts, shown, reading, frames
        self._flights = Flights()

    async def rendered(self, request: Request, found: Sequence[Served]) -> Response:
        return await self._answer(request, found, is_thumbnail=False)

    async def thumbnail(self, request: Request) -> Response:
        return await self._answer(request, await self._shown.found(asked(request)), is_thumbnail=True)

    async def _answer(self, request: Request, found: Sequence[Served], *, is_thumbnail: bool) -> Response:
        choice = chosen(accepted(request), _THUMBNAIL_OFFERS if is_thumbnail else OFFERS)
        if choice is None:
            raise Problem(406, "Pictures are image/jpeg, image/png or image/webp.")
        kind = choice.offer.media_type
        wish = wish_of(request.query_params, has_frame="frames" in request.path_params)
        served = _representative(found, asked(request))
        index = _index(request, wish, served)
        middle = served.frames // 2
        is_as_made = wish.is_plain and index in (None, middle)
        made = _made_for(served, wish.viewport, is_thumbnail=is_thumbnail) if is_as_made else None
        # Another build of derive makes another picture of the same image.
        digests = [served.digest] if made is None else [served.digest, made.blob.digest]
        tag = tag_of(str(VERSION), digests, kind, repr((wish, index, is_thumbnail)))
        if (same := unchanged(request, tag)) is not None:
            record(self._parts, request, served.study_uid, 1)
            return same
        said = headers(tag) | wish.headers
        if made is not None and (ready := await self._ready(made, wish.viewport, kind)) is not None:
            record(self._parts, request, served.study_uid, 1)
            return Response(ready, media_type=kind, headers=said)
        if is_thumbnail and wish.viewport is None:
            wish = replace(wish, viewport=Viewport(_THUMBNAIL_PX, _THUMBNAIL_PX))
        share = share_of(request)
        picture = await self._picture(share, served, middle if index is None else index, wish, kind)
        await share.take(len(picture.file.data))
        record(self._parts, request, served.study_uid, 1)
        return Response(picture.file.data, media_type=kind, headers=said | _notes(picture, wish))

    async def _ready(self, made: Derived, box: Viewport | None, kind: str) -> bytes | None:
        """A picture that derive made, as it is, or in another format or smaller: nothing is decoded but itself."""
        try:
            data = await self._reading.whole(made.blob)
        except (AllDamaged, NotOnline):
            # Of the original another one is rendered.
            return None
        if kind == made.media_type and (box is None or (made.columns <= box.width and made.rows <= box.height)):
            return data
        return await self._parts.workers.run(partial(_again, data, kind, box))

    async def _picture(self, share: Share, served: Served, index: int, wish: Wish, kind: str) -> Rendered:
        legend = _legend(served) if wish.technique else ""
        try:
            how = Asked(
                Wanted(index, wish.window if wish.window is not None else 0),
                FORMATS[kind],
                viewport=wish.viewport,
                quality=wish.quality or 90,
                legend=legend,
            )
        except ValueError:
            raise Problem(400, "There is no such picture.") from None
        key = key_of(served.digest, how)
        return await self._flights.shared(key, lambda: self._kept_or_made(key, share, served, index, how))

    async def _kept_or_made(self, key: str, share: Share, served: Served, index: int, how: Asked) -> Rendered:
        run, cache = self._parts.workers.run, self._parts.frames
        try:
            return await run(lambda: cache.picture(key, _is_not_kept))
        except _NotKept:
            pass
        source = await self._frames.source(served)
        if index >= source.pixels.frames:
            raise Problem(404, "The instance has no frame of this number.")
        syntax = source.syntax if not source.is_native else EXPLICIT_VR_LITTLE_ENDIAN
        size = await self._frames.bytes_of(source, index, syntax) + _bytes_of(source, how.viewport)
        async with share.room(size):
            return await self._made(key, source, index, syntax, how)

    async def _made(self, key: str, source: Source, index: int, syntax: str, how: Asked) -> Rendered:
        run, cache, blob = self._parts.workers.run, self._parts.frames, source.served.blob
        head, data = await asyncio.gather(
            self._reading.part(blob, 0, min(source.pixels.at + 16, blob.length)),
            self._frames.frame(source, index, syntax),
        )
        if source.head.inflated:
            head = await self._reading.whole(blob)
        try:
            picture = await run(lambda: cache.picture(key, lambda: rendered(_opened(source, head, bytes(data)), how)))
        except NotRendered as error:
            raise Problem(_STATUSES.get(error.code, 422), str(error)) from None
        self._frames.expect(source, index, syntax)
        return picture


def _bytes_of(source: Source, box: Viewport | None) -> int:
    """What rendering takes beside the stored frame: samples, greys, and a picture in colours that fits into its box."""
    image = source.pixels.image
    frame = source.pixels.frame_bits // 8 if image is None else image.frame_bytes
    return 4 * frame + (0 if box is None else 6 * box.width * box.height)


def _is_not_kept() -> Rendered:
    raise _NotKept


def _representative(served: Sequence[Served], resource: Resource) -> Served:
    """Of a series the middle image; of a study that of its first series with images."""
    if resource.instance is not None:
        return served[0]
    images = [one for one in served if one.rows and one.columns]
    if not images:
        raise Problem(404, "There is nothing to be shown in it.")
    first = [one for one in images if one.series_uid == images[0].series_uid]
    return first[len(first) // 2]


def _index(request: Request, wish: Wish, served: Served) -> int | None:
    """Which frame (from 0) is asked for; None where it is ours to choose."""
    if "frames" in request.path_params:
        indices = framing.numbers(request.path_params["frames"], served.frames)
        if len(indices) != 1:
            raise Problem(400, "One picture shows one frame.")
        return indices[0]
    if wish.frame is not None and wish.frame > served.frames:
        raise Problem(404, "The instance has no frame of this number.")
    return None if wish.frame is None else wish.frame - 1


def _made_for(served: Served, box: Viewport | None, *, is_thumbnail: bool) -> Derived | None:
    small, large = served.of_kind("thumbnail"), served.of_kind("preview")
    if box is None:
        return small if is_thumbnail else None
    if (box.left, box.top, box.columns, box.rows) != (0, 0, None, None):
        return None
    for made in (small, large):
        if made is not None and min(box.width / made.columns, box.height / made.rows) <= _ENLARGED_MAX:
            return made
    return None


def _again(data: bytes, kind: str, box: Viewport | None) -> bytes:
    """A picture of ours in another format, and no larger than a box."""
    with Picture.open(BytesIO(data)) as opened:
        picture = opened.convert("RGB" if opened.mode not in ("L", "RGB") else opened.mode)
    side = None if box is None else min(box.width / picture.width, box.height / picture.height, 1.0)
    if side is not None and side < 1:
        longest = max(1, round(max(picture.size) * side))
        picture = resized(picture, size_of(picture.height, picture.width, 1.0, longest))
    return encoded(picture, FORMATS[kind], NOTICE, quality=85).data


def _legend(served: Served) -> str:
    """What is not the patient's: which image it is."""
    number = "" if served.instance_number is None else f"image {served.instance_number}, "
    return f"{number}{served.columns} x {served.rows}. {NOTICE}"


def _notes(picture: Rendered, wish: Wish) -> dict[str, str]:
    """What was broken and so left out is said (PS3.18 section 8.3.5)."""
    texts = [*wish.warnings, *picture.notes, *(["for processing"] if picture.for_processing else [])]
    return {"warning": ", ".join(f'299 radstream "{text}"' for text in texts)} if texts else {}


class _Given:
    """The one frame that was read."""

    def __init__(self, frame: Samples) -> None:
        self._frame = frame

    def frame(self, index: int) -> Samples:
        return self._frame


def _opened(source: Source, head: bytes, data: bytes) -> sources.Source:
    """What `streams.rendering` renders, of a header and the bytes of one frame. Raises NotRendered."""
    file, pixels = beginning(head), source.pixels
    if file is None:
        raise sources.not_rendered("unreadable")
    element = Element(pixels.tag, pixels.vr, pixels.at, pixels.at, pixels.end, pixels.encapsulated)
    opened = sources.source(replace(file, elements={**file.elements, pixels.tag: element}))
    try:
        frame = _samples(source, opened.image, data)
    except Undecodable as error:
        raise sources.not_rendered(error.code) from None
    return replace(opened, frames=_Given(frame))


def _samples(source: Source, image: Image, data: bytes) -> Samples:
    if not source.is_native:
        return shared().decode(data, image)
    if source.pixels.image is None:
        # Real numbers, and integers of 64 bits, have one sample each.
        kind = "f" if source.pixels.tag != PIXEL_DATA else "i" if image.signed else "u"
        values: Samples = np.frombuffer(data, f"<{kind}{image.bits_allocated // 8}").reshape(image.shape)
        return values
    # One frame of its own, in explicit VR little endian.
    element = Element(PIXEL_DATA, "OW", 0, 0, len(data))
    file = Part10(data, 0, _LITTLE, {}, {PIXEL_DATA: element}, frozenset())
    native = replace(image, frames=1, transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN)
    return pixel_frames.Frames(file, native).frame(0)
