"""WADO-RS (PS3.18 section 10.4): instances, metadata, frames and bulk data of what the catalog serves."""

from __future__ import annotations

import re
from asyncio import Semaphore
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.dicomweb import bulk, documents, instances, multipart
from gateway.dicomweb import frames as framing
from gateway.dicomweb.accepting import Chosen, Offer, accepted, chosen
from gateway.dicomweb.answering import AtHand, head_only, headers, piece_of, record, tag_of, unchanged
from gateway.dicomweb.frame_table import FrameTables
from gateway.dicomweb.frames import Frames
from gateway.dicomweb.heads import VERSION, Head, Heads, Place
from gateway.dicomweb.models import MODELS
from gateway.dicomweb.neighbours import Neighbours
from gateway.dicomweb.preparing import Preparing
from gateway.dicomweb.proofs import proofs
from gateway.dicomweb.rendering import Pictures
from gateway.dicomweb.served import Served, asked
from gateway.dicomweb.shown import Shown
from gateway.dicomweb.syntaxes import OCTETS
from gateway.dicomweb.video import Videos
from gateway.memory import Share, share_of
from gateway.parts import Parts
from gateway.problem import Problem
from gateway.reading import Reading
from gateway.streamed import Streamed
from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN
from streams.xml_model import XML, native

_FIRST_AT_ONCE: Final = 8
# Models that an answer is made of at once, of which most are of 4 kB; and of which it is kept as a whole.
_AT_ONCE: Final = 512
_MODEL_BYTES_AT_ONCE: Final = 16 << 20
_KEPT_BYTES_MAX: Final = 8 << 20
_RECODED_AT_ONCE: Final = 2
_URI: Final = b'"BulkDataURI":"'
_NOT_ACCEPTABLE: Final = "Nothing that there is of it is what the request accepts."


def routes(room: Retrieving, root: str) -> list[BaseRoute]:
    """Everything below /studies/{study} that is not a search."""
    study = f"{root}/studies/{{study}}"
    series = f"{study}/series/{{series}}"
    instance = f"{series}/instances/{{instance}}"
    shown = (study, series, instance, f"{instance}/frames/{{frames}}")
    return [
        # The first that fits answers, and this is asked for the most.
        Route(f"{instance}/frames/{{frames}}", room.frames),
        *(Route(path, room.instances) for path in (study, series, instance)),
        *(Route(f"{path}/metadata", room.metadata) for path in (study, series, instance)),
        Route(f"{instance}/bulkdata/{{path:path}}", room.bulk_data),
        Route(f"{instance}/pixeldata", room.pixel_data),
        *(Route(f"{path}/rendered", room.rendered) for path in shown),
        *(Route(f"{path}/thumbnail", room.pictures.thumbnail) for path in shown),
    ]


