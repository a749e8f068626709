"""An association on a bare socket, for senders whose cost must not be seen (PS3.8 section 9.3, PS3.7 section 9.1.1)."""

from __future__ import annotations

import socket
import struct
from typing import Final, Self

import msgspec

from bench.ingest_uids import instance_uid, series_uid, study_uid

_ACCEPTED, _REJECTED, _DATA, _RELEASED, _ABORTED = 0x02, 0x03, 0x04, 0x06, 0x07
_NAMES: Final = {_REJECTED: "association rejected", _RELEASED: "association released", _ABORTED: "association aborted"}
_RELEASE_REQUEST: Final = b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00"
_COMMAND_LAST, _FRAGMENT, _FRAGMENT_LAST = 0x03, 0x00, 0x02
_CONTEXT: Final = 1
_PDU_BYTES_MAX: Final = 1 << 17
# Of an A-ASSOCIATE-AC, before its variable items.
_FIXED: Final = 68
_CONTEXT_RESULT, _USER_INFORMATION, _MAXIMUM_LENGTH = 0x21, 0x50, 0x51
# (0000,0900) Status in Implicit VR Little Endian, up to its value.
_STATUS: Final = b"\x00\x00\x00\x09\x02\x00\x00\x00"
_ANSWER_S_MAX: Final = 60.0


class Lost(Exception):
    """The peer ended the association or never accepted it; the text says how."""


class Load(msgspec.Struct, frozen=True):
    """Encoded bytes: A-ASSOCIATE-RQ, C-STORE-RQ command set, data set, and the UIDs in them that are written over."""

    association: bytes
    command: bytes
    data_set: bytes
    study: bytes
    series: bytes
    instance: bytes


class Association:
    """Opened when made, released when the block ends. Raises OSError and Lost."""

    def __init__(self, host: str, port: int, load: Load) -> None:
        self._socket = socket.create_connection((host, port), _ANSWER_S_MAX)
        self._buffer = bytearray(_PDU_BYTES_MAX)
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.sendall(load.association)
            self._bytes = _stream(load, _pdu_bytes_max(self._answer(_ACCEPTED)))
        except BaseException:
            self._socket.close()
            raise
        self._study, self._series = self._bytes.index(load.study), self._bytes.index(load.series)
        command = self._bytes.index(load.instance)
        self._instances = (command, self._bytes.index(load.instance, command + 1))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._socket.sendall(_RELEASE_REQUEST)
                self._answer(_RELEASED)
        finally:
            self._socket.close()

    def name(self, run: int, worker: int, number: int, study: int) -> None:
        """Writes the UIDs of the next instance in place."""
        _write(self._bytes, self._study, study_uid(run, worker, study))
        _write(self._bytes, self._series, series_uid(run, worker, study))
        for at in self._instances:
            _write(self._bytes, at, instance_uid(run, worker, number))

    def store(self) -> int:
        """Sends the instance and returns the status of the response."""
        self._socket.sendall(self._bytes)
        answer = self._answer(_DATA)
        at = answer.find(_STATUS)
        if at < 0:
            raise Lost("a response without a status")
        return int.from_bytes(answer[at + len(_STATUS) : at + len(_STATUS) + 2], "little")

    def _answer(self, kind: int) -> bytes:
        """The next PDU, without its first six bytes. Raises Lost for one of another kind."""
        have, wanted = 0, 6
        while have < wanted:
            got = self._socket.recv_into(memoryview(self._buffer)[have:])
            if not got:
                raise Lost("connection closed")
            have += got
            if have >= 6:
                wanted = 6 + int.from_bytes(self._buffer[2:6], "big")
                if wanted > len(self._buffer):
                    raise Lost("a PDU larger than was allowed")
        if self._buffer[0] != kind:
            raise Lost(_NAMES.get(self._buffer[0], f"a PDU of type {self._buffer[0]:02X} where {kind:02X} was due"))
        return bytes(self._buffer[6:wanted])


def _write(into: bytearray, at: int, uid: bytes) -> None:
    into[at : at + len(uid)] = uid


def _stream(load: Load, bytes_max: int) -> bytearray:
    """Command and data set as P-DATA-TF PDUs of one value each (PS3.8 section 9.3.5)."""
    parts: list[bytes | memoryview] = [_head(len(load.command), _COMMAND_LAST), load.command]
    view, longest = memoryview(load.data_set), bytes_max - 6
    for start in range(0, len(view), longest):
        fragment = view[start : start + longest]
        last = start + longest >= len(view)
        parts += [_head(len(fragment), _FRAGMENT_LAST if last else _FRAGMENT), fragment]
    return bytearray().join(parts)


def _head(length: int, control: int) -> bytes:
    return struct.pack(">BxIIBB", _DATA, length + 6, length + 2, _CONTEXT, control)


def _pdu_bytes_max(accepted: bytes) -> int:
    """What the peer takes in one PDU; 0 is no limit (PS3.8 annex D.1). Raises Lost where it refuses the context."""
    longest = 0
    items = _items(accepted, _FIXED)
    for kind, start, end in items:
        if kind == _CONTEXT_RESULT and accepted[start] == _CONTEXT and accepted[start + 2]:
            raise Lost("presentation context refused")
        if kind == _USER_INFORMATION:
            for sub, value, stop in _items(accepted, start, end):
                if sub == _MAXIMUM_LENGTH:
                    longest = int.from_bytes(accepted[value:stop], "big")
    return min(longest or _PDU_BYTES_MAX, _PDU_BYTES_MAX)


def _items(data: bytes, at: int, end: int | None = None) -> list[tuple[int, int, int]]:
    """Type, start and end of the values of the items from `at` on."""
    found, end = [], len(data) if end is None else end
    while at + 4 <= end:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        found.append((data[at], at + 4, at + 4 + length))
        at += 4 + length
    return found
