"""A peer that says what a test tells it to, byte by byte; it shares no code with what it is told to."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from streams.store_scu import Target
from tests.routers import CT, EXPLICIT

VERIFICATION = "1.2.840.10008.1.1"
RELEASE_RQ = bytes.fromhex("05000000000400000000")
RELEASE_RP = bytes.fromhex("06000000000400000000")
ABORT = bytes.fromhex("07000000000400000000")
_PATIENCE_S = 60.0


class Pdu(NamedTuple):
    kind: int
    body: bytes


def item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def context_item(number: int, abstract_syntax: str = CT, transfer_syntaxes: Sequence[str] = (EXPLICIT,)) -> bytes:
    syntaxes = b"".join(item(0x40, syntax.encode()) for syntax in transfer_syntaxes)
    return item(0x20, bytes((number, 0, 0, 0)) + item(0x30, abstract_syntax.encode()) + syntaxes)


def associate_rq(
    *contexts: bytes,
    user: bytes = item(0x51, struct.pack(">I", 16_384)),
    version: int = 1,
    application_context: str = "1.2.840.10008.3.1.1.1",
) -> bytes:
    """An A-ASSOCIATE-RQ (PS3.8 section 9.3.2); the contexts are a CT's and Verification's where none are given."""
    asked = contexts or (context_item(1), context_item(3, VERIFICATION))
    body = struct.pack(">H2x16s16s32x", version, b"RADSTREAM".ljust(16), b"PEER".ljust(16))
    body += item(0x10, application_context.encode()) + b"".join(asked) + item(0x50, user)
    return pdu(0x01, body)


def pdu(kind: int, body: bytes) -> bytes:
    return struct.pack(">BxI", kind, len(body)) + body


def pdv(fragment: bytes, *, command: bool = False, last: bool = True, context: int = 1) -> bytes:
    return struct.pack(">IBB", len(fragment) + 2, context, command | last << 1) + fragment


def p_data(*pdvs: bytes) -> bytes:
    return pdu(0x04, b"".join(pdvs))


def element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHI", 0, number, len(value)) + value


def command(*elements: bytes) -> bytes:
    """A command set with its right group length."""
    body = b"".join(elements)
    return element(0, struct.pack("<I", len(body))) + body


def short(number: int, value: int) -> bytes:
    return element(number, struct.pack("<H", value))


def store_rq(instance: str = "1.2.3.4.5", data_set_type: int = 0, sop_class: str = CT, message_id: int = 7) -> bytes:
    return command(
        element(0x0002, _uid(sop_class)),
        short(0x0100, 0x0001),
        short(0x0110, message_id),
        short(0x0700, 0),
        short(0x0800, data_set_type),
        element(0x1000, _uid(instance)),
    )


def echo_rq(data_set_type: int = 0x0101) -> bytes:
    return command(
        element(0x0002, _uid(VERIFICATION)), short(0x0100, 0x0030), short(0x0110, 1), short(0x0800, data_set_type)
    )


def status_of(answer: Pdu) -> int:
    """(0000,0900) of a response."""
    at = answer.body.index(struct.pack("<HHI", 0, 0x0900, 2))
    return int(struct.unpack_from("<H", answer.body, at + 8)[0])


class RawPeer:
    """A connection. `source` is the address that it comes from: all of 127.0.0.0/8 is this machine."""

    def __init__(self, target: Target | None, source: str = "127.0.0.1") -> None:
        self.socket = socket.socket()
        self.socket.settimeout(_PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.bind((source, 0))
        if target is not None:
            self.connect(target)

    @classmethod
    def unconnected(cls) -> RawPeer:
        return cls(None)

    def connect(self, target: Target) -> None:
        try:
            self.socket.connect((target.host, target.port))
        except OSError:
            self.socket.close()
            raise

    def __enter__(self) -> RawPeer:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def associated(self, request: bytes | None = None) -> RawPeer:
        self.send(request or associate_rq())
        answer = self.read()
        assert answer is not None, "the connection was closed"
        assert answer.kind == 2, answer
        return self

    def read(self) -> Pdu | None:
        """The next PDU, or None where the connection is closed."""
        head = self._exactly(6)
        if len(head) < 6:
            return None
        kind, length = struct.unpack(">BxI", head)
        return Pdu(kind, self._exactly(length))

    def aborted(self) -> tuple[int, int]:
        """Source and reason of the A-ABORT that comes next, and nothing behind it."""
        answer = self.read()
        assert answer is not None, "the connection was closed"
        assert answer.kind == 7, answer
        assert self.is_closed()
        return answer.body[2], answer.body[3]

    def is_closed(self) -> bool:
        """Whether the peer closed the connection, with nothing said."""
        return self._exactly(1) == b""

    def _exactly(self, count: int) -> bytes:
        data = b""
        with suppress(ConnectionError):
            while len(data) < count and (more := self.socket.recv(count - len(data))):
                data += more
        return data


def _uid(text: str) -> bytes:
    return text.encode() + b"\0" * (len(text) % 2)