class Retrieving:
    def __init__(self, parts: Parts, root: str) -> None:
        self._parts, self._root = parts, root
        self._recoding = Semaphore(_RECODED_AT_ONCE)
        kept = parts.kept
        self._shown = Shown(parts)
        self._reading = Reading(parts.context.store, parts.workers, kept, parts.settings.held_bytes_max)
        self._heads = Heads(self._reading, parts.workers, kept, proofs(parts.catalog, parts.tenant))
        self._frames = Frames(
            self._reading, self._heads, FrameTables(self._reading, parts.workers, kept), parts.workers
        )
        self._videos = Videos(parts, self._reading, self._heads)
        self._neighbours = Neighbours(self._shown, self._reading)
        self.pictures = Pictures(parts, self._shown, self._reading, self._frames)
        settings = parts.settings
        limits = settings.prepared_per_s_max, settings.prepared_waiting_max
        self.preparing = Preparing(parts.context.log, self._heads, parts.tenant, *limits)

    async def instances(self, request: Request) -> Response:
        """Section 10.4.1.1.1 to 3: the files, one after the other, each as it is stored or in what is accepted."""
        wanted = asked(request)
        served = await self._shown.found(wanted)
        alone = wanted.instance is not None
        return await instances.answer(self._parts, self._reading, self._recoding, request, served, alone=alone)

    async def metadata(self, request: Request) -> Response:
        """Section 10.4.1.1.2 and annex F: everything but bulk data, in UTF-8."""
        choice = chosen(accepted(request), MODELS)
        if choice is None:
            raise Problem(406, _NOT_ACCEPTABLE)
        served = await self._shown.found(asked(request))
        base = str(request.base_url).rstrip("/") + self._root
        tag = tag_of(str(VERSION), choice.offer.media_type, base, (one.digest for one in served))
        if (same := unchanged(request, tag)) is not None:
            record(self._parts, request, served[0].study_uid, len(served))
            return same
        name = f"metadata {self._heads.damaged} {tag}"
        if (listed := self._parts.kept.at_hand(name)) is None:
            await self._heads.check_online(served)
        if (nothing := head_only(request, headers(tag) | {"content-type": choice.content_type})) is not None:
            return nothing
        said = headers(tag) | {"content-type": choice.offer.media_type}
        if listed is not None:
            record(self._parts, request, served[0].study_uid, len(served))
            return AtHand((listed,), said)
        models = await multipart.primed(self._models(share_of(request), served, base))
        record(self._parts, request, served[0].study_uid, len(served))
        if choice.multipart:
            return multipart.response(await multipart.primed(self._as_xml(models)), XML, headers(tag))
        return await self._as_json(models, name, said)

    async def _as_json(self, models: AsyncIterator[list[bytes]], name: str, said: dict[str, str]) -> Response:
        """In one piece, which is kept, where that is of a usual length; else as it is made."""
        made: list[bytes] = []
        length = 0
        async for some in models:
            made += some
            length += sum(map(len, some))
            if length > _KEPT_BYTES_MAX:
                return Streamed(_listed(made, models), headers=said)
        listed = b"[" + b",".join(made) + b"]"
        self._parts.kept.hold(name, listed)
        return AtHand((listed,), said)

    async def _as_xml(self, models: AsyncIterator[list[bytes]]) -> AsyncIterator[multipart.Part]:
        async for some in models:
            for model in some:
                data = await self._parts.workers.run(lambda model=model: native(msgspec.json.decode(model)))  # type: ignore[misc]
                yield multipart.Part(XML, multipart.of_bytes(data), len(data))

    async def _models(self, share: Share, served: Sequence[Served], base: str) -> AsyncIterator[list[bytes]]:
        """Some at a time, as JSON; fewer where headers are long, as all of these are held, and taken of the share."""
        start, at_once = 0, _FIRST_AT_ONCE
        while some := served[start : start + at_once]:
            heads = await self._heads.of_many(some)
            models = [_addressed(head.model, base, each) for head, each in zip(heads, some, strict=True)]
            size = sum(map(len, models))
            await share.take(size)
            yield models
            share.give(size)
            start += at_once
            longest = max(len(head.model) for head in heads)
            at_once = max(1, min(_AT_ONCE, _MODEL_BYTES_AT_ONCE // longest))

    async def frames(self, request: Request) -> Response:
        """Section 10.4.1.1.6: each as it is stored where that is accepted, else decoded."""
        # Whoever has it, and asks whether it is so still, is told that without a read.
        is_read = request.method == "GET" and "if-none-match" not in request.headers
        meanwhile = self._neighbours.asked if is_read else None
        source = await self._frames.source(await self._shown.one(asked(request), meanwhile))
        indices = framing.numbers(request.path_params["frames"], source.pixels.frames)
        return await self._of_frames(request, source, indices)

    async def pixel_data(self, request: Request) -> Response:
        """Section 10.4.1.1.7: all frames of the instances."""
        return await self._all_frames(request, await self._shown.one(asked(request)))

    async def _all_frames(self, request: Request, served: Served) -> Response:
        if served.is_video:
            return await self._videos.answer(request, served)
        source = await self._frames.source(served)
        return await self._of_frames(request, source, range(source.pixels.frames))

    async def _of_frames(self, request: Request, source: framing.Source, indices: Sequence[int]) -> Response:
        served = source.served
        choice = chosen(accepted(request), framing.offers(source, alone=len(indices) == 1))
        if choice is None:
            raise Problem(406, _NOT_ACCEPTABLE)
        blob = source.blob_of(str(choice.offer.transfer_syntax))
        # Of a range its ends: a header may say that there are two thousand million frames.
        tag = tag_of(blob.digest, choice.offer.content_type, str(choice.multipart), str(indices))
        if (same := unchanged(request, tag)) is not None:
            record(self._parts, request, served.study_uid, 1)
            return same
        if request.method == "HEAD":
            await self._reading.check_online(blob)
        if (nothing := head_only(request, headers(tag) | {"content-type": choice.content_type})) is not None:
            return nothing
        if not choice.multipart:
            answer = await self._alone(request, source, indices[0], choice.offer, tag)
            record(self._parts, request, served.study_uid, 1)
            return answer

        share, syntax = share_of(request), str(choice.offer.transfer_syntax)
        if len(indices) == 1 and await self._frames.long(source, indices[0], syntax) is None:
            data = await self._frame(share, source, indices[0], syntax)
            record(self._parts, request, served.study_uid, 1)
            then = partial(self._look_ahead, source, indices[0], syntax)
            return multipart.alone(choice.offer.content_type, data, choice.offer.media_type, headers(tag), then)
        made = await multipart.primed(self._each(share, source, indices, choice.offer))
        record(self._parts, request, served.study_uid, 1)
        return multipart.response(made, choice.offer.media_type, headers(tag))

    async def _each(
        self, share: Share, source: framing.Source, indices: Sequence[int], offer: Offer
    ) -> AsyncIterator[multipart.Part]:
        kind, syntax = offer.content_type, str(offer.transfer_syntax)
        for index in indices:
            long = await self._frames.long(source, index, syntax)
            if long is not None:
                pieces = await multipart.primed(self._frames.pieces(long, 0, long.length))
                yield multipart.Part(kind, pieces, long.length)
                continue
            data = await self._frame(share, source, index, syntax)
            self._frames.expect(source, index, syntax)
            yield multipart.Part(kind, multipart.of_bytes(data), len(data))
            share.give(len(data))
        self._neighbours.shown(source.served, syntax)

    def _look_ahead(self, source: framing.Source, index: int, syntax: str) -> None:
        """Behind a frame that was given: reads those that follow it in its file, and the slices in its series."""
        self._frames.expect(source, index, syntax)
        self._neighbours.shown(source.served, syntax)

    async def _frame(self, share: Share, source: framing.Source, index: int, syntax: str) -> bytes | memoryview:
        """The one that is asked for, which stays taken of the share."""
        size = await self._frames.bytes_of(source, index, syntax)
        return await share.made(size, lambda: self._frames.frame(source, index, syntax))

    async def bulk_data(self, request: Request) -> Response:
        """Section 10.4.1.1.5: one value, as the metadata refer to it; of pixel data, all frames as they are stored."""
        served = await self._shown.one(asked(request))
        head = await self._heads.of(served)
        path = request.path_params["path"]
        place = bulk.place_of(head, path)
        if head.pixels is not None and head.pixels.encapsulated and path == f"{head.pixels.tag:08X}":
            return await self._all_frames(request, served)
        pdf = documents.pdf_of(head) if path == documents.PATH else None
        choice = chosen(accepted(request), _BULK if pdf is None else [*_BULK, documents.PDF])
        if choice is None:
            raise Problem(406, _NOT_ACCEPTABLE)
        if pdf is not None and choice.offer == documents.PDF:
            place = pdf
        return await self._value(request, served, head, place, choice)

    async def rendered(self, request: Request) -> Response:
        """Section 10.4.1.1.4: of a PDF in an instance itself, of all else a picture."""
        wanted = asked(request)
        found = await self._shown.found(wanted)
        if wanted.instance is None or found[0].sop_class_uid != documents.ENCAPSULATED_PDF:
            return await self.pictures.rendered(request, found)
        head = await self._heads.of(found[0])
        pdf, choice = documents.pdf_of(head), chosen(accepted(request), [documents.PDF])
        if pdf is None:
            raise Problem(404, "The instance has no PDF.")
        if choice is None:
            raise Problem(406, "The document is application/pdf.")
        return await self._value(request, found[0], head, pdf, choice)

    async def _value(self, request: Request, served: Served, head: Head, place: Place, choice: Chosen) -> Response:
        kind = choice.offer.content_type
        tag = tag_of(served.digest, str(place.at), str(place.length), kind, str(choice.multipart))
        if (same := unchanged(request, tag)) is not None:
            record(self._parts, request, served.study_uid, 1)
            return same
        if request.method == "HEAD":
            await self._reading.check_online(served.blob)
        if (nothing := head_only(request, headers(tag) | {"content-type": choice.content_type})) is not None:
            return nothing
        await share_of(request).take(bulk.bytes_of(served.blob, head, place))
        pieces = await multipart.primed(bulk.value(self._reading, self._parts.workers, served.blob, head, place))
        record(self._parts, request, served.study_uid, 1)
        if choice.multipart:
            return multipart.response(_one(multipart.Part(kind, pieces, place.length)), OCTETS, headers(tag))
        said = headers(tag) | {"content-length": str(place.length), "content-type": kind}
        return Streamed(pieces, headers=said | (documents.ISOLATED if choice.offer == documents.PDF else {}))

    async def _alone(self, request: Request, source: framing.Source, index: int, offer: Offer, tag: str) -> Response:
        """One frame as the whole payload: of this, a range may be asked for, such as the first resolutions."""
        syntax = str(offer.transfer_syntax)
        long = await self._frames.long(source, index, syntax)
        data = b"" if long is not None else await self._frame(share_of(request), source, index, syntax)
        piece = piece_of(request, tag, len(data) if long is None else long.length)
        said = headers(tag) | piece.said | {"content-type": offer.content_type}
        if long is None:
            wanted = data if piece.count == len(data) else data[piece.first : piece.first + piece.count]
            then = partial(self._look_ahead, source, index, syntax)
            return AtHand((wanted,), said, piece.status, then)
        pieces = await multipart.primed(self._frames.pieces(long, piece.first, piece.count))
        return Streamed(pieces, piece.status, said | {"content-length": str(piece.count)})


async def _one(part: multipart.Part) -> AsyncIterator[multipart.Part]:
    yield part


_BULK = [Offer(OCTETS, is_default=True), Offer(OCTETS, EXPLICIT_VR_LITTLE_ENDIAN)]


async def _listed(first: list[bytes], models: AsyncIterator[list[bytes]]) -> AsyncIterator[bytes]:
    yield b"[" + b",".join(first)
    async for some in models:
        yield b"," + b",".join(some)
    yield b"]"


def _addressed(model: bytes, base: str, served: Served) -> bytes:
    """With the address of the instance before the paths of bulk data: a quote within a text is never like that."""
    address = (
        f"{base}/studies/{served.study_uid}/series/{served.series_uid}/instances/{served.sop_instance_uid}/"
    ).encode("ascii", "replace")
    return model.replace(_URI, _URI + re.sub(rb'["\\\x00-\x1f]', b"", address))
