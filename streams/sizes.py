"""How large a record may be. The client takes 1,000,000 bytes (`message.max.bytes`), topics some more.

An event is smaller than what the log takes, by more than what is added to it when it is put aside: what we write can
always be parked, and can always be a dead letter with its bytes.
"""

from __future__ import annotations

from typing import Final

from streams.wire import Message

EVENT_BYTES_MAX: Final = 900_000
RECORD_BYTES_MAX: Final = 990_000
# What the client takes where nobody asks for more.
CLIENT_BYTES_MAX: Final = 1_000_000
# A decision that lists a study: 8,000 instances of the longest names. Its topic takes 4 MiB (topics.yaml), and it is
# never put aside: what a step wrote itself and cannot read stops it.
DECISION_BYTES_MAX: Final = 4_000_000
# Of each header: the lengths of its name and its value. Each takes five bytes at most.
_HEADER_BYTES: Final = 10


def size_of(message: Message) -> int:
    """Bytes of its parts, a little more than they take in the log before compression."""
    headers = sum(len(name.encode()) + len(value) + _HEADER_BYTES for name, value in message.headers)
    return len(message.key or b"") + len(message.value or b"") + headers
