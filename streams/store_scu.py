"""C-STORE as a service class user (PS3.7 section 9.1.1).

pynetdicom opens, watches and releases the association and reads the responses. The requests are written by this file:
a data set goes out as it is, in as few writes as the peer's maximum PDU allows, without being decoded.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pynetdicom import _config
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.presentation import build_context

from streams.scu import Entity
from streams.tls.reaching import NotSecured, Secured

# PS3.8 section 7.1.1.13: context ids are odd numbers up to 255.
CONTEXTS_MAX: Final = 128
_PDU_BYTES_MAX: Final = 1 << 17
_SET_UP_S_MAX: Final = 10.0
# A receiver that answers from a store and a log may take its time; a dead one is noticed before (`streams.keepalive`).
_RESPONSE_S_MAX: Final = 120.0
# It writes what is large once more before it answers; no slower than this router waits for its own store
# (`s3_clients.PUT_BYTES_PER_S_MIN`).
WRITTEN_BYTES_PER_S_MIN = 4 << 20

_C_STORE_RQ, _MEDIUM, _DATA_SET_PRESENT = 0x0001, 0x0000, 0x0001
_COMMAND_LAST, _DATA, _DATA_LAST = 0x03, 0x00, 0x02


@dataclass(frozen=True)
class Target:
    """A peer application entity; `secured` says how TLS is done with it, where it is."""

    ae_title: str
    host: str
    port: int
    secured: Secured | None = None

    def __str__(self) -> str:
        return f"{self.ae_title}@{self.host}:{self.port}{' (TLS)' if self.secured else ''}"

    def open(self, calling_ae: str, contexts: Sequence[tuple[str, str]]) -> StoreScu:
        """An association with a presentation context for each (SOP class, transfer syntax). Raises NoAssociation."""
        return StoreScu(self, calling_ae, contexts)


@dataclass(frozen=True)
class Originator:
    """Who asked by C-MOVE, and the message ID of that request: a sub-operation says both."""

    ae_title: str
    message_id: int


class NoAssociation(Exception):
    """The peer cannot be reached or does not want the association. The text says which, `mend` perhaps what to do."""

    mend = ""


class TakesNone(NoAssociation):
    """There would be an association without a presentation context: for nothing."""


class Rejected(NoAssociation):
    """The peer answered, and does not want the association."""


class Lost(Exception):
    """The association ended before the answer. Whether the peer has the object is not known: send it again."""


class NotTaken(Exception):
    """The peer takes no such object. The text says why."""


class Scu:
    """One association that we asked for. Used from one thread at a time."""

    def __init__(
        self,
        target: Target,
        calling_ae: str,
        contexts: Sequence[tuple[str, str]],
        *,
        answer_s_max: float = _RESPONSE_S_MAX,
    ) -> None:
        """Opens it with a presentation context for each (SOP class, transfer syntax).

        Raises NoAssociation, of which TakesNone says that the peer answered, and accepts none of them.
        A peer that takes nothing, or answers nothing, for `answer_s_max` loses the association; a large object has
        the time that it takes to write it beyond that.
        """
        _config.LOG_HANDLER_LEVEL = "none"
        entity = Entity(calling_ae, target.secured)
        entity.connection_timeout = entity.acse_timeout = min(_SET_UP_S_MAX, answer_s_max)
        entity.dimse_timeout = answer_s_max
        entity.network_timeout = None
        began_s = time.monotonic()
        proposed = [build_context(sop_class, transfer_syntax) for sop_class, transfer_syntax in contexts]
        try:
            association = entity.associate(target.host, target.port, contexts=proposed, ae_title=target.ae_title)
        except OSError:
            raise NoAssociation("the host name is not known") from None
        if not association.is_established:
            if entity.not_secured is not None:
                raise _unsecured(entity.not_secured)
            if association.rejected_contexts:
                raise TakesNone("the peer accepts none of the SOP classes and transfer syntaxes")
            why = _why(association, time.monotonic() - began_s >= entity.acse_timeout)
            raise Rejected(why) if association.is_rejected else NoAssociation(why)
        self._association = association
        self._contexts = {
            (str(context.abstract_syntax), str(context.transfer_syntax[0])): context.context_id or 0
            for context in association.accepted_contexts
        }
        self._socket = _taken_over(association, answer_s_max)
        self._answer_s_max = answer_s_max
        self._messages = 0

    def accepts(self, sop_class: str, transfer_syntax: str) -> bool:
        return (sop_class, transfer_syntax) in self._contexts

    def close(self) -> None:
        """Releases the association, or aborts what cannot be released."""
        if self._association.is_established and self._association.dul.socket is not None:
            self._association.release()
        else:
            self.abort()

    def abort(self) -> None:
        self._association.abort()

    def _next_message_id(self) -> int:
        self._messages = self._messages % 0xFFFF + 1
        return self._messages


class StoreScu(Scu):
    """An association for C-STORE."""

    def store(
        self,
        sop_class: str,
        sop_instance: str,
        transfer_syntax: str,
        data_set: bytes | memoryview,
        originator: Originator | None = None,
    ) -> int:
        """Sends one object and waits for the status. Raises NotTaken, Lost."""
        context = self._contexts.get((sop_class, transfer_syntax))
        if context is None:
            raise NotTaken("the peer accepts no such SOP class or transfer syntax")
        request = command_set(sop_class, sop_instance, self._next_message_id(), originator)
        self._association.dimse_timeout = self._answer_s_max + len(data_set) / WRITTEN_BYTES_PER_S_MIN
        bytes_max = min(self._association.acceptor.maximum_length or _PDU_BYTES_MAX, _PDU_BYTES_MAX)
        try:
            for piece in pdus(context, request, data_set, bytes_max):
                self._socket.sendall(piece)
        except OSError:
            raise Lost from None
        _, response = self._association.dimse.get_msg(block=True)
        if not isinstance(response, C_STORE) or response.Status is None:
            raise Lost
        return response.Status


def command_set(sop_class: str, sop_instance: str, message_id: int, originator: Originator | None = None) -> bytes:
    """A C-STORE-RQ in Implicit VR Little Endian (PS3.7 table 9.3-1)."""
    moved = b""
    if originator is not None:
        title = originator.ae_title.encode("ascii", "replace")
        title += b" " * (len(title) % 2)
        moved = _element(0x1030, title) + _element(0x1031, struct.pack("<H", originator.message_id))
    elements = b"".join(
        (
            _element(0x0002, _uid(sop_class)),
            _element(0x0100, struct.pack("<H", _C_STORE_RQ)),
            _element(0x0110, struct.pack("<H", message_id)),
            _element(0x0700, struct.pack("<H", _MEDIUM)),
            _element(0x0800, struct.pack("<H", _DATA_SET_PRESENT)),
            _element(0x1000, _uid(sop_instance)),
            moved,
        )
    )
    return _element(0x0000, struct.pack("<I", len(elements))) + elements


def pdus(context: int, request: bytes, data_set: bytes | memoryview, bytes_max: int) -> Iterator[bytes]:
    """P-DATA-TF PDUs of at most `bytes_max` bytes after their first six (PS3.8 section 9.3.5, annex E.2)."""
    yield _pdu(context, _COMMAND_LAST, request)
    fragment_max = bytes_max - 6
    view = memoryview(data_set)
    for start in range(0, max(len(view), 1), fragment_max):
        end = start + fragment_max
        yield _pdu(context, _DATA if end < len(view) else _DATA_LAST, view[start:end])


def _pdu(context: int, control: int, fragment: bytes | memoryview) -> bytes:
    length = len(fragment)
    return b"".join((struct.pack(">BxIIBB", 0x04, length + 6, length + 2, context, control), fragment))


def _element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHI", 0x0000, number, len(value)) + value


def _uid(text: str) -> bytes:
    value = text.encode("ascii")
    return value + b"\x00" * (len(value) % 2)


def _taken_over(association: Association, answer_s_max: float) -> socket.socket:
    """The socket, for writing. pynetdicom's reactor is paused for good: it would take the responses away."""
    wrapped = association.dul.socket
    if wrapped is None or wrapped.socket is None:
        raise NoAssociation("the connection was closed")
    association._reactor_checkpoint.clear()
    wrapped.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    wrapped.socket.settimeout(answer_s_max)
    return wrapped.socket


def _unsecured(failed: NotSecured) -> NoAssociation:
    made = NoAssociation(failed.why)
    made.mend = failed.mend
    return made


def _why(association: Association, in_vain: bool) -> str:
    """`in_vain`: as long as may be waited for an answer was waited. pynetdicom then aborts, and says no more."""
    if association.is_rejected:
        answer = association.acceptor.primitive
        return f"the association was rejected: {answer.reason_str}" if answer else "the association was rejected"
    if association.is_aborted and not in_vain:
        return "nothing listens there, or it closed the connection"
    return "the peer did not answer"
