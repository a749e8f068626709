"""What a helper process does: `python -m streams.sandbox.inside SOCKET MEMORY BYTES_MAX`, started by `helper`.

The two file descriptors are inherited. It ends when the socket does, and it never writes to any other file.
"""

from __future__ import annotations

import os
import socket
import sys
from types import ModuleType

from streams.sandbox import limits
from streams.sandbox.messages import ANSWER, READY, REQUEST, STATUSES, Status, image_of, received


def main(channel: socket.socket, memory: int, bytes_max: int) -> None:
    alone = limits.hold(bytes_max)
    # Behind the limits: loading a library is the first thing that runs its code.
    from streams.pixels import codecs

    limits.hold_memory(bytes_max)
    channel.sendall(READY.pack(0 if alone else 1))
    while len(head := received(channel, REQUEST.size)) == REQUEST.size:
        channel.sendall(_answer(head, channel, memory, codecs))


def _answer(head: bytes, channel: socket.socket, memory: int, codecs: ModuleType) -> bytes:
    description_bytes, codestream_bytes, memory_bytes, cpu_s = REQUEST.unpack(head)
    image = image_of(received(channel, description_bytes))
    codestream = os.pread(memory, codestream_bytes, 0)
    limits.begin(memory_bytes, cpu_s)
    try:
        pixels = codecs.decode(codestream, image)
        raw = pixels.tobytes()
    except codecs.Undecodable as error:
        return _refusal(error.code)
    except MemoryError:
        return _refusal("decoder_too_large")
    finally:
        limits.end()
    written = 0
    while written < len(raw):
        written += os.pwrite(memory, memoryview(raw)[written:], written)
    return ANSWER.pack(STATUSES.index("decoded"), pixels.dtype.str[1:].encode(), len(raw))


def _refusal(code: str) -> bytes:
    status: Status = next((one for one in STATUSES if one == code), "undecodable")
    return ANSWER.pack(STATUSES.index(status), b"--", 0)


if __name__ == "__main__":
    channel_, memory_, bytes_max_ = (int(word) for word in sys.argv[1:])
    main(socket.socket(fileno=channel_), memory_, bytes_max_)
