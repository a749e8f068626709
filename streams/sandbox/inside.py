"""What a helper process does: `python -m streams.sandbox.inside SOCKET MEMORY BYTES_MAX`, started by `helper`.

The two file descriptors are inherited. It ends when the socket does, and it never writes to any other file.
"""

from __future__ import annotations

import socket
import sys

from streams.sandbox import limits
from streams.sandbox.messages import READY


def main(channel: socket.socket, memory: int, bytes_max: int) -> None:
    alone = limits.hold(bytes_max)
    # Behind the limits: loading a library is the first thing that runs its code.
    from streams.sandbox.decoding import serve

    limits.hold_memory(bytes_max)
    channel.sendall(READY.pack(0 if alone else 1))
    serve(channel, memory)


if __name__ == "__main__":
    channel_, memory_, bytes_max_ = (int(word) for word in sys.argv[1:])
    main(socket.socket(fileno=channel_), memory_, bytes_max_)
