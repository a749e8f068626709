"""UIDs of what is sent: all of one length, so that they are written into encoded bytes in place.

A receiver that indexes by UID has real work, and what it holds afterwards can be told from what it acknowledged.
"""

from __future__ import annotations

import re
from typing import Final

# PS3.5 annex B.2 makes a UID of any 128-bit integer; those from here on have 39 digits.
_FIRST: Final = 10**38
_RUN, _WORKER, _NUMBER = 10**14, 10**10, 10
# A run is a 64-bit integer on its way to the sender.
RUNS: Final = 10**18
WORKERS_MAX, NUMBERS_MAX = _RUN // _WORKER, _WORKER // _NUMBER

_STUDY, _SERIES, _INSTANCE = 1, 2, 3
# dcmqrscp removes the oldest images of a study that has more than its quota, which is 1 GiB at most.
STUDY_BYTES_MAX: Final = 1 << 29

# SOP Instance UID (0008,0018) in Explicit VR Little Endian.
_ELEMENT: Final = re.compile(rb"\x08\x00\x18\x00UI\x2c\x00(2\.25\.[0-9]{39})")


def study_uid(run: int, worker: int, number: int) -> bytes:
    return _uid(run, worker, number, _STUDY)


def series_uid(run: int, worker: int, number: int) -> bytes:
    return _uid(run, worker, number, _SERIES)


def instance_uid(run: int, worker: int, number: int) -> bytes:
    """SOP Instance UID of one image: 44 ASCII bytes."""
    return _uid(run, worker, number, _INSTANCE)


def run_of(uid: str) -> int:
    """The run that a SOP Instance UID was made for."""
    return (int(uid.rpartition(".")[2]) - _FIRST) // _RUN


def instance_in(head: bytes) -> str | None:
    """The SOP Instance UID in the first bytes of a stored file, where it is one of ours."""
    found = _ELEMENT.search(head)
    return found[1].decode() if found else None


def _uid(run: int, worker: int, number: int, level: int) -> bytes:
    return b"2.25.%d" % (_FIRST + run * _RUN + worker * _WORKER + number * _NUMBER + level)
