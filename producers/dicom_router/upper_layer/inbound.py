"""PDUs and fragments as they come off a connection (PS3.8 section 9.3.5, annex E).

Headers come through a small buffer that is read ahead; fragments go straight to where they belong, and the header
behind a fragment comes with its last bytes, in the same system call.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from producers.dicom_router.upper_layer.connection import Connection
from producers.dicom_router.upper_layer.pdu import (
    BODY_BYTES_MAX,
    HEADER,
    INVALID_PARAMETER,
    PDU_BYTES_MAX,
    UNRECOGNIZED_PDU,
    PduType,
    Violation,
)

_PDV: Final = struct.Struct(">IBB")
# As much as a command and what begins behind it: one read for a small message.
_AHEAD_BYTES: Final = 4096
# The header of the next PDU and of the first fragment in it.
_HEADERS_BYTES: Final = HEADER.size + _PDV.size
_STEP_BYTES: Final = 65_536
COMMAND, LAST = 0x01, 0x02
# The first byte of who begins TLS (RFC 8446 section 5.1). It is no PDU, and a mistake that a person is helped with.
_TLS_HANDSHAKE: Final = 0x16


class Fragment(NamedTuple):
    """The head of a presentation data value item; `length` bytes of it are to be moved or let go next."""

    context: int
    is_command: bool
    is_last: bool
    length: int


class Inbound:
    """Reads one connection. Raises Closed and Expired wherever it reads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._ahead = memoryview(bytearray(_AHEAD_BYTES))
        self._start = self._end = 0
        self._in_pdu = 0  # bytes of the P-DATA-TF at hand that are not read yet
        self._length = 0
        self._scratch: memoryview | None = None

    @property
    def in_pdu(self) -> bool:
        """Whether fragments of the P-DATA-TF at hand are still to come."""
        return self._in_pdu > 0

    def wait(self) -> None:
        """Waits for the first byte of what comes next."""
        self._need(1)

    def pdu(self) -> PduType:
        """The next PDU's type. Its body comes next. Raises Violation for what is no PDU, or one over the ceiling."""
        self._need(HEADER.size)
        kind, length = HEADER.unpack_from(self._ahead, self._start)
        self._start += HEADER.size
        if kind == _TLS_HANDSHAKE:
            raise Violation("TLS came to the port for DICOM without TLS", UNRECOGNIZED_PDU)
        if not PduType.ASSOCIATE_RQ <= kind <= PduType.ABORT:
            raise Violation("a PDU of a type that there is not", UNRECOGNIZED_PDU)
        if length > (PDU_BYTES_MAX if kind == PduType.P_DATA_TF else BODY_BYTES_MAX):
            raise Violation("a PDU over the ceiling")
        self._length = length
        if kind == PduType.P_DATA_TF:
            if length < _PDV.size:
                raise Violation("a P-DATA-TF without a fragment")
            self._in_pdu = length
        return PduType(kind)

    def body(self) -> bytes:
        """What stands in a PDU that is no P-DATA-TF. Memory is used as it comes, never as it is promised."""
        body = bytearray()
        while len(body) < self._length:
            step = bytearray(min(self._length - len(body), _STEP_BYTES))
            view = memoryview(step)
            got = self._taken(view) or self._connection.receive(view)
            body += view[:got]
        return bytes(body)

    def fragment(self) -> Fragment:
        """The next head in the P-DATA-TF at hand. Raises Violation where its length does not hold."""
        if self._in_pdu < _PDV.size:
            raise Violation("a P-DATA-TF that ends within a fragment's head")
        self._need(_PDV.size)
        length, context, control = _PDV.unpack_from(self._ahead, self._start)
        self._start += _PDV.size
        self._in_pdu -= _PDV.size
        if not 2 <= length <= self._in_pdu + 2:
            raise Violation("a fragment that is longer than its PDU", INVALID_PARAMETER)
        return Fragment(context, bool(control & COMMAND), bool(control & LAST), length - 2)

    def move(self, into: memoryview, is_last: bool) -> int:
        """Moves bytes of the fragment at hand to `into`, as many as it takes or as are there. Bytes moved."""
        if got := self._taken(into):
            self._in_pdu -= got
            return got
        # Nothing is read ahead now, so the head of what follows goes to the front of the buffer.
        ahead = None if is_last else self._ahead[:_HEADERS_BYTES]
        got = self._connection.receive(into, ahead)
        moved = min(got, len(into))
        self._start, self._end = 0, got - moved
        self._in_pdu -= moved
        return moved

    def let_go(self, length: int) -> None:
        """Reads `length` bytes of the fragment at hand, for nothing."""
        if self._scratch is None:
            self._scratch = memoryview(bytearray(_STEP_BYTES))
        while length:
            length -= self.move(self._scratch[: min(length, _STEP_BYTES)], is_last=True)

    def _need(self, count: int) -> None:
        """Reads ahead until `count` bytes are there."""
        while self._end - self._start < count:
            if self._start:
                rest = bytes(self._ahead[self._start : self._end])
                self._ahead[: len(rest)] = rest
                self._start, self._end = 0, len(rest)
            self._end += self._connection.receive(self._ahead[self._end :])

    def _taken(self, into: memoryview) -> int:
        """Moves what was read ahead, as far as it goes."""
        count = min(len(into), self._end - self._start)
        if count:
            into[:count] = self._ahead[self._start : self._start + count]
            self._start += count
        return count
