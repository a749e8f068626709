"""Whole instances: as they are stored, as their lossless copy, or with their pixels decoded."""

from __future__ import annotations

from asyncio import Semaphore, timeout
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from gateway.dicomweb import multipart
from gateway.dicomweb.accepting import Chosen, Offer, Turns, accepted, chosen
from gateway.dicomweb.answering import head_only, headers, record, tag_of, unchanged
from gateway.dicomweb.served import Served
from gateway.dicomweb.syntaxes import DICOM
from gateway.memory import Share, share_of
from gateway.parts import Parts
from gateway.problem import Problem
from gateway.reading import LARGE_BYTES, Blob, Reading, ahead_bytes
from gateway.streamed import Streamed
from streams import part10
from streams.elements import Malformed, TooComplex
from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN
from streams.recoding.native import SOURCES, Unrecodable, recoded
from streams.stored_file import stored_file

_NOT_ACCEPTABLE = "An instance cannot be had in any transfer syntax that the request accepts."
_FRAME_BYTES_MAX, _PIXEL_BYTES_MAX = 128 << 20, 256 << 20
# How long one waits until those before it are decoded.
_TURN_S_MAX = 30.0


async def answer(
    parts: Parts, reading: Reading, recoding: Semaphore, request: Request, served: Sequence[Served], *, alone: bool
) -> Response:
    """`recoding` is how many may be turned into another transfer syntax at once: each holds a file and its pixels.

    Raises Problem 406 where one of them cannot be had as the request accepts it, NotOnline before anything is sent.
    """
    wanted = accepted(request)
    choices = _choices(wanted, [_offers(each, alone=alone) for each in served])
    syntaxes = [str(choice.offer.transfer_syntax) for choice in choices]
    blobs = [each.stored_as(syntax) for each, syntax in zip(served, syntaxes, strict=True)]
    # Another build of derive makes another copy of the same file.
    digests = [(blob or each.blob).digest for each, blob in zip(served, blobs, strict=True)]
    tag = tag_of(digests, syntaxes, str(choices[0].multipart))
    if (same := unchanged(request, tag)) is not None:
        record(parts, request, served[0].study_uid, len(served))
        return same
    await _check_online(reading, served, blobs)
    kind = f'multipart/related; type="{DICOM}"' if choices[0].multipart else _type(syntaxes[0])
    if (nothing := head_only(request, headers(tag) | {"content-type": kind})) is not None:
        return nothing
    one_by_one = _files(parts, reading, recoding, share_of(request), served, syntaxes, blobs, wanted)
    if not choices[0].multipart:
        part = await anext(one_by_one)
        record(parts, request, served[0].study_uid, 1)
        said = headers(tag) | {"content-type": part.content_type}
        if part.length is not None:
            said["content-length"] = str(part.length)
        return Streamed(part.pieces, headers=said)
    lengths = [(_type(syntax), blob.length) for blob, syntax in zip(blobs, syntaxes, strict=True) if blob is not None]
    whole = lengths if len(lengths) == len(served) else None
    made = await multipart.primed(one_by_one)
    record(parts, request, served[0].study_uid, len(served))
    return multipart.response(made, DICOM, headers(tag), whole)


async def _check_online(reading: Reading, served: Sequence[Served], blobs: Sequence[Blob | None]) -> None:
    """Raises NotOnline where one of them has to be restored: half a study would look like all of it."""
    for each, blob in zip(served, blobs, strict=True):
        if not each.is_online and blob in (None, each.blob):
            await reading.check_online(each.blob)


def _choices(wanted: Turns, offers: Sequence[tuple[Offer, ...]]) -> list[Chosen]:
    """Of thousands of images there are a few kinds of offers."""
    known = {some: chosen(wanted, some) for some in dict.fromkeys(offers)}
    found = [choice for some in offers if (choice := known[some]) is not None]
    if len(found) < len(offers):
        raise Problem(406, _NOT_ACCEPTABLE)
    return found


