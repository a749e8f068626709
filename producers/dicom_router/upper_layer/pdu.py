"""Protocol data units without variable items, and how one is found to be no such thing (PS3.8 section 9.3)."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final, NamedTuple

# Type and length of what follows. Every PDU begins with these six bytes.
HEADER: Final = struct.Struct(">BxI")
# Of P-DATA-TF more than what was negotiated is put up with, up to here: a fragment goes where it belongs as it comes.
PDU_BYTES_MAX: Final = 1 << 20
# What is no P-DATA-TF is kept until it is whole, for everybody who connects. An A-ASSOCIATE-RQ with 128 presentation
# contexts and 40 transfer syntaxes in each has some 200 kB.
BODY_BYTES_MAX: Final = 512 << 10


class PduType(IntEnum):
    ASSOCIATE_RQ = 0x01
    ASSOCIATE_AC = 0x02
    ASSOCIATE_RJ = 0x03
    P_DATA_TF = 0x04
    RELEASE_RQ = 0x05
    RELEASE_RP = 0x06
    ABORT = 0x07


class Abort(NamedTuple):
    """Who aborts, and why (PS3.8 table 9-26)."""

    source: int
    reason: int


BY_USER: Final = Abort(0, 0)
UNSPECIFIED: Final = Abort(2, 0)
UNRECOGNIZED_PDU: Final = Abort(2, 1)
UNEXPECTED_PDU: Final = Abort(2, 2)
UNEXPECTED_PARAMETER: Final = Abort(2, 5)
INVALID_PARAMETER: Final = Abort(2, 6)


class Rejection(NamedTuple):
    """Result, source and reason of an A-ASSOCIATE-RJ (PS3.8 table 9-21)."""

    result: int
    source: int
    reason: int


CONTEXT_NAME_NOT_SUPPORTED: Final = Rejection(1, 1, 2)
CALLING_AE_TITLE_NOT_RECOGNIZED: Final = Rejection(1, 1, 3)
CALLED_AE_TITLE_NOT_RECOGNIZED: Final = Rejection(1, 1, 7)
PROTOCOL_VERSION_NOT_SUPPORTED: Final = Rejection(1, 2, 2)
LOCAL_LIMIT_EXCEEDED: Final = Rejection(2, 3, 2)


class Violation(Exception):
    """The peer broke the protocol: this association ends by A-ABORT. `why` is a sentence of ours, quoting nothing."""

    def __init__(self, why: str, abort: Abort = INVALID_PARAMETER) -> None:
        super().__init__(why)
        self.why = why
        self.abort = abort


RELEASE_RQ: Final = HEADER.pack(PduType.RELEASE_RQ, 4) + bytes(4)
RELEASE_RP: Final = HEADER.pack(PduType.RELEASE_RP, 4) + bytes(4)


def associate_rj(rejection: Rejection) -> bytes:
    return HEADER.pack(PduType.ASSOCIATE_RJ, 4) + bytes((0, *rejection))


def a_abort(abort: Abort) -> bytes:
    return HEADER.pack(PduType.ABORT, 4) + bytes((0, 0, *abort))
