"""The work of a helper process: a frame for each request, within the limits that the request sets."""

from __future__ import annotations

import os
import socket

import numpy as np

from streams.pixels.claims import Code, Pixels, Undecodable
from streams.pixels.codecs import decode
from streams.pixels.image import Image
from streams.sandbox import dcmtk, limits
from streams.sandbox.messages import ANSWER, REQUEST, STATUSES, Status, image_of, received


def serve(channel: socket.socket, memory: int) -> None:
    """Answers until the other side is gone."""
    while len(head := received(channel, REQUEST.size)) == REQUEST.size:
        description_bytes, codestream_bytes, memory_bytes, cpu_s = REQUEST.unpack(head)
        image = image_of(received(channel, description_bytes))
        codestream = os.pread(memory, codestream_bytes, 0)
        limits.begin(memory_bytes, cpu_s)
        try:
            pixels = decoded(codestream, image)
        except Undecodable as error:
            answer = _refusal(error.code)
        except MemoryError:
            answer = _refusal("decoder_too_large")
        else:
            answer = _put(memory, np.ascontiguousarray(pixels))
        finally:
            limits.end()
        channel.sendall(answer)


def decoded(codestream: bytes, image: Image) -> Pixels:
    """One frame, of the library or, where it refuses one that DCMTK may know, of DCMTK. Raises Undecodable."""
    try:
        return decode(codestream, image)
    except Undecodable as error:
        if not dcmtk.may_know(codestream, image):
            raise
        pixels = dcmtk.decode(codestream, image)
        if pixels is None:
            raise Undecodable("no decoder", "decoder_absent") from error
        return pixels


def _put(memory: int, pixels: Pixels) -> bytes:
    view, written = memoryview(pixels).cast("B"), 0  # type: ignore[arg-type]
    while written < len(view):
        written += os.pwrite(memory, view[written:], written)
    return ANSWER.pack(STATUSES.index("decoded"), pixels.dtype.str[1:].encode(), len(view))


def _refusal(code: Code) -> bytes:
    status: Status = code if code in ("decoder_too_large", "decoder_absent") else "undecodable"
    return ANSWER.pack(STATUSES.index(status), b"--", 0)
