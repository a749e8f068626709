"""What goes between a service and its helper: small structs over a socket, bytes over a file in memory.

Both directions have fixed sizes. What comes back is of a process that hostile bytes may have taken over: it is a status
out of a list, a type out of a list and a length, and nothing of it is evaluated.
"""

from __future__ import annotations

import json
import socket
import struct
from dataclasses import asdict
from typing import Final, Literal, get_args

from streams.pixels.image import Image

# Bytes of the description, bytes of the codestream, bytes that decoding may take, seconds of CPU that it may take.
REQUEST: Final = struct.Struct("<IQQd")
# Status, item type, bytes of the pixels.
ANSWER: Final = struct.Struct("<B2sQ")
# Before the first request: what could not be held, a bit for each of UNHELD.
READY: Final = struct.Struct("<B")
UNHELD: Final = ("network",)

Status = Literal["decoded", "undecodable", "decoder_too_large", "decoder_absent"]
STATUSES: Final[tuple[Status, ...]] = get_args(Status)
DTYPES: Final = frozenset({b"u1", b"u2", b"u4", b"i1", b"i2", b"i4"})


def described(image: Image) -> bytes:
    return json.dumps(asdict(image)).encode()


def image_of(description: bytes) -> Image:
    return Image(**json.loads(description))


def received(channel: socket.socket, length: int) -> bytes:
    """Exactly so many bytes; fewer where the other side is gone. Raises TimeoutError as the socket's timeout has it."""
    data = bytearray()
    while len(data) < length and (part := channel.recv(length - len(data))):
        data += part
    return bytes(data)