def _offers(served: Served, *, alone: bool) -> tuple[Offer, ...]:
    """The stored file first. Who names no transfer syntax means explicit VR little endian (PS3.18 section 8.7.3),
    unless there is no such form of it, for example of what arrived lossy."""
    stored, copy = served.transfer_syntax, served.of_kind("lossless")
    is_recodable = stored in SOURCES and served.blob.length <= LARGE_BYTES
    plain = EXPLICIT_VR_LITTLE_ENDIAN
    offers = [Offer(DICOM, stored, stored == plain or not is_recodable, alone=alone)]
    if stored != plain and is_recodable:
        offers.append(Offer(DICOM, plain, True, alone=alone))
    if copy is not None and copy.transfer_syntax not in (None, stored):
        offers.append(Offer(DICOM, copy.transfer_syntax, alone=alone))
    return tuple(offers)


async def _files(
    parts: Parts,
    reading: Reading,
    recoding: Semaphore,
    share: Share,
    served: Sequence[Served],
    syntaxes: Sequence[str],
    blobs: Sequence[Blob | None],
    wanted: Turns,
) -> AsyncIterator[multipart.Part]:
    """`blobs` are what lies there as it is wanted; for None it is made of the stored file."""
    # What is read ahead is this request's until it ends.
    await share.take(ahead_bytes(blobs))
    async with aclosing(reading.each(blobs)) as at_hand:
        for each, syntax, blob in zip(served, syntaxes, blobs, strict=True):
            data = await anext(at_hand)
            if blob is not None:
                yield await _stored(reading, blob, syntax, data)
                continue
            recoded = await _in_turn(parts, reading, recoding, share, each, syntax)
            if recoded is not None:
                yield multipart.Part(_type(syntax), multipart.of_bytes(recoded), len(recoded))
                share.give(len(recoded))
            elif chosen(wanted, [Offer(DICOM, each.transfer_syntax, True)]) is not None:
                # Its pixels or elements have no other form, as it shows: then the stored one is the default.
                size = ahead_bytes([each.blob])
                await share.take(size)
                yield await _stored(reading, each.blob, each.transfer_syntax, None)
                share.give(size)
            else:
                raise Problem(406, _NOT_ACCEPTABLE)


async def _in_turn(
    parts: Parts, reading: Reading, recoding: Semaphore, share: Share, each: Served, syntax: str
) -> bytes | None:
    """`_recoded`, and taken of the share. Raises Problem (503) where others are at it for too long.

    Room is waited for before the turn: one who reads slowly would else keep the others from theirs.
    """
    size = _bytes_of(each)
    await share.take(size)
    try:
        async with timeout(_TURN_S_MAX):
            await recoding.acquire()
    except TimeoutError:
        raise Problem(503, "Too many instances are being decoded; ask again.", {"retry-after": "10"}) from None
    try:
        whole = await reading.whole(each.blob)
        data = await parts.workers.run(partial(_recoded, whole, each, syntax))
        # Before the next one's turn: so none is in memory that is not counted.
        share.give(size - (0 if data is None else len(data)))
        return data
    finally:
        recoding.release()


async def _stored(reading: Reading, blob: Blob, syntax: str, data: bytes | None) -> multipart.Part:
    """`data` are all of its bytes, where they are at hand."""
    pieces = await multipart.primed(reading.pieces(blob)) if data is None else multipart.of_bytes(data)
    return multipart.Part(_type(syntax), pieces, blob.length)


def _bytes_of(served: Served) -> int:
    """What it may be in another transfer syntax; no pixel has more than four bytes, but for rare ones."""
    pixels = (served.rows or 0) * (served.columns or 0) * served.frames
    return served.blob.length + min(4 * pixels, _PIXEL_BYTES_MAX)


def _type(syntax: str) -> str:
    return f"{DICOM};transfer-syntax={syntax}"


def _recoded(whole: bytes, served: Served, syntax: str) -> bytes | None:
    """The file in another transfer syntax, its pixels the same; None where there is no such form."""
    try:
        file = part10.read(whole)
        data_set = recoded(file, syntax, frame_bytes_max=_FRAME_BYTES_MAX, pixel_bytes_max=_PIXEL_BYTES_MAX)
    except (Malformed, TooComplex, Unrecodable):
        return None
    return stored_file(served.sop_class_uid, served.sop_instance_uid, syntax, data_set)
