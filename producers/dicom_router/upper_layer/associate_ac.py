"""How an association is accepted: the A-ASSOCIATE-AC (PS3.8 section 9.3.3, user information PS3.7 annex D.3.3)."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from enum import IntEnum
from typing import Final, NamedTuple

from producers.dicom_router.upper_layer.pdu import HEADER, PduType
from streams.stored_file import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"
_ITEM: Final = struct.Struct(">BxH")
# A presentation context, with the head of its transfer syntax.
_CONTEXT: Final = struct.Struct(">BxHBxBxBxH")


class Result(IntEnum):
    """PS3.8 table 9-18."""

    ACCEPTANCE = 0
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


class ContextResult(NamedTuple):
    """The answer to one presentation context; `transfer_syntax` says something where it is accepted."""

    id: int
    result: Result
    transfer_syntax: str


class AcceptedRole(NamedTuple):
    """PS3.7 table D.3-10."""

    sop_class: str
    scu: bool
    scp: bool


class Extended(NamedTuple):
    """How a SOP class is supported (PS3.7 table D.3-11); what `information` means, its service class says."""

    sop_class: str
    information: bytes


class Options(NamedTuple):
    """What is answered only where it was asked. `window` is how many operations may be outstanding (table D.3-8): the
    requestor's, and ours.
    """

    window: tuple[int, int] | None = None
    roles: Iterable[AcceptedRole] = ()
    extended: Iterable[Extended] = ()


_NOTHING_ASKED: Final = Options()


def encode(
    echoed: bytes,
    contexts: Iterable[ContextResult],
    pdu_bytes_max: int,
    options: Options = _NOTHING_ASKED,
) -> bytes:
    """The PDU."""
    user = [
        _item(0x51, struct.pack(">I", pdu_bytes_max)),
        _item(0x52, IMPLEMENTATION_CLASS_UID.encode("ascii")),
    ]
    if options.window is not None:
        user.append(_item(0x53, struct.pack(">HH", *options.window)))
    user += [_item(0x54, _role(role)) for role in options.roles]
    user.append(_item(0x55, IMPLEMENTATION_VERSION_NAME.encode("ascii")))
    user += [_item(0x56, _prefixed(one.sop_class) + one.information) for one in options.extended]
    body = b"".join(
        (
            struct.pack(">H2x", 1),
            echoed,
            _item(0x10, APPLICATION_CONTEXT.encode("ascii")),
            *(_context(context) for context in contexts),
            _item(0x50, b"".join(user)),
        )
    )
    return HEADER.pack(PduType.ASSOCIATE_AC, len(body)) + body


def _context(context: ContextResult) -> bytes:
    name = context.transfer_syntax.encode("latin-1")
    head = _CONTEXT.pack(0x21, 8 + len(name), context.id, context.result, 0x40, len(name))
    return head + name


def _role(role: AcceptedRole) -> bytes:
    return _prefixed(role.sop_class) + bytes((role.scu, role.scp))


def _prefixed(sop_class: str) -> bytes:
    uid = sop_class.encode("latin-1")
    return struct.pack(">H", len(uid)) + uid


def _item(kind: int, value: bytes) -> bytes:
    return _ITEM.pack(kind, len(value)) + value
