"""What an A-ASSOCIATE-RQ asks for (PS3.8 section 9.3.2, its user information PS3.7 annex D.3.3)."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

from producers.dicom_router.upper_layer.pdu import Violation
from streams.identity import uid_text

_FIXED: Final = struct.Struct(">H2x16s16s32s")
_ITEM: Final = struct.Struct(">BxH")
_WINDOW: Final = struct.Struct(">HH")
_APPLICATION_CONTEXT, _PRESENTATION_CONTEXT, _USER_INFORMATION = 0x10, 0x20, 0x50
_ABSTRACT_SYNTAX, _TRANSFER_SYNTAX = 0x30, 0x40
_MAXIMUM_LENGTH, _OPERATIONS_WINDOW, _ROLE_SELECTION = 0x51, 0x53, 0x54
_EXTENDED, _COMMON_EXTENDED = 0x56, 0x57

# Where a peer does not say what it takes, which it must: what everything takes (PS3.8 annex D.1).
_PDU_BYTES_MAX_UNSAID: Final = 16_384
_REMEMBERED_BYTES_MAX: Final = 512
# Contexts are 128 at most, roles as many, and there are some 50 transfer syntaxes. Each item costs time to read.
_ITEMS_MAX: Final = 512
_SYNTAXES_MAX: Final = 64


class ProposedContext(NamedTuple):
    """A presentation context. `transfer_syntaxes` are in the order of the proposal."""

    id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


class OperationsWindow(NamedTuple):
    """How many operations may be outstanding, 0 for any number (PS3.7 annex D.3.3.3): the requestor's, and ours."""

    invoked: int
    performed: int


@dataclass(frozen=True)
class UserInformation:
    """What a request says beside its presentation contexts.

    `pdu_bytes_max` is what the peer takes in one P-DATA-TF, 0 for any length. `roles` has for a SOP class whether the
    requestor proposes to be its SCU, and its SCP. `extended` are the SOP classes of which it wants to know how they are
    supported (annex D.3.3.5), `service_classes` says which service a SOP class is of (annex D.3.3.6). A user's identity
    is let go unread: we know no users, and who is no party to that says nothing (annex D.3.3.7).
    """

    pdu_bytes_max: int = _PDU_BYTES_MAX_UNSAID
    window: OperationsWindow | None = None
    roles: Mapping[str, tuple[bool, bool]] = field(default_factory=dict)
    extended: frozenset[str] = frozenset()
    service_classes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Requested:
    """An association that a peer asks for. `echoed` are the 64 bytes of titles that the answer repeats."""

    protocol_version: int
    called_ae: str
    calling_ae: str
    echoed: bytes
    application_context: str
    contexts: tuple[ProposedContext, ...]
    user: UserInformation


def decode(body: bytes) -> Requested:
    """What stands after the first six bytes of the PDU. Raises Violation."""
    if len(body) < _FIXED.size:
        raise Violation("an A-ASSOCIATE-RQ that is too short")
    version, called, calling, _ = _FIXED.unpack_from(body)
    application_context, user_information = "", b""
    contexts: dict[int, ProposedContext] = {}
    for kind, value in _items(body[_FIXED.size :]):
        if kind == _APPLICATION_CONTEXT:
            application_context = uid_text(value)
        elif kind == _PRESENTATION_CONTEXT:
            context = _presentation_context(value)
            if context.id in contexts:
                raise Violation("two presentation contexts have one id")
            contexts[context.id] = context
        elif kind == _USER_INFORMATION:
            user_information = value
    if not contexts:
        raise Violation("an A-ASSOCIATE-RQ without presentation contexts")
    return Requested(
        protocol_version=version,
        called_ae=called.decode("latin-1"),
        calling_ae=calling.decode("latin-1"),
        echoed=body[4 : _FIXED.size],
        application_context=application_context,
        contexts=tuple(contexts.values()),
        user=_user_information(user_information),
    )


def _items(data: bytes, items_max: int = _ITEMS_MAX) -> Iterator[tuple[int, bytes]]:
    """Type and value of each item. Raises Violation where a length does not hold, or there are too many."""
    at, end, left = 0, len(data), items_max
    while at < end:
        left -= 1
        if left < 0:
            raise Violation("more items than a request has")
        if end - at < _ITEM.size:
            raise Violation("an item that is cut")
        kind, length = _ITEM.unpack_from(data, at)
        at += _ITEM.size
        if length > end - at:
            raise Violation("an item that is longer than what holds it")
        yield kind, data[at : at + length]
        at += length


def _presentation_context(value: bytes) -> ProposedContext:
    if len(value) < 4:
        raise Violation("a presentation context that is too short")
    if value[0] % 2 == 0:
        raise Violation("a presentation context with an even id")
    syntaxes = value[4:]
    read = _remembered if len(syntaxes) <= _REMEMBERED_BYTES_MAX else _syntaxes
    return ProposedContext(value[0], *read(syntaxes))


def _syntaxes(items: bytes) -> tuple[str, tuple[str, ...]]:
    """Abstract syntax and transfer syntaxes."""
    abstract_syntax = ""
    transfer_syntaxes = []
    for kind, name in _items(items, _SYNTAXES_MAX + 1):
        if kind == _ABSTRACT_SYNTAX:
            abstract_syntax = uid_text(name)
        elif kind == _TRANSFER_SYNTAX:
            transfer_syntaxes.append(uid_text(name))
    return abstract_syntax, tuple(transfer_syntaxes)


# A sender proposes the same 128 contexts for each of its associations.
_remembered = lru_cache(maxsize=1024)(_syntaxes)


def _user_information(data: bytes) -> UserInformation:
    pdu_bytes_max, window = _PDU_BYTES_MAX_UNSAID, None
    roles, extended, service_classes = {}, set(), {}
    for kind, value in _items(data):
        if kind == _MAXIMUM_LENGTH:
            if len(value) != 4:
                raise Violation("a maximum length that is not four bytes")
            pdu_bytes_max = int.from_bytes(value, "big")
        elif kind == _OPERATIONS_WINDOW:
            if len(value) != _WINDOW.size:
                raise Violation("a window of asynchronous operations that is not four bytes")
            window = OperationsWindow(*_WINDOW.unpack(value))
        elif kind == _ROLE_SELECTION:
            uid, scu, scp = _role(value)
            roles[uid] = scu, scp
        elif kind == _EXTENDED:
            extended.add(_prefixed_uid(value, 0)[0])
        elif kind == _COMMON_EXTENDED:
            uid, end = _prefixed_uid(value, 0)
            service_classes[uid] = _prefixed_uid(value, end)[0]
    return UserInformation(pdu_bytes_max, window, roles, frozenset(extended), service_classes)


def _prefixed_uid(value: bytes, at: int) -> tuple[str, int]:
    """A UID behind its length, and where it ends. One that is cut is none: what it is for is optional."""
    end = at + 2 + int.from_bytes(value[at : at + 2], "big")
    return (uid_text(value[at + 2 : end]) if end <= len(value) else ""), end


def _role(value: bytes) -> tuple[str, bool, bool]:
    """SOP class, and which roles are proposed (PS3.7 table D.3-9)."""
    length = int.from_bytes(value[:2], "big")
    if len(value) != length + 4:
        raise Violation("a role selection that is not as long as it says")
    return uid_text(value[2 : 2 + length]), value[-2] == 1, value[-1] == 1
