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
from producers.dicom_router.upper_layer.associate_ac import AcceptedRole, ContextResult, Result
from producers.dicom_router.upper_layer.associate_rq import ProposedContext, Requested
from producers.dicom_router.upper_layer.pdu import (
    CONTEXT_NAME_NOT_SUPPORTED,
    PROTOCOL_VERSION_NOT_SUPPORTED,
    Rejection,
)
from streams.identity import UID_LENGTH_MAX, uid_is_usable
from streams.part10 import EXPLICIT_VR_BIG_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from streams.sop_classes import OTHER_SERVICES, STORAGE_COMMITMENT, VERIFICATION

_VERSION_1: Final = 0x0001
# What carries no data set, or one without pixels, gains nothing from anything else.
_PLAIN: Final = (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN)
# Services that are offered beside storage.
_PLAIN_SERVICES: Final = frozenset((VERIFICATION, STORAGE_COMMITMENT))


class Context(NamedTuple):
    """An accepted presentation context."""

    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True)
class Accepted:
    """`answer` is the A-ASSOCIATE-AC."""

    contexts: Mapping[int, Context]
    answer: bytes


def negotiate(requested: Requested, pdu_bytes_max: int) -> Accepted | Rejection:
    """Who asks and whom it calls is not judged here. `pdu_bytes_max` is what we take."""
    if not requested.protocol_version & _VERSION_1:
        return PROTOCOL_VERSION_NOT_SUPPORTED
    if requested.application_context != associate_ac.APPLICATION_CONTEXT:
        return CONTEXT_NAME_NOT_SUPPORTED
    answers = [_answered(context) for context in requested.contexts]
    accepted = {
        proposed.id: Context(proposed.abstract_syntax, answer.transfer_syntax)
        for proposed, answer in zip(requested.contexts, answers, strict=True)
        if answer.result is Result.ACCEPTANCE
    }
    answer = associate_ac.encode(
        requested.echoed,
        answers,
        pdu_bytes_max,
        _roles(requested, accepted),
        requested.asks_for_asynchronous_operations,
    )
    return Accepted(accepted, answer)


def _roles(requested: Requested, accepted: Mapping[int, Context]) -> list[AcceptedRole]:
    """We store and commit, and never ask: where a requestor proposes both roles, it is the SCU."""
    if not requested.roles:
        return []
    names = {context.abstract_syntax for context in accepted.values()}
    return [
        AcceptedRole(uid, True, False)
        for uid, (scu, _) in requested.roles.items()
        if scu and uid in names and _is_usable(uid)
    ]


def _answered(context: ProposedContext) -> ContextResult:
    if not context.transfer_syntaxes:
        return ContextResult(context.id, Result.TRANSFER_SYNTAXES_NOT_SUPPORTED, IMPLICIT_VR_LITTLE_ENDIAN)
    first = context.transfer_syntaxes[0]
    if context.abstract_syntax in _PLAIN_SERVICES:
        first = next((uid for uid in context.transfer_syntaxes if uid in _PLAIN), "")
        if not first:
            return ContextResult(context.id, Result.TRANSFER_SYNTAXES_NOT_SUPPORTED, context.transfer_syntaxes[0])
        return ContextResult(context.id, Result.ACCEPTANCE, first)
    if context.abstract_syntax in OTHER_SERVICES or not context.abstract_syntax:
        return ContextResult(context.id, Result.ABSTRACT_SYNTAX_NOT_SUPPORTED, first)
    # One that is no UID is accepted where there is nothing else: refused as an operation, it is in the audit.
    if not _is_usable(first):
        first = next((uid for uid in context.transfer_syntaxes if _is_usable(uid)), first)
    return ContextResult(context.id, Result.ACCEPTANCE, first)


def _is_usable(uid: str) -> bool:
    return len(uid) <= UID_LENGTH_MAX and _remembered(uid)


# Everybody proposes the same few.
_remembered = lru_cache(maxsize=1024)(uid_is_usable)
