"""Which associations and presentation contexts are accepted (PS3.8 section 7.1.1, PS3.7 annex D.3).

Storage is unrestricted: every abstract syntax that is not known as another service is accepted as a storage SOP class,
retired and private ones too, with the first transfer syntax that the sender proposes (docs/decisions/0026). The router
stores bytes as they come, so there is nothing that it could not hold. A media directory is accepted as a context and
refused as an operation (`arrival.refusal`): a rejected context would leave no trace.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from producers.dicom_router.upper_layer import associate_ac
from producers.dicom_router.upper_layer.associate_ac import AcceptedRole, ContextResult, Extended, Options, Result
from producers.dicom_router.upper_layer.associate_rq import OperationsWindow, ProposedContext, Requested
from producers.dicom_router.upper_layer.pdu import (
    CONTEXT_NAME_NOT_SUPPORTED,
    PROTOCOL_VERSION_NOT_SUPPORTED,
    Rejection,
)
from streams.identity import UID_LENGTH_MAX, uid_is_usable
from streams.part10 import EXPLICIT_VR_BIG_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from streams.sop_classes import NOT_STORABLE, OTHER_SERVICES, STORAGE_COMMITMENT, STORED, VERIFICATION

_VERSION_1: Final = 0x0001
# What carries no data set, or one without pixels, gains nothing from anything else.
_PLAIN: Final = (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN)
# Services that are offered beside storage.
_PLAIN_SERVICES: Final = frozenset((VERIFICATION, STORAGE_COMMITMENT))
# The service class that storage SOP classes are of (PS3.4 table B.5-1).
_STORAGE_SERVICE: Final = "1.2.840.10008.4.2"
# What is true of all that we store (PS3.4 table B.3-2): level 2, every element is kept, private ones too; digital
# signatures level 3, bytes are kept as they are; no element is coerced. A reserved byte behind each.
_STORAGE: Final = bytes((2, 0, 3, 0, 0, 0))
# A notification waits for its response before the next goes out.
_NOTIFICATIONS_MAX: Final = 1


class Context(NamedTuple):
    """An accepted presentation context."""

    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True)
class Accepted:
    """`answer` is the A-ASSOCIATE-AC; `operations_max` is how many of the requestor's may be outstanding."""

    contexts: Mapping[int, Context]
    answer: bytes
    operations_max: int


def negotiate(requested: Requested, pdu_bytes_max: int, operations_max: int = 1) -> Accepted | Rejection:
    """Who asks and whom it calls is not judged here. `pdu_bytes_max` and `operations_max` are what we take."""
    if not requested.protocol_version & _VERSION_1:
        return PROTOCOL_VERSION_NOT_SUPPORTED
    if requested.application_context != associate_ac.APPLICATION_CONTEXT:
        return CONTEXT_NAME_NOT_SUPPORTED
    user = requested.user
    answers = [_answered(one, user.service_classes.get(one.abstract_syntax, "")) for one in requested.contexts]
    accepted = {
        proposed.id: Context(proposed.abstract_syntax, answer.transfer_syntax)
        for proposed, answer in zip(requested.contexts, answers, strict=True)
        if answer.result is Result.ACCEPTANCE
    }
    window = _window(user.window, operations_max)
    options = Options(window, _roles(requested, accepted), _extended(requested, accepted))
    answer = associate_ac.encode(requested.echoed, answers, pdu_bytes_max, options)
    return Accepted(accepted, answer, window.invoked if window else 1)


def _window(asked: OperationsWindow | None, operations_max: int) -> OperationsWindow | None:
    """No more than was asked for (PS3.7 annex D.3.3.3), of what is asked for without a bound as many as we take."""
    if asked is None:
        return None
    return OperationsWindow(min(asked.invoked or operations_max, operations_max), _NOTIFICATIONS_MAX)


def _extended(requested: Requested, accepted: Mapping[int, Context]) -> list[Extended]:
    """For each SOP class that is asked about and will be stored: other services' have other fields (PS3.4 B.3.1)."""
    if not requested.user.extended:
        return []
    names = {context.abstract_syntax for context in accepted.values()} - NOT_STORABLE
    return [Extended(uid, _STORAGE) for uid in sorted(names & requested.user.extended)]


def _roles(requested: Requested, accepted: Mapping[int, Context]) -> list[AcceptedRole]:
    """We store and commit, and never ask: where a requestor proposes both roles, it is the SCU."""
    if not requested.user.roles:
        return []
    names = {context.abstract_syntax for context in accepted.values()}
    return [
        AcceptedRole(uid, True, False)
        for uid, (scu, _) in requested.user.roles.items()
        if scu and uid in names and _is_usable(uid)
    ]


def _answered(context: ProposedContext, service_class: str) -> ContextResult:
    """`service_class` is what the requestor says that the abstract syntax is of, if it does."""
    if not context.transfer_syntaxes:
        return ContextResult(context.id, Result.TRANSFER_SYNTAXES_NOT_SUPPORTED, IMPLICIT_VR_LITTLE_ENDIAN)
    first = context.transfer_syntaxes[0]
    if context.abstract_syntax in _PLAIN_SERVICES:
        first = next((uid for uid in context.transfer_syntaxes if uid in _PLAIN), "")
        if not first:
            return ContextResult(context.id, Result.TRANSFER_SYNTAXES_NOT_SUPPORTED, context.transfer_syntaxes[0])
        return ContextResult(context.id, Result.ACCEPTANCE, first)
    if not _is_stored(context.abstract_syntax, service_class):
        return ContextResult(context.id, Result.ABSTRACT_SYNTAX_NOT_SUPPORTED, first)
    # One that is no UID is accepted where there is nothing else: refused as an operation, it is in the audit.
    if not _is_usable(first):
        first = next((uid for uid in context.transfer_syntaxes if _is_usable(uid)), first)
    return ContextResult(context.id, Result.ACCEPTANCE, first)


def _is_stored(abstract_syntax: str, service_class: str) -> bool:
    if not abstract_syntax or abstract_syntax in OTHER_SERVICES:
        return False
    # Of what we do not know the requestor may know better (PS3.7 annex D.3.3.6).
    return service_class in ("", _STORAGE_SERVICE) or abstract_syntax in STORED or abstract_syntax in NOT_STORABLE


def _is_usable(uid: str) -> bool:
    return len(uid) <= UID_LENGTH_MAX and _remembered(uid)


# Everybody proposes the same few.
_remembered = lru_cache(maxsize=1024)(uid_is_usable)
